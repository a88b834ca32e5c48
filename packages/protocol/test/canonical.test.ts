import canonicalize from "canonicalize";
import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalText } from "../src/index.ts";

test("canonical text sorts keys at every depth, those of digits too, and leaves out what is undefined", () => {
  const one = { b: [{ z: 1, y: undefined, x: null }], a: "é", 10: 1, 9: 2 };
  const other = { 9: 2, a: "é", b: [{ x: null, z: 1 }], 10: 1 };
  expect(canonicalText(one)).toBe(canonicalText(other));
  expect(canonicalText(one)).toBe('{"10":1,"9":2,"a":"é","b":[{"x":null,"z":1}]}');
});

const circle: { in: unknown } = { in: null };
circle.in = [circle];

const deep = (depth: number): unknown => (depth === 0 ? { b: 1, a: 2 } : { x: [deep(depth - 1)] });

const noText: [string, unknown][] = [
  ["nothing", undefined],
  ["half a letter", "\ud800"],
  ["half a letter in a key", [{ "\ud800": 1 }]],
  ["no number", { a: Number.NaN }],
  ["an endless number", [Number.POSITIVE_INFINITY]],
  ["a large integer", { a: 1n }],
  ["a circle", circle],
];

test.each(noText)("what is no JSON value has none: %s", (_, value) => {
  expect(() => canonicalText(value)).toThrow();
});

/** What the library says of a value: its text, or that it has none. */
const textOf = (text: (value: unknown) => string | undefined, value: unknown): string => {
  try {
    return text(value) ?? "none";
  } catch {
    return "none";
  }
};

const odd: [string, unknown][] = [
  ["a key that names the prototype", JSON.parse('{"b":1,"__proto__":{"d":1,"c":2},"a":3}')],
  ["no prototype", Object.assign(Object.create(null), { b: 1, a: 2 })],
  ["a date", { at: new Date(0) }],
  ["one that says what it is", { b: { toJSON: () => ({ d: 1, c: 2 }) }, a: 1 }],
  ["boxed", [new String("x"), new Number(1), new Boolean(false)]],
  ["a hole in a list", Object.assign(new Array(3), { 2: () => 1 })],
  ["zero below zero", { b: -0, a: [-0] }],
  ["deep", deep(60)],
  ["very deep", deep(3_000)],
];

test.each(odd)("it is the library's: %s", (_, value) => {
  expect(textOf(canonicalText, value)).toBe(textOf(canonicalize, value));
});

test("it is the library's, of any value", () => {
  const keys = fc.oneof(
    fc.constantFrom("a", "b", "10", "9", "é", "\u{1f600}", "\ufb33", "__proto__"),
    fc.string(),
  );
  const values = fc.oneof(
    fc.jsonValue(),
    fc.dictionary(keys, fc.oneof(fc.jsonValue(), fc.dictionary(keys, fc.anything()))),
    fc.anything(),
  );
  fc.assert(
    fc.property(values, (value) => {
      expect(textOf(canonicalText, value)).toBe(textOf(canonicalize, value));
    }),
    { numRuns: 1_000 },
  );
});
