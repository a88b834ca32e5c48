import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createTest, ePath, eValue } from "../../src/verdict/e-process.ts";
import { everReaches, normal, uniform } from "./simulate.ts";

const sizes = fc.array(
  fc.oneof(fc.integer({ min: 1, max: 4 }), fc.double({ min: 1e-3, max: 5, noNaN: true })),
  {
    minLength: 1,
    maxLength: 8,
  },
);

/** The mean evidence over all 2^n sign patterns of these sizes about `centre`, tested against `shift`. */
function meanOverSigns(magnitudes: readonly number[], centre: number, shift: number): number {
  const patterns = 2 ** magnitudes.length;
  let sum = 0;
  for (let bits = 0; bits < patterns; bits++) {
    const values = magnitudes.map((size, k) => centre + ((bits >> k) & 1 ? size : -size));
    sum += eValue(values, shift);
  }
  return sum / patterns;
}

describe("the signed-rank e-process", () => {
  it("starts at 1, and one value moves it by the mean bet", () => {
    expect(eValue([], 0)).toBe(1);
    expect(eValue([2], 0)).toBeCloseTo(1 + 0.6, 12);
    expect(eValue([-2], 0)).toBeCloseTo(1 - 0.6, 12);
  });

  it("matches a hand calculation over three values", () => {
    // ranks 1 of 1, 1 of 2, 2 of 3; signs +, −, +
    const bets = [0.3, 0.5, 0.7, 0.9];
    const expected = bets.reduce((sum, b) => sum + ((1 + b) * (1 - b / 2) * (1 + (b * 2) / 3)) / 4, 0);
    expect(eValue([3, -1, 2], 0)).toBeCloseTo(expected, 12);
    expect(ePath([3, -1, 2], 0)).toHaveLength(3);
  });

  it("has mean exactly 1 over the signs of any sizes, ties included, where the null is just true", () => {
    fc.assert(
      fc.property(sizes, (list) => {
        expect(meanOverSigns(list, 0, 0)).toBeCloseTo(1, 9);
      }),
      { numRuns: 60 },
    );
  });

  it("has mean at most 1 where the centre lies below the shift", () => {
    const below = fc.double({ min: 0, max: 3, noNaN: true });
    const rule = (list: number[], by: number): void => {
      expect(meanOverSigns(list, -by, 0)).toBeLessThanOrEqual(1 + 1e-9);
    };
    fc.assert(fc.property(sizes, below, rule), { numRuns: 60 });
  });

  it("has mean above 1 where the centre lies above the shift, or it could prove nothing", () => {
    expect(meanOverSigns([3, 1, 4, 2, 5, 6], 2, 0)).toBeGreaterThan(1.2);
  });

  it("keeps a simulated mean of 1 under a symmetric null, at each look", () => {
    const gauss = normal(11);
    const coin = uniform(12);
    const quests = 20_000;
    const sums = [0, 0, 0];
    for (let k = 0; k < quests; k++) {
      // the scale jumps from value to value: symmetry is all that is asked for
      const path = ePath(
        Array.from({ length: 6 }, () => gauss() * (coin() < 0.5 ? 1 : 10)),
        0,
      );
      [1, 3, 5].forEach((look, j) => {
        sums[j] = (sums[j] as number) + (path[look] as number);
      });
    }
    for (const sum of sums) expect(Math.abs(sum / quests - 1)).toBeLessThan(0.06);
  });

  it("reaches 1/alpha under the null in at most alpha of 2000 series, whatever the number of looks", () => {
    const gauss = normal(13);
    let reached = 0;
    for (let k = 0; k < 2000; k++) reached += everReaches(Array.from({ length: 90 }, gauss), 0, 0.05) ? 1 : 0;
    expect(reached / 2000).toBeLessThanOrEqual(0.05);
    expect(reached).toBeGreaterThan(0);
  });

  it("tells itself from a fixed-size sign test looked at after every value, which breaks that bound", () => {
    const gauss = normal(13);
    let reached = 0;
    for (let k = 0; k < 500; k++) {
      let sum = 0;
      let hit = false;
      for (let n = 1; n <= 90; n++) {
        sum += Math.sign(gauss());
        hit ||= n >= 10 && sum / Math.sqrt(n) > 1.645;
      }
      reached += hit ? 1 : 0;
    }
    expect(reached / 500).toBeGreaterThan(0.08);
  });

  it("never gains evidence from differences equal to the shift, though logarithms round", () => {
    const shift = -Math.log1p(-0.01);
    const same = Array.from({ length: 500 }, (_, i) => Math.log(100 + i) - Math.log((100 + i) * 0.99));
    expect(same.some((each) => each !== shift)).toBe(true);
    expect(new Set(ePath(same, shift))).toEqual(new Set([1]));
  });

  it("treats sizes that differ by rounding as ties, so quantised clocks favour no sign", () => {
    const up = Math.log(101) - Math.log(100);
    const series = Array.from({ length: 40 }, (_, i) => (i % 2 ? -1 : 1) * (up + (i % 3) * 1e-16));
    expect(eValue(series, 0)).toBe(
      eValue(
        series.map((each) => Math.sign(each)),
        0,
      ),
    );
  });

  it("loses everything on a value that is not a number, and stays finite on endless gains", () => {
    expect(ePath([1, Number.NaN, 1], 0)).toEqual([expect.any(Number), 0, 0]);
    expect(eValue([1], Number.NaN)).toBe(0);
    expect(
      Number.isFinite(
        eValue(
          Array.from({ length: 5000 }, () => 1),
          0,
        ),
      ),
    ).toBe(true);
  });

  it("holds the value with which it first reached its bound", () => {
    const test = createTest(0, 0.05);
    for (let k = 0; k < 6; k++) test.next(1);
    expect(test.reached()).toBe(true);
    const held = test.e();
    expect(held).toBe(eValue([1, 1, 1, 1, 1, 1], 0));
    for (let k = 0; k < 50; k++) test.next(-1);
    expect(test.e()).toBe(held);
  });
});
