import { type GateSamples, type GuardSpec, type Pair, verdict as verdictSchema } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type GatePolicy, nextGateStep } from "../../src/verdict/gate.ts";
import { type JudgePolicy, judge } from "../../src/verdict/judge.ts";
import { confirmationSeed, totalSeed } from "../../src/verdict/pair-order.ts";
import { evidenceOf, policyOf, samplesOf } from "./evidence.ts";
import { normal, observe, pairOf, uniform } from "./simulate.ts";

/** What holds of the gate for any data, however it came about. */

const seed = "p";
const rss: GuardSpec = { name: "rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.1 };
const policy = policyOf({
  metric: { name: "time", from: "metric-line", unit: "ms", better: "lower" },
  goal: { improveBy: 0.05, margin: 0.01, minEffect: null },
  guards: [rss],
});

type World = { noise: number; gain: number; cv: number };
const worlds = fc.record({
  noise: fc.nat({ max: 1e6 }),
  gain: fc.double({ min: -0.4, max: 0.4, noNaN: true }),
  cv: fc.double({ min: 0, max: 0.15, noNaN: true }),
});

/** The samples of a whole pass in a world; `total` as where something was kept before. */
function samplesIn({ noise, gain, cv }: World): GateSamples {
  const gauss = normal(noise);
  const run = (length: number) => observe(100 * length * Math.exp(cv * gauss()), { rss: 500 });
  const series = (from: string, count: number): Pair[] =>
    Array.from({ length: count }, (_, k) => pairOf(from, k, run(1), run(1 - gain)));
  return samplesOf(seed, series(seed, 60), {
    confirmation: series(confirmationSeed(seed), 16),
    total: series(totalSeed(seed), 16),
  });
}

const judged = (samples: GateSamples, under: JudgePolicy = policy) => judge(evidenceOf(samples), under);
const isOpen = (word: string): boolean => word === "ACCEPT" || word === "KEEP";

/** Every series of the samples, pair by pair. */
const mapPairs = (samples: GateSamples, change: (pair: Pair) => Pair): GateSamples => ({
  ...samples,
  pairs: samples.pairs.map(change),
  confirmation: samples.confirmation.map(change),
  total: samples.total?.map(change) ?? null,
});

describe("a fair game", () => {
  const times = fc.array(
    fc.tuple(
      fc.double({ min: 0.01, max: 1e4, noNaN: true }),
      fc.double({ min: 0.01, max: 1e4, noNaN: true }),
    ),
    {
      minLength: 1,
      maxLength: 8,
    },
  );

  /** The mean evidence of the gate over all orders that its coins could have drawn, the machine doing the same in each. */
  function meanOverOrders(runs: readonly [number, number][], gate: GatePolicy): number {
    let sum = 0;
    for (let coins = 0; coins < 2 ** runs.length; coins++) {
      const pairs = runs.map(([one, two], k): Pair => {
        const [base, candidate] = (coins >> k) & 1 ? [one, two] : [two, one];
        return { first: "base", base: observe(base), candidate: observe(candidate) };
      });
      sum += nextGateStep(pairs, [], gate).e;
    }
    return sum / 2 ** runs.length;
  }

  it("has mean exactly 1 on the same program twice, whatever the machine does, its stopping included", () => {
    const gate: GatePolicy = { better: "lower", margin: 0, minEffect: 0.05, alpha: 0.05, pairsMax: 90 };
    fc.assert(
      fc.property(times, (runs) => {
        expect(meanOverOrders(runs, gate)).toBeCloseTo(1, 9);
      }),
      { numRuns: 40 },
    );
  });

  it("has mean at most 1 with a margin", () => {
    const gate: GatePolicy = { better: "lower", margin: 0.01, minEffect: 0.05, alpha: 0.05, pairsMax: 90 };
    fc.assert(
      fc.property(times, (runs) => {
        expect(meanOverOrders(runs, gate)).toBeLessThanOrEqual(1 + 1e-9);
      }),
      { numRuns: 40 },
    );
  });

  it("keeps a mean of 1 over many simulated passes at the margin, wherever they stop", () => {
    const gate: GatePolicy = { better: "lower", margin: 0.01, minEffect: 0.05, alpha: 0.05, pairsMax: 40 };
    const gauss = normal(51);
    const coin = uniform(52);
    const passes = 1_000;
    let sum = 0;
    for (let pass = 0; pass < passes; pass++) {
      const scale = 10 ** (3 * coin());
      const pairs = Array.from({ length: 40 }, (_, k) =>
        pairOf(
          `${pass}`,
          k,
          observe(scale * Math.exp(0.05 * gauss())),
          observe(scale * 0.99 * Math.exp(0.05 * gauss())),
        ),
      );
      sum += nextGateStep(pairs, [], gate).e;
    }
    // Its standard deviation is below √(1/alpha) a pass: the mean is within .4 of 1 at three of them.
    expect(sum / passes).toBeGreaterThan(0.6);
    expect(sum / passes).toBeLessThan(1.4);
  });
});

describe("the verdict", () => {
  it("does not depend on the unit of the metric", () => {
    const factor = fc.double({ min: 1e-9, max: 1e9, noNaN: true });
    const rule = (world: World, by: number): void => {
      const samples = samplesIn(world);
      const scaled = judged(
        mapPairs(samples, (pair) => ({
          ...pair,
          base: { ...pair.base, value: pair.base.value * by },
          candidate: { ...pair.candidate, value: pair.candidate.value * by },
        })),
      );
      const found = judged(samples);
      expect(scaled).toMatchObject({ verdict: found.verdict, reasons: found.reasons, pairs: found.pairs });
      expect(scaled.e).toBeCloseTo(found.e, 6);
    };
    fc.assert(fc.property(worlds, factor, rule), { numRuns: 60 });
  });

  it("does not depend on what metric, unit and guards are called", () => {
    const rule = (world: World): void => {
      const samples = samplesIn(world);
      const renamed = mapPairs(samples, (pair) => ({
        ...pair,
        base: { ...pair.base, guards: { other: 500 } },
        candidate: { ...pair.candidate, guards: { other: 500 } },
      }));
      const named = { ...policy.metric, name: "toString", unit: "parsecs" };
      const found = judged(renamed, { ...policy, metric: named, guards: [{ ...rss, name: "other" }] });
      const { verdict, e, eFutility, pairs, effect } = judged(samples);
      expect(found).toMatchObject({ verdict, e, eFutility, pairs, effect });
    };
    fc.assert(fc.property(worlds, rule), { numRuns: 40 });
  });

  it("is the same for a metric of which more is better, turned over", () => {
    const rule = (world: World): void => {
      const samples = samplesIn(world);
      const over = mapPairs(samples, (pair) => ({
        ...pair,
        base: { ...pair.base, value: 1 / pair.base.value },
        candidate: { ...pair.candidate, value: 1 / pair.candidate.value },
      }));
      const share = (less: number): number => less / (1 - less);
      const goal = { improveBy: share(0.05), margin: share(0.01), minEffect: share(0.05) };
      const found = judged(over, { ...policy, metric: { ...policy.metric, better: "higher" }, goal });
      expect(found).toMatchObject({ verdict: judged(samples).verdict, pairs: judged(samples).pairs });
    };
    fc.assert(fc.property(worlds, rule), { numRuns: 40 });
  });

  it("is for one arm at most: what is accepted is not accepted the other way round", () => {
    const rule = (world: World): void => {
      const samples = samplesIn(world);
      const swapped = mapPairs(samples, ({ first, base, candidate }) => ({
        first,
        base: candidate,
        candidate: base,
      }));
      expect(isOpen(judged(samples).verdict) && isOpen(judged(swapped).verdict)).toBe(false);
    };
    fc.assert(fc.property(worlds, rule), { numRuns: 80 });
  });
});

describe("a broken sample", () => {
  const good: World = { noise: 7, gain: 0.3, cv: 0.02 };
  const sound = samplesIn(good);
  type Arm = "base" | "candidate";
  type Series = "pairs" | "confirmation" | "total";
  const place = fc.record({
    at: fc.nat({ max: 15 }),
    arm: fc.constantFrom<Arm>("base", "candidate"),
    series: fc.constantFrom<Series>("pairs", "confirmation", "total"),
  });
  const noNumber = fc.constantFrom<unknown>(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    -1,
    "9",
    "NaN",
    "",
    true,
    undefined,
    [],
    [9],
    {},
    new Date(0),
    9n,
  );

  const brokenBy = (change: (samples: GateSamples, at: Where) => void, at: Where): void => {
    const samples = structuredClone(sound);
    change(samples, at);
    const found = judged(samples);
    expect(isOpen(found.verdict), found.reasons.join(" ")).toBe(false);
    verdictSchema.parse(found);
  };
  type Where = { at: number; arm: Arm; series: Series };
  type Loose = Record<string, unknown>;
  const pairAt = (samples: GateSamples, { at, series }: Where): Loose =>
    (samples[series] as Pair[])[at] as unknown as Loose;
  const observationAt = (samples: GateSamples, where: Where): Loose =>
    pairAt(samples, where)[where.arm] as Loose;

  it("is none where nothing is broken", () => {
    expect(judged(sound).verdict).toBe("ACCEPT");
  });

  it.each([
    ["value", [0, null]],
    ["wallMs", [null]],
    ["cpuMs", []],
  ] as const)("%s that is no such number is never accepted", (field, more) => {
    fc.assert(
      fc.property(place, fc.oneof(noNumber, fc.constantFrom<unknown>(Number.NaN, ...more)), (where, bad) => {
        brokenBy((samples, at) => Object.assign(observationAt(samples, at), { [field]: bad }), where);
      }),
      { numRuns: 60 },
    );
  });

  it("a guard that is missing or no such number is never accepted", () => {
    fc.assert(
      fc.property(place, fc.oneof(noNumber, fc.constant(null)), (where, bad) => {
        brokenBy((samples, at) => Object.assign(observationAt(samples, at), { guards: { rss: bad } }), where);
        brokenBy((samples, at) => Object.assign(observationAt(samples, at), { guards: bad }), where);
      }),
      { numRuns: 50 },
    );
  });

  const damages: Record<string, (samples: GateSamples, where: Where) => unknown> = {
    "one arm missing": (samples, where) => delete pairAt(samples, where)[where.arm],
    "a pair missing from the middle": (samples, { at, series }) => delete samples[series]?.[at],
    "a pair that is no pair": (samples, { at, series }) =>
      Object.assign(samples[series] ?? [], { [at]: "pair" }),
    "another order inside a pair": (samples, where) => {
      const pair = pairAt(samples, where);
      pair.first = pair.first === "base" ? "candidate" : "base";
    },
    "no order": (samples, where) => delete pairAt(samples, where).first,
    "arms that are lists": (samples, where) => Object.assign(pairAt(samples, where), { [where.arm]: [1, 2] }),
    "another seed": (samples, { at }) => Object.assign(samples, { seed: `other ${at}` }),
    "no seed": (samples) => delete (samples as Partial<GateSamples>).seed,
    "a series too short": (samples, { series }) => samples[series]?.splice(series === "pairs" ? 8 : 15),
    "no series": (samples, { series }) => Object.assign(samples, { [series]: [] }),
    "a series that is text": (samples, { series }) => Object.assign(samples, { [series]: "100 70" }),
    "a series that is a count": (samples, { series }) => Object.assign(samples, { [series]: { length: 60 } }),
  };

  it.each(Object.entries(damages))("%s is never accepted", (_, damage) => {
    fc.assert(
      fc.property(place, (where) => brokenBy(damage, where)),
      { numRuns: 40 },
    );
  });

  it("among a great many pairs is never accepted, and is found in no time", () => {
    const many = Array.from({ length: 50_000 }, (_, k) =>
      pairOf(seed, k, observe(100, { rss: 500 }), observe(k === 49_999 ? Number.NaN : 70, { rss: 500 })),
    );
    expect(isOpen(judged({ ...sound, pairs: many }).verdict)).toBe(false);
  });

  it("of the largest and smallest numbers there are gives a verdict", () => {
    const extreme = fc.constantFrom(Number.MIN_VALUE, Number.MAX_VALUE, Number.EPSILON, 1e-300, 1e300);
    fc.assert(
      fc.property(fc.array(fc.tuple(extreme, extreme), { minLength: 20, maxLength: 40 }), (values) => {
        const series = (from: string): Pair[] =>
          values.map(([base, candidate], k) =>
            pairOf(from, k, observe(base, { rss: base }), observe(candidate, { rss: candidate })),
          );
        const found = judged({
          ...samplesIn(good),
          pairs: series(seed),
          confirmation: series(confirmationSeed(seed)),
          total: null,
        });
        verdictSchema.parse(found);
        expect([found.e, found.eFutility].every(Number.isFinite)).toBe(true);
      }),
    );
  });
});
