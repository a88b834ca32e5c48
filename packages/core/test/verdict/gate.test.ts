import type { GuardSpec, Pair } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import {
  type GatePolicy,
  gainProven,
  gatePolicyOf,
  minEffectOf,
  nextGateStep,
} from "../../src/verdict/gate.ts";
import { observe, pairOf, playMany, steadyPairs } from "./simulate.ts";

const policy: GatePolicy = { better: "lower", margin: 0.01, minEffect: 0.05, alpha: 0.0125, pairsMax: 90 };
const rss: GuardSpec = { name: "rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.05 };

const guarded = (count: number, gain: number, rssCandidate: (i: number) => number): Pair[] =>
  Array.from({ length: count }, (_, i) =>
    pairOf("g", i, observe(100, { rss: 100 }), observe(100 * (1 - gain), { rss: rssCandidate(i) })),
  );

describe("the gate", () => {
  it("wants more before there is evidence, and says so", () => {
    expect(nextGateStep([], [], policy)).toEqual({
      state: "more",
      e: 1,
      eFutility: 1,
      reason: "no decision yet",
      pairs: 0,
    });
  });

  it("proves a noiseless 20 % gain in 9 pairs, no fewer", () => {
    expect(nextGateStep(steadyPairs("s", 8, 0.2), [], policy).state).toBe("more");
    const step = nextGateStep(steadyPairs("s", 9, 0.2), [], policy);
    expect(step).toMatchObject({ state: "gain", pairs: 9 });
    expect(step.e).toBeGreaterThanOrEqual(80);
  });

  it("answers for the first prefix that stops: later pairs change nothing", () => {
    const stopped = nextGateStep(steadyPairs("s", 9, 0.2), [], policy);
    const worse = [...steadyPairs("s", 9, 0.2), ...steadyPairs("s", 80, -0.5)];
    expect(nextGateStep(worse, [], policy)).toEqual(stopped);
  });

  it("stops for futility when both arms are the same", () => {
    const step = nextGateStep(steadyPairs("s", 90, 0), [], policy);
    expect(step).toMatchObject({ state: "futile", pairs: 5 });
    expect(step.eFutility).toBeGreaterThanOrEqual(10);
    expect(step.e).toBeLessThan(1);
  });

  it("is spent when the budget is used without proof", () => {
    const between = Array.from(
      { length: 30 },
      (_, i) => steadyPairs("s", i + 1, i % 2 ? 0.2 : -0.15)[i] as Pair,
    );
    expect(nextGateStep(between, [], { ...policy, pairsMax: 30 })).toMatchObject({
      state: "spent",
      pairs: 30,
    });
    expect(nextGateStep(between, [], { ...policy, pairsMax: 31 }).state).toBe("more");
  });

  it.each([0, -5, Number.NaN, Number.POSITIVE_INFINITY])(
    "is broken when a metric is %s, even after it stopped",
    (bad) => {
      const pairs = [...steadyPairs("s", 20, 0.2), pairOf("s", 20, observe(100), observe(bad))];
      expect(nextGateStep(pairs, [], policy)).toMatchObject({ state: "broken", e: 1 });
    },
  );

  it("is broken when a guard's value is missing", () => {
    expect(nextGateStep(steadyPairs("s", 9, 0.2), [rss], policy).state).toBe("broken");
    expect(nextGateStep(steadyPairs("s", 9, 0.2, { rss: 7 }), [rss], policy).state).toBe("gain");
  });

  it.each([
    { alpha: 0 },
    { alpha: Number.NaN },
    { alpha: 1 },
    { margin: -0.1 },
    { margin: 1 },
    { minEffect: Number.NaN },
    { pairsMax: 0 },
    { pairsMax: Number.NaN },
  ])("is broken under a policy out of range: %o", (part) => {
    expect(nextGateStep(steadyPairs("s", 20, 0.2), [], { ...policy, ...part }).state).toBe("broken");
  });

  it("goes on for a guard when the gain is proven, and stops when the guard is decided", () => {
    const pairs = guarded(60, 0.2, (i) => (i < 12 ? (i % 2 ? 90 : 121) : 100));
    const open = nextGateStep(pairs.slice(0, 12), [rss], policy);
    expect(open).toMatchObject({ state: "more", reason: "the gain is proven, undecided: rss" });
    expect(open.e).toBe(nextGateStep(pairs.slice(0, 9), [], policy).e);
    const step = nextGateStep(pairs, [rss], policy);
    expect(step.state).toBe("gain");
    expect(step.pairs).toBeGreaterThan(12);
  });

  it("keeps a proven gain while a guard is open, though what follows would be futile", () => {
    const rssOf = (i: number): number => (i % 2 ? 105 / 1.15 : 105 * 1.15);
    const pairs = [...guarded(9, 0.2, rssOf), ...guarded(90, -0.5, rssOf).slice(9)];
    const step = nextGateStep(pairs, [rss], policy);
    expect(step).toMatchObject({ state: "spent", pairs: 90 });
    expect(step.eFutility).toBeGreaterThanOrEqual(10);
    expect(gainProven(step, policy)).toBe(true);
    expect(gainProven(nextGateStep(pairs.slice(9), [rss], policy), policy)).toBe(false);
  });

  it("is spent, not gain, when the budget ends with a guard undecided", () => {
    const pairs = guarded(12, 0.2, (i) => (i % 2 ? 90 : 121));
    expect(nextGateStep(pairs, [rss], { ...policy, pairsMax: 12 })).toMatchObject({
      state: "spent",
      pairs: 12,
    });
  });

  it("stops at once for a regressed guard, though the gain is not proven yet", () => {
    const step = nextGateStep(
      guarded(60, 0.2, () => 200),
      [rss],
      policy,
    );
    expect(step).toMatchObject({ state: "futile", pairs: 6, reason: "worse than its bound: rss" });
  });
});

describe("the smallest effect worth chasing", () => {
  const of = (improveBy: number | null, margin: number, minEffect: number | null = null): number =>
    minEffectOf({ improveBy, margin, minEffect }, "lower");

  it("is 5 %, or the goal where that is smaller", () => {
    expect(of(null, 0.01)).toBe(0.05);
    expect(of(0.2, 0.01)).toBe(0.05);
    expect(of(0.03, 0.01)).toBe(0.03);
  });

  it("is what the quest names", () => {
    expect(of(0.2, 0.01, 0.12)).toBe(0.12);
    expect(of(null, 0.01, 0.02)).toBe(0.02);
    expect(of(0.2, 0.05, 0.02)).toBeGreaterThan(0.05);
  });

  it("lies above the margin, and not above a goal that itself lies above the margin", () => {
    for (const margin of [0, 0.001, 0.01, 0.05, 0.1, 0.5, 0.9]) {
      for (const goal of [null, 0.001, 0.01, 0.02, 0.05, 0.11, 0.6, 0.95]) {
        const smallest = of(goal, margin);
        expect(smallest).toBeGreaterThan(margin);
        expect(smallest).toBeLessThan(1);
        if (goal !== null && goal > margin) expect(smallest).toBeLessThanOrEqual(goal);
      }
    }
  });

  it("comes with the quest's own margin, alpha and budget", () => {
    const goal = { improveBy: 0.2, margin: 0.02, minEffect: null };
    const aim = { metric: { better: "higher" as const }, goal, alpha: 0.0125, pairsMax: 40 };
    expect(gatePolicyOf(aim)).toEqual({
      better: "higher",
      margin: 0.02,
      minEffect: 0.05,
      alpha: 0.0125,
      pairsMax: 40,
    });
  });
});

describe("the gate in simulation (lognormal noise)", () => {
  const loose = { ...policy, alpha: 0.05 };

  it.each([
    ["CV 5 %", { cv: 0.05, gain: 0 }],
    ["CV 5 %, the second run 2 % faster", { cv: 0.05, gain: 0, second: 0.02 }],
    ["CV 5 %, drifting 1 % a run", { cv: 0.05, gain: 0, driftPerRun: 0.01 }],
    ["CV 1 %, the second run 5 % faster", { cv: 0.01, gain: 0, second: 0.05 }],
  ])("accepts at most 2 %% of 400 A/A quests at alpha .05: %s", (_, world) => {
    expect(playMany(world, loose, 400, 21).gain).toBeLessThanOrEqual(0.02);
  });

  it("needs the random order: with base always first, a faster second run is accepted", () => {
    const fixed = { cv: 0.01, gain: 0, second: 0.05, fixedOrder: true };
    expect(playMany(fixed, loose, 50, 22).gain).toBeGreaterThan(0.9);
  });

  it("accepts a true gain of exactly the margin in at most alpha of 400 quests", () => {
    expect(
      playMany({ cv: 0.05, gain: 0.01 }, { ...loose, minEffect: 0.011 }, 400, 23).gain,
    ).toBeLessThanOrEqual(0.05);
  });

  it("stops an A/A after at most 36 runs on average (CV 5 %)", () => {
    expect(playMany({ cv: 0.05, gain: 0 }, policy, 400, 24).runs).toBeLessThanOrEqual(36);
  });

  it("proves a 5 % gain in at least 90 %, in about 71 runs (CV 5 %)", () => {
    const { gain, runs } = playMany({ cv: 0.05, gain: 0.05 }, policy, 400, 25);
    expect(gain).toBeGreaterThanOrEqual(0.9);
    expect(runs).toBeLessThanOrEqual(75);
  });

  it("proves a 10 % gain in at least 99 %, in about 31 runs (CV 5 %)", () => {
    const { gain, runs } = playMany({ cv: 0.05, gain: 0.1 }, policy, 400, 26);
    expect(gain).toBeGreaterThanOrEqual(0.99);
    expect(runs).toBeLessThanOrEqual(34);
  });

  it("proves a 10 % gain in at least 97 % (CV 10 %)", () => {
    expect(playMany({ cv: 0.1, gain: 0.1 }, policy, 400, 27).gain).toBeGreaterThanOrEqual(0.97);
  });
});
