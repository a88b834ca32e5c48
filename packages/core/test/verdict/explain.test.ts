import type { GuardSpec, Observation, Pair } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { explain } from "../../src/verdict/explain.ts";
import { gatePolicyOf, nextGateStep } from "../../src/verdict/gate.ts";
import { type JudgePolicy, judge } from "../../src/verdict/judge.ts";
import { confirmationSeed, firstOfPair } from "../../src/verdict/pair-order.ts";
import { evidenceOf, policyOf, samplesOf } from "./evidence.ts";
import { observe, pairOf, steadyPairs } from "./simulate.ts";

const rss: GuardSpec = { name: "rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.05 };

const seed = "s";
const policy = policyOf({ metric: { name: "p95_ms", from: "metric-line", unit: "ms", better: "lower" } });

/** Any number a run could ever give, mostly usable ones. */
const anyValue = fc.oneof(
  { weight: 40, arbitrary: fc.double({ min: 50, max: 200, noNaN: true }) },
  { weight: 1, arbitrary: fc.double() },
);
const anyRun: fc.Arbitrary<Observation> = fc
  .tuple(anyValue, anyValue)
  .map(([value, each]) => observe(value, { rss: each }));
const anyPairs = fc
  .tuple(fc.array(fc.tuple(anyRun, anyRun), { maxLength: 40 }), fc.double({ min: 0.5, max: 2, noNaN: true }))
  .map(([runs, factor]) =>
    runs.map(([base, candidate], at) =>
      pairOf(seed, at, base, { ...candidate, value: candidate.value * factor }),
    ),
  );
const anyPolicy = fc
  .record({
    guards: fc.constantFrom([], [rss]),
    alpha: fc.constantFrom(0.0125, 0.05, 0.5, 0, Number.NaN),
    pairsMax: fc.constantFrom(5, 16, 60, 0),
    better: fc.constantFrom("lower" as const, "higher" as const),
  })
  .map(({ better, ...part }): JudgePolicy => ({ ...policy, ...part, metric: { ...policy.metric, better } }));

describe("the path of E", () => {
  it("ends where the gate and the verdict end, for any samples", () => {
    let judged = 0;
    const property = fc.property(anyPairs, anyPolicy, (pairs, rules) => {
      const given = evidenceOf(samplesOf(seed, pairs));
      const { samples } = explain(given, rules);
      const step = nextGateStep(pairs, rules.guards, gatePolicyOf(rules));
      const verdict = judge(given, rules);
      expect(samples?.stop).toEqual(step);
      const counted = samples?.pairs.filter((pair) => pair.e !== null) ?? [];
      expect(samples?.pairs).toHaveLength(pairs.length);
      expect(counted).toHaveLength(step.pairs);
      const last = counted.at(-1);
      if (!last) return;
      expect([last.n, last.e, last.eFutility]).toEqual([step.pairs, step.e, step.eFutility]);
      if (verdict.pairs === 0) return;
      judged += 1;
      expect([last.n, last.e, last.eFutility]).toEqual([verdict.pairs, verdict.e, verdict.eFutility]);
      expect(last.guards.map(({ name, state, e }) => ({ name, state, e }))).toEqual(
        verdict.guards.map(({ name, state, e }) => ({ name, state, e })),
      );
    });
    fc.assert(property, { numRuns: 300 });
    expect(judged).toBeGreaterThan(50);
  });

  it("says the same after each pair as the gate did when it had measured no more", () => {
    const pairs = Array.from({ length: 12 }, (_, at) =>
      pairOf(seed, at, observe(100, { rss: 10 }), observe(90 - (at % 5), { rss: 10 + (at % 2) * 0.1 })),
    );
    const rules = { ...policy, guards: [rss] };
    const explained = explain(evidenceOf(samplesOf(seed, pairs)), rules).samples?.pairs ?? [];
    for (const [at, pair] of explained.entries()) {
      const step = nextGateStep(pairs.slice(0, at + 1), rules.guards, gatePolicyOf(rules));
      expect([pair.e, pair.eFutility]).toEqual(pair.e === null ? [null, null] : [step.e, step.eFutility]);
    }
    expect(explained.length).toBe(12);
  });

  it("leaves out of the path what came after the stop, and still shows the pair", () => {
    const { samples } = explain(evidenceOf(samplesOf(seed, steadyPairs(seed, 12, 0.2))), policy);
    expect(samples?.stop).toMatchObject({ state: "gain", pairs: 9 });
    expect(samples?.pairs.map((pair) => pair.e === null)).toEqual([
      ...Array(9).fill(false),
      ...Array(3).fill(true),
    ]);
    expect(samples?.pairs[11]?.gain).toBeCloseTo(0.2, 12);
  });
});

describe("what is explained besides", () => {
  it("the rules in the figures that a person compares with", () => {
    expect(explain(evidenceOf(null), policy).rules).toMatchObject({
      margin: 0.01,
      minEffect: 0.05,
      bound: 80,
      futilityBound: 10,
      guardBound: 20,
      pairsMax: 60,
    });
  });

  it("a pass without samples: what was found, and no samples", () => {
    const suspicions = [{ kind: "clock" as const, message: "it sets a clock", where: "src/a.js:3" }];
    const explained = explain(evidenceOf(null, { tests: "failed", suspicions }), policy);
    expect(explained.samples).toBeNull();
    expect(explained.found).toMatchObject({ tests: "failed", suspicions });
  });

  it("the fresh pairs and the effect that they give, of those that count", () => {
    const freshSeed = confirmationSeed(seed);
    const fresh = Array.from({ length: 20 }, (_, at) => ({
      first: firstOfPair(freshSeed, at),
      base: observe(100),
      candidate: observe(at < 16 ? 75 : 1),
    }));
    const samples = samplesOf(seed, steadyPairs(seed, 9, 0.3), { confirmation: fresh });
    const explained = explain(evidenceOf(samples), policy).samples;
    expect(explained?.confirmation.counted).toBe(16);
    expect(explained?.confirmation.effect?.estimate).toBeCloseTo(0.25, 12);
    expect(explained?.confirmation.pairs).toHaveLength(20);
    expect(explained?.decidingEffect?.estimate).toBeCloseTo(0.3, 12);
    expect(explained?.total).toBeNull();
  });

  it("what the samples say against the candidate, as the verdict does", () => {
    const pairs = steadyPairs(seed, 9, 0.2).map((pair) => ({
      ...pair,
      base: { ...pair.base, digest: "a" },
      candidate: { ...pair.candidate, digest: "b" },
    }));
    const given = evidenceOf(samplesOf(seed, pairs));
    const [suspicion] = explain(given, policy).samples?.suspicions ?? [];
    expect(suspicion?.kind).toBe("digest");
    expect(judge(given, policy)).toMatchObject({ verdict: "HACK_SUSPECTED", reasons: [suspicion?.message] });
  });

  it("a record that is not as its seed drew, by the pair", () => {
    const pairs = steadyPairs(seed, 9, 0.2);
    const first = pairs[3]?.first === "base" ? "candidate" : "base";
    const moved = pairs.map((pair, at) => (at === 3 ? ({ ...pair, first } as Pair) : pair));
    expect(explain(evidenceOf(samplesOf(seed, moved)), policy).samples?.fault).toContain(
      "Pair 4 of the deciding",
    );
  });

  it("a value that is no number: the pair has no gain, and the series no path", () => {
    const pairs = [...steadyPairs(seed, 4, 0.2), pairOf(seed, 4, observe(0), observe(1))];
    const { samples } = explain(evidenceOf(samplesOf(seed, pairs)), policy);
    expect(samples?.stop.state).toBe("broken");
    expect(samples?.pairs.map(({ gain, e }) => [gain === null, e])).toEqual([
      ...Array(4).fill([false, null]),
      [true, null],
    ]);
  });
});
