import type { Pair } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { estimateEffect, estimateShift, pseudoMedian } from "../../src/verdict/effect.ts";
import { normal, observe, steadyPairs } from "./simulate.ts";

// Hollander & Wolfe, table 3.1 (Hamilton depression scale, before and after), as in R's help of wilcox.test.
const before = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3];
const after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
const depression = before.map((x, i) => x - (after[i] as number));

/** Coverage of the interval between the k-th smallest and k-th largest Walsh average, by trying every sign pattern. */
function coverage(n: number, k: number): number {
  let outside = 0;
  for (let bits = 0; bits < 2 ** n; bits++) {
    let w = 0;
    for (let rank = 1; rank <= n; rank++) w += (bits >> (rank - 1)) & 1 ? rank : 0;
    outside += w < k ? 1 : 0;
  }
  return 1 - (2 * outside) / 2 ** n;
}

describe("the Hodges–Lehmann estimate", () => {
  it("finds the published estimate and interval of the depression data", () => {
    const shift = estimateShift(depression);
    expect(shift?.estimate).toBeCloseTo(0.46, 10);
    expect(shift?.low).toBeCloseTo(0.01, 10);
    expect(shift?.high).toBeCloseTo(0.786, 10);
  });

  it("takes the narrowest ends that still cover 95 % by counting all sign patterns (n = 6 to 14)", () => {
    for (let n = 6; n <= 14; n++) {
      const values = Array.from({ length: n }, (_, i) => 2 ** i);
      const walsh = values.flatMap((x, i) => values.slice(i).map((y) => (x + y) / 2)).sort((a, b) => a - b);
      const k = walsh.indexOf(estimateShift(values)?.low as number) + 1;
      expect(coverage(n, k)).toBeGreaterThanOrEqual(0.95);
      expect(coverage(n, k + 1)).toBeLessThan(0.95);
    }
  });

  it("covers the true centre in about 95 % of samples, exact (n = 16) and normal (n = 60)", () => {
    const gauss = normal(5);
    for (const [n, rounds] of [
      [16, 1500],
      [60, 600],
    ] as const) {
      let covered = 0;
      for (let k = 0; k < rounds; k++) {
        const shift = estimateShift(Array.from({ length: n }, () => 3 + gauss()));
        covered += shift && shift.low <= 3 && shift.high >= 3 ? 1 : 0;
      }
      expect(covered / rounds).toBeGreaterThan(0.925);
      expect(covered / rounds).toBeLessThan(0.975);
    }
  });

  it("passes from counted to normal ends without a step (n = 50 and 51)", () => {
    const values = Array.from({ length: 51 }, (_, i) => i - 25);
    const width = (list: number[]): number =>
      (estimateShift(list)?.high ?? 0) - (estimateShift(list)?.low ?? 0);
    expect(Math.abs(width(values) - width(values.slice(0, 50)))).toBeLessThan(1);
    expect(width(values)).toBeGreaterThan(5);
  });

  it("is not moved far by one wild value, and agrees with the median of three", () => {
    expect(pseudoMedian([1, 2, 3])).toBe(2);
    expect(pseudoMedian([1, 2, 3, 4, 1000])).toBeLessThan(10);
    expect(pseudoMedian([])).toBeNaN();
  });

  it("has no interval where too few values cannot reach the level", () => {
    expect(estimateShift([1, 2, 3, 4, 5])).toBeNull();
    expect(estimateShift([1, 2, 3, 4, 5, 6])).not.toBeNull();
    expect(estimateShift([1, 2, 3, 4, 5, 6], 0.99)).toBeNull();
    expect(estimateShift([1, 2, 3, 4, 5, Number.NaN])).toBeNull();
  });
});

describe("the effect of a series", () => {
  it("is a relative gain: 0.2 where the candidate takes a fifth less, or does a fifth more", () => {
    const less = steadyPairs("s", 8, 0.2);
    expect(estimateEffect(less, "lower")?.estimate).toBeCloseTo(0.2, 12);
    expect(estimateEffect(less, "higher")?.estimate).toBeCloseTo(-0.2, 12);
    expect(estimateEffect(less, "lower")).toMatchObject({ level: 0.95 });
  });

  it("has low below estimate below high", () => {
    const gauss = normal(3);
    const pairs: Pair[] = Array.from({ length: 20 }, () => ({
      first: "base",
      base: observe(Math.exp(0.1 * gauss())),
      candidate: observe(0.9 * Math.exp(0.1 * gauss())),
    }));
    const effect = estimateEffect(pairs, "lower");
    expect(effect && effect.low < effect.estimate && effect.estimate < effect.high).toBe(true);
  });

  it("is null with fewer than 6 pairs, a broken pair, or a gain beyond any number", () => {
    expect(estimateEffect(steadyPairs("s", 5, 0.2), "lower")).toBeNull();
    expect(estimateEffect(steadyPairs("s", 6, 0.2), "lower")).not.toBeNull();
    expect(estimateEffect(steadyPairs("s", 8, 1), "lower")).toBeNull();
    const vast = Array.from(
      { length: 8 },
      (): Pair => ({ first: "base", base: observe(1e-300), candidate: observe(1e300) }),
    );
    expect(estimateEffect(vast, "higher")).toBeNull();
  });
});
