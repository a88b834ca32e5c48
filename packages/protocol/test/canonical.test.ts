import { expect, test } from "vitest";
import { canonicalText } from "../src/index.ts";

test("canonical text sorts keys at every depth, those of digits too, and leaves out what is undefined", () => {
  const one = { b: [{ z: 1, y: undefined, x: null }], a: "é", 10: 1, 9: 2 };
  const other = { 9: 2, a: "é", b: [{ x: null, z: 1 }], 10: 1 };
  expect(canonicalText(one)).toBe(canonicalText(other));
  expect(canonicalText(one)).toBe('{"10":1,"9":2,"a":"é","b":[{"x":null,"z":1}]}');
});

test("what is no JSON value has none", () => {
  expect(() => canonicalText(undefined)).toThrow(TypeError);
});
