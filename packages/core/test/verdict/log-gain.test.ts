import type { Pair } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eValue } from "../../src/verdict/e-process.ts";
import { logGain, logOfRelative, metricGains, relativeGain } from "../../src/verdict/log-gain.ts";
import { confirmationSeed, firstOfPair, totalSeed } from "../../src/verdict/pair-order.ts";
import { observe } from "./simulate.ts";

const pairIn = (base: number, candidate: number): Pair => ({
  first: "base",
  base: observe(base),
  candidate: observe(candidate),
});
const swap = (pair: Pair): Pair => ({ ...pair, base: pair.candidate, candidate: pair.base });
const value = fc.integer({ min: 1, max: 100_000 });
const series = fc.array(
  fc.tuple(value, value).map(([b, c]) => pairIn(b, c)),
  { minLength: 1, maxLength: 20 },
);

describe("the log gain", () => {
  it("is positive for a gain, whichever way better is", () => {
    expect(logGain(pairIn(100, 80), "lower", (o) => o.value)).toBeCloseTo(-Math.log(0.8), 12);
    expect(logGain(pairIn(100, 80), "higher", (o) => o.value)).toBeCloseTo(Math.log(0.8), 12);
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    "is null when a value is %s, in either arm",
    (bad) => {
      expect(logGain(pairIn(bad, 1), "lower", (o) => o.value)).toBeNull();
      expect(logGain(pairIn(1, bad), "higher", (o) => o.value)).toBeNull();
      expect(metricGains([pairIn(1, 1), pairIn(1, bad)], "lower")).toBeNull();
    },
  );

  it("turns into a relative gain and back", () => {
    expect(relativeGain(-Math.log(0.8), "lower")).toBeCloseTo(0.2, 12);
    expect(relativeGain(Math.log(1.2), "higher")).toBeCloseTo(0.2, 12);
    for (const better of ["lower", "higher"] as const) {
      for (const gain of [-0.5, 0, 0.01, 0.3])
        expect(relativeGain(logOfRelative(gain, better), better)).toBeCloseTo(gain, 12);
    }
    expect(Number.isFinite(logOfRelative(1, "lower"))).toBe(false);
  });

  it("gives evidence that the unit does not change", () => {
    const rule = (pairs: Pair[], scale: number): void => {
      const scaled = pairs.map((p) => pairIn(p.base.value * scale, p.candidate.value * scale));
      const e = eValue(metricGains(pairs, "lower") ?? [], 0.01);
      expect(eValue(metricGains(scaled, "lower") ?? [], 0.01)).toBeCloseTo(e, 9);
    };
    fc.assert(fc.property(series, fc.constantFrom(0.001, 1000, 60, 1e9), rule));
  });

  it("is the same when the arms are swapped and better is turned round", () => {
    const rule = (pairs: Pair[]): void => {
      expect(metricGains(pairs.map(swap), "higher")).toEqual(metricGains(pairs, "lower"));
    };
    fc.assert(fc.property(series, rule));
  });

  it("is negated exactly when only the arms are swapped", () => {
    const rule = (pairs: Pair[]): void => {
      const gains = metricGains(pairs, "lower") ?? [];
      const swapped = metricGains(pairs.map(swap), "lower") ?? [];
      expect(swapped.map((each, k) => each + (gains[k] as number))).toEqual(swapped.map(() => 0));
    };
    fc.assert(fc.property(series, rule));
  });
});

describe("the order inside a pair", () => {
  it("is drawn from the seed and the index alone, and is recorded here for ever", () => {
    const drawn = (seed: string): string =>
      Array.from({ length: 16 }, (_, i) => firstOfPair(seed, i)[0]).join("");
    expect(drawn("q-00000001/1")).toBe(drawn("q-00000001/1"));
    expect(drawn("q-00000001/1")).not.toBe(drawn("q-00000001/2"));
    expect(drawn("seed")).toBe("bccbcbbbbcccbccb");
  });

  it("has its own seed for the confirmation and for the total", () => {
    expect(confirmationSeed("s")).toBe("s:confirmation");
    expect(totalSeed("s")).toBe("s:total");
  });

  it("is a fair coin, and each draw is free of the one before", () => {
    const draws = Array.from({ length: 4000 }, (_, i) => (firstOfPair("fair", i) === "base" ? 1 : 0));
    const share = draws.reduce<number>((sum, each) => sum + each, 0) / draws.length;
    const repeats = draws.filter((each, i) => i > 0 && each === draws[i - 1]).length / draws.length;
    expect(Math.abs(share - 0.5)).toBeLessThan(0.03);
    expect(Math.abs(repeats - 0.5)).toBeLessThan(0.03);
  });
});
