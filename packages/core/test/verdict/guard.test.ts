import type { GuardSpec, Pair } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { judgeGuard } from "../../src/verdict/guard.ts";
import { normal, observe } from "./simulate.ts";

const memory: GuardSpec = { name: "rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.05 };
const rate: GuardSpec = { ...memory, name: "rate", better: "higher" };

const pairWith = (name: string, base: number, candidate: number): Pair => ({
  first: "base",
  base: observe(1, { [name]: base }),
  candidate: observe(1, { [name]: candidate }),
});
const repeat = (count: number, guard: GuardSpec, base: number, candidate: number): Pair[] =>
  Array.from({ length: count }, () => pairWith(guard.name, base, candidate));

/** `count` pairs with noise `sd` in each arm, the candidate `factor` of the base. */
function noisy(count: number, factor: number, seed: number, sd = 0.05): Pair[] {
  const gauss = normal(seed);
  const one = (): number => Math.exp(sd * gauss());
  return Array.from({ length: count }, () => pairWith("rss", one(), factor * one()));
}
const shareOf = (state: string, factor: number, quests = 300): number => {
  let hits = 0;
  for (let k = 0; k < quests; k++)
    hits += judgeGuard(noisy(90, factor, 1000 + k), memory).state === state ? 1 : 0;
  return hits / quests;
};

describe("a guard", () => {
  it("is undecided without pairs, and holds after six pairs that are equal in both arms", () => {
    expect(judgeGuard([], memory)).toEqual({ name: "rss", state: "undecided", worsening: null, e: 1 });
    expect(judgeGuard(repeat(5, memory, 4096, 4096), memory).state).toBe("undecided");
    expect(judgeGuard(repeat(6, memory, 4096, 4096), memory)).toMatchObject({ state: "holds", worsening: 0 });
  });

  it("takes zero in both arms as no change, and a zero that appears or goes away as an unbounded one", () => {
    expect(judgeGuard(repeat(10, memory, 0, 0), memory)).toMatchObject({ state: "holds", worsening: 0 });
    expect(judgeGuard(repeat(10, memory, 0, 3), memory)).toMatchObject({
      state: "regressed",
      worsening: null,
    });
    expect(judgeGuard(repeat(10, memory, 3, 0), memory)).toMatchObject({ state: "holds", worsening: -1 });
  });

  it("regresses when it is shown to be worse than its bound, whichever way better is", () => {
    expect(judgeGuard(repeat(10, memory, 100, 110), memory).state).toBe("regressed");
    expect(judgeGuard(repeat(10, memory, 100, 110), memory).worsening).toBeCloseTo(0.1, 12);
    expect(judgeGuard(repeat(10, rate, 100, 90), rate).state).toBe("regressed");
    expect(judgeGuard(repeat(10, rate, 100, 90), rate).worsening).toBeCloseTo(0.1, 12);
    expect(judgeGuard(repeat(10, rate, 100, 110), rate).state).toBe("holds");
  });

  it("stays undecided exactly at its bound", () => {
    expect(judgeGuard(repeat(200, memory, 100, 105), memory)).toMatchObject({ state: "undecided", e: 1 });
    expect(judgeGuard(repeat(200, rate, 100, 95), rate)).toMatchObject({ state: "undecided", e: 1 });
  });

  it("is regressed for good, even when it had been shown to hold before", () => {
    const turned = [...repeat(6, memory, 100, 100), ...repeat(60, memory, 100, 200)];
    expect(judgeGuard(turned.slice(0, 6), memory).state).toBe("holds");
    expect(judgeGuard(turned, memory).state).toBe("regressed");
  });

  it.each([Number.NaN, -1, Number.POSITIVE_INFINITY])(
    "is undecided with evidence 0 when a value is %s",
    (bad) => {
      const pairs = [...repeat(20, memory, 100, 100), pairWith("rss", 100, bad)];
      expect(judgeGuard(pairs, memory)).toEqual({ name: "rss", state: "undecided", worsening: null, e: 0 });
    },
  );

  it("is undecided when its value is missing, or its name is one that every object has", () => {
    expect(judgeGuard(repeat(20, memory, 1, 1), rate).state).toBe("undecided");
    expect(judgeGuard(repeat(20, memory, 1, 1), { ...memory, name: "constructor" }).state).toBe("undecided");
  });

  it.each([Number.NaN, -0.1, Number.POSITIVE_INFINITY])("decides nothing under a bound of %s", (worseBy) => {
    expect(judgeGuard(repeat(50, memory, 100, 100), { ...memory, worseBy }).state).toBe("undecided");
  });

  it("at its bound, is called either way in at most 5 % (CV 5 %, 90 pairs)", () => {
    expect(shareOf("holds", 1.05)).toBeLessThanOrEqual(0.05);
    expect(shareOf("regressed", 1.05)).toBeLessThanOrEqual(0.05);
  });

  it("decides an unchanged and a 12 % worse candidate rightly in at least 95 % (CV 5 %, 90 pairs)", () => {
    expect(shareOf("holds", 1)).toBeGreaterThanOrEqual(0.95);
    expect(shareOf("regressed", 1.12)).toBeGreaterThanOrEqual(0.95);
  });
});
