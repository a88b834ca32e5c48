import type { Knob, KnobDomain } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { drawSettings, settingText, valueAt } from "../../src/knob/setting.ts";

const place = { kind: "env", key: "X", file: ".env", create: false } as const;
const knob = (name: string, domain: KnobDomain): Knob => ({ name, domain, place });
const range = (from: number, to: number, more: Partial<Extract<KnobDomain, { kind: "range" }>> = {}) =>
  ({ kind: "range", from, to, scale: "linear", integer: false, ...more }) as const;

const domains = fc.oneof(
  fc
    .uniqueArray(fc.oneof(fc.integer(), fc.string({ maxLength: 9 }), fc.boolean()), {
      minLength: 1,
      maxLength: 9,
    })
    .map((values): KnobDomain => ({ kind: "values", values })),
  fc
    .record({
      from: fc.integer({ min: 1, max: 1e6 }),
      span: fc.integer({ min: 1, max: 1e6 }),
      scale: fc.constantFrom("linear", "log"),
      integer: fc.boolean(),
    })
    .map(
      ({ from, span, scale, integer }): KnobDomain => ({
        kind: "range",
        from,
        to: from + span,
        scale,
        integer,
      }),
    ),
);

describe("the value of a domain", () => {
  test.each([
    ["the first of a list", { kind: "values", values: [1, 2, 4] } as const, 0, 1],
    ["the last of a list", { kind: "values", values: [1, 2, 4] } as const, 0.999, 4],
    ["the middle of a line", range(0, 10), 0.5, 5],
    ["the middle of a log scale", range(1, 10_000, { scale: "log" }), 0.5, 100],
    ["an integer", range(1, 3, { integer: true }), 0.34, 2],
    ["both ends get the same share as the others", range(1, 3, { integer: true }), 0.32, 1],
  ])("%s", (_, domain, unit, value) => {
    expect(valueAt(domain, unit)).toBeCloseTo(value as number, 6);
  });

  test("is never out of range, and is one of the values", () => {
    fc.assert(
      fc.property(domains, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (domain, unit) => {
        const value = valueAt(domain, unit);
        if (domain.kind === "values") expect(domain.values).toContain(value);
        else {
          expect(value).toBeGreaterThanOrEqual(domain.from);
          expect(value).toBeLessThanOrEqual(domain.to);
          if (domain.integer) expect(Number.isInteger(value)).toBe(true);
        }
      }),
    );
  });
});

describe("the draw", () => {
  const two = [
    knob("a", { kind: "values", values: [1, 2, 3] }),
    knob("b", { kind: "values", values: [true, false] }),
  ];

  test("is the same for the same seed, another for another, and holds no setting twice", () => {
    fc.assert(
      fc.property(fc.string(), fc.array(domains, { minLength: 1, maxLength: 4 }), (seed, given) => {
        const parameters = given.map((domain, at) => knob(`k${at}`, domain));
        const drawn = drawSettings(parameters, { seed, count: 12 });
        expect(drawSettings(parameters, { seed, count: 12 })).toEqual(drawn);
        expect(new Set(drawn.map((each) => JSON.stringify(each))).size).toBe(drawn.length);
        expect(drawn.length).toBeGreaterThan(0);
      }),
    );
    const wide = [knob("a", range(0, 1))];
    expect(drawSettings(wide, { seed: "one", count: 4 })).not.toEqual(
      drawSettings(wide, { seed: "two", count: 4 }),
    );
  });

  test("a small space is drawn whole, and no further", () => {
    expect(drawSettings(two, { seed: "s", count: 16 })).toHaveLength(6);
  });

  test("what was judged before is not drawn again", () => {
    const first = drawSettings(two, { seed: "s:1", count: 4 });
    const before = new Set(first.map(settingText));
    const second = drawSettings(two, {
      seed: "s:2",
      count: 4,
      isExcluded: (each) => before.has(settingText(each)),
    });
    expect(second).toHaveLength(2);
    expect(second.filter((each) => before.has(settingText(each)))).toEqual([]);
  });
});
