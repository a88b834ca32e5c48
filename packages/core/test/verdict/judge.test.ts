import type { GateSamples, GuardSpec, Pair } from "@questbus/protocol";
import { verdict as verdictSchema } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JudgePolicy, judge, type PassEvidence } from "../../src/verdict/judge.ts";
import { confirmationSeed, remeasureSeed, totalSeed } from "../../src/verdict/pair-order.ts";
import { evidenceOf, policyOf, samplesOf } from "./evidence.ts";
import { observe, pairOf, steadyPairs } from "./simulate.ts";

const seed = "q-00000001/1";
const rss: GuardSpec = { name: "rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.05 };
const policy = policyOf({
  metric: { name: "wall", from: "wall-time", unit: "s", better: "lower" },
  guards: [rss],
  pairsMax: 90,
  signOff: ["architect", "performance", "qa", "ops"],
});
const yes = { vote: "yes" as const, reasons: [] };
const signOffs = { architect: yes, performance: yes, qa: yes, ops: yes };
const guards = { rss: 1000 };

const samplesWith = (gain: number, part: Partial<GateSamples> = {}): GateSamples => ({
  ...samplesOf(seed, steadyPairs(seed, 20, gain, guards)),
  confirmation: steadyPairs(confirmationSeed(seed), 16, gain, guards),
  ...part,
});
const pass = (part: Partial<PassEvidence> = {}): PassEvidence => ({
  ...evidenceOf(samplesWith(0.25), { signOffs }),
  ...part,
});
const fault = { code: "MACHINE_UNFIT" as const, message: "The load was 9." };
const wordOf = (part: Partial<PassEvidence>, under: Partial<JudgePolicy> = {}): string =>
  judge(pass(part), { ...policy, ...under }).verdict;
const withSamples = (gain: number, part: Partial<GateSamples> = {}): Partial<PassEvidence> => ({
  samples: samplesWith(gain, part),
});

/** Pairs whose candidate's guard is `rssOf(i)` against 1000. */
const guardedPairs = (count: number, gain: number, rssOf: (i: number) => number): Pair[] =>
  Array.from({ length: count }, (_, i) =>
    pairOf(seed, i, observe(100, guards), observe(100 * (1 - gain), { rss: rssOf(i) })),
  );

describe("a proven and confirmed gain", () => {
  it("is accepted at or above the goal, with the figures", () => {
    const found = judge(pass(), policy);
    expect(found.verdict).toBe("ACCEPT");
    expect(found.reasons[0]).toBe("25 % faster (95 % interval 25 % to 25 %), at or above the goal of 20 %.");
    expect(found.effect?.estimate).toBeCloseTo(0.25, 12);
    expect(found).toMatchObject({ total: null, alpha: 0.0125, pairs: 9 });
    expect(found.e).toBeGreaterThanOrEqual(80);
    expect(found.guards).toMatchObject([{ name: "rss", state: "holds", worsening: 0 }]);
  });

  it("is kept below the goal", () => {
    const found = judge(pass(withSamples(0.12)), policy);
    expect(found.verdict).toBe("KEEP");
    expect(found.reasons[0]).toContain("12 % faster");
    expect(found.reasons[0]).toContain("below the goal of 20 %");
  });

  it("is accepted without a goal, however small above the margin", () => {
    expect(wordOf(withSamples(0.06), { goal: { improveBy: null, margin: 0.01, minEffect: null } })).toBe(
      "ACCEPT",
    );
  });

  it("is held against the goal by the total where there is one, in both directions", () => {
    const total = (gain: number): Pair[] => steadyPairs(totalSeed(seed), 16, gain, guards);
    const found = judge(pass(withSamples(0.1, { total: total(0.22) })), policy);
    expect(found.verdict).toBe("ACCEPT");
    expect(found.total?.estimate).toBeCloseTo(0.22, 12);
    expect(found.effect?.estimate).toBeCloseTo(0.1, 12);
    expect(wordOf(withSamples(0.25, { total: total(0.18) }))).toBe("KEEP");
  });

  it("reads better where more is better, and names a metric that is no time", () => {
    const metric = { name: "rate", from: "metric-line", unit: "req/s", better: "higher" as const };
    const found = judge(pass(withSamples(-0.5)), { ...policy, metric });
    expect(found.verdict).toBe("ACCEPT");
    expect(found.reasons[0]).toContain("50 % better (rate)");
  });

  it("is the same verdict each time, and follows the contract", () => {
    const found = judge(pass(), policy);
    expect(judge(pass(), policy)).toEqual(found);
    expect(verdictSchema.parse(found)).toEqual(found);
  });
});

describe("the order of the verdicts", () => {
  const steps: [string, Partial<PassEvidence>][] = [
    ["ENV_UNFIT", { unfit: fault }],
    ["CRASH", { crash: { code: "BENCH_FAILED", message: "Exit 1." } }],
    ["HACK_SUSPECTED", { forbiddenPaths: ["bench/run.mjs"] }],
    [
      "HACK_SUSPECTED",
      { suspicions: [{ kind: "clock", message: "It sets the clock.", where: "src/a.mjs:3" }] },
    ],
    ["NO_EFFECT", { changedNothing: true }],
    ["TESTS_FAILED", { tests: "failed" }],
    ["INCONCLUSIVE", { samples: null }],
  ];

  it.each(steps)("says %s where only that stands", (word, part) => {
    expect(wordOf(part)).toBe(word);
  });

  it("lets each stand before all that follow it", () => {
    steps.forEach(([word], k) => {
      const all = Object.assign({}, ...steps.slice(k).map(([, part]) => part)) as Partial<PassEvidence>;
      expect(wordOf(all)).toBe(word);
    });
  });

  it("is inconclusive when the tests have not run", () => {
    expect(wordOf({ tests: null })).toBe("INCONCLUSIVE");
  });

  it("names the fault and the forbidden paths", () => {
    expect(judge(pass({ unfit: fault }), policy).reasons[0]).toContain("The load was 9. (MACHINE_UNFIT)");
    const paths = Array.from({ length: 12 }, (_, i) => `p${i}`);
    expect(judge(pass({ forbiddenPaths: paths }), policy).reasons[0]).toContain("p9 and 2 more");
  });
});

describe("the samples", () => {
  const flip = (pairs: Pair[], at: number): Pair[] =>
    pairs.map((each, i) =>
      i === at ? { ...each, first: each.first === "base" ? "candidate" : "base" } : each,
    );
  const series = {
    pairs: seed,
    confirmation: confirmationSeed(seed),
    total: totalSeed(seed),
    remeasure: remeasureSeed(seed),
  };

  it.each(["pairs", "confirmation", "total", "remeasure"] as const)(
    "crash when one of %s was run in another order",
    (name) => {
      const good = steadyPairs(series[name], 16, 0.25, guards);
      expect(wordOf(withSamples(0.25, { [name]: good }))).toBe("ACCEPT");
      const found = judge(pass(withSamples(0.25, { [name]: flip(good, 15) })), policy);
      expect(found.verdict).toBe("CRASH");
      expect(found.reasons[0]).toContain("Pair 16");
    },
  );

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])("crash when a value of any series is %s", (bad) => {
    for (const name of ["pairs", "confirmation", "total", "remeasure"] as const) {
      const good = steadyPairs(series[name], 16, 0.25, guards);
      const broken = good.map((each, i) => (i === 12 ? { ...each, base: observe(bad, guards) } : each));
      expect(wordOf(withSamples(0.25, { [name]: broken }))).toBe("CRASH");
    }
  });

  const unsound: [string, unknown][] = [
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, null, "9"].map((bad): [string, unknown] => [
      "wallMs",
      bad,
    ]),
    ...[-1, Number.NaN, Number.NEGATIVE_INFINITY, "9", undefined].map((bad): [string, unknown] => [
      "cpuMs",
      bad,
    ]),
    ...[17, undefined, {}].map((bad): [string, unknown] => ["digest", bad]),
  ];
  it.each(unsound)("crash when %s of a run is %s, in any series and arm: a clock went back", (field, bad) => {
    for (const name of ["pairs", "confirmation", "total", "remeasure"] as const)
      for (const arm of ["base", "candidate"] as const) {
        const good = steadyPairs(series[name], 16, 0.25, guards);
        const broken = good.map((each, i) =>
          i === 7 ? { ...each, [arm]: { ...each[arm], [field]: bad } } : each,
        );
        expect(wordOf(withSamples(0.25, { [name]: broken }))).toBe("CRASH");
      }
  });

  it("crash when an arm is missing", () => {
    const broken = steadyPairs(seed, 20, 0.25, guards).map(({ first, base }) => ({ first, base }) as Pair);
    expect(wordOf(withSamples(0.25, { pairs: broken }))).toBe("CRASH");
  });

  it("crash when a guard was not measured", () => {
    expect(wordOf(withSamples(0.25, { pairs: steadyPairs(seed, 20, 0.25) }))).toBe("CRASH");
  });

  it("decide where the gate first stops, whatever follows (J3)", () => {
    const late = [...steadyPairs(seed, 9, 0.25, guards), ...guardedPairs(60, -1, () => 5000).slice(9)];
    const found = judge(pass(withSamples(0.25, { pairs: late })), policy);
    expect(found).toMatchObject({ verdict: "ACCEPT", pairs: 9 });
  });

  it("cannot be searched for a better end: only the first confirmation pairs count (J4)", () => {
    const longer = [
      ...steadyPairs(confirmationSeed(seed), 16, 0.12, guards),
      ...steadyPairs(confirmationSeed(seed), 60, 0.5, guards).slice(16),
    ];
    expect(wordOf(withSamples(0.25, { confirmation: longer }))).toBe("KEEP");
  });
});

describe("no proven gain", () => {
  it("is NO_EFFECT when the estimate is at or below the margin", () => {
    expect(wordOf(withSamples(0))).toBe("NO_EFFECT");
    expect(wordOf(withSamples(-0.3))).toBe("NO_EFFECT");
    expect(judge(pass(withSamples(-0.3)), policy).reasons[0]).toContain("30 % slower");
  });

  it("is NO_EFFECT when the spread does not tell the estimate from none", () => {
    const gains = [0.04, -0.006, 0.03, -0.01, 0.035, 0.012, -0.004, 0.02, 0.016, 0.001];
    const pairs = Array.from({ length: 30 }, (_, i) =>
      pairOf(seed, i, observe(100, guards), observe(100 * (1 - (gains[i % gains.length] as number)), guards)),
    );
    const found = judge(pass({ samples: samplesWith(0, { pairs, confirmation: [] }) }), {
      ...policy,
      goal: { ...policy.goal, minEffect: 0.1 },
    });
    expect(found.verdict).toBe("NO_EFFECT");
    expect(found.reasons[0]).toMatch(
      /^1\.\d % faster over \d+ pairs, which their spread does not tell from none\.$/,
    );
  });

  it("is BELOW_MIN_EFFECT when there is a gain too small to chase", () => {
    const found = judge(pass(withSamples(0.03)), policy);
    expect(found.verdict).toBe("BELOW_MIN_EFFECT");
    expect(found.reasons[0]).toContain("below the smallest effect worth chasing (5 %)");
    expect(found).toMatchObject({ pairs: 5, effect: { level: 0.95 } });
    expect(judge(pass(withSamples(0.03, { confirmation: [] })), policy).effect).toBeNull();
  });

  it("is INCONCLUSIVE when the budget is spent, or the series ended before", () => {
    const swing = Array.from(
      { length: 30 },
      (_, i) => steadyPairs(seed, i + 1, i % 2 ? 0.2 : -0.15, guards)[i] as Pair,
    );
    const spent = judge(pass(withSamples(0.25, { pairs: swing, confirmation: [] })), {
      ...policy,
      pairsMax: 30,
    });
    expect(spent).toMatchObject({ verdict: "INCONCLUSIVE", pairs: 30 });
    expect(spent.effect).not.toBeNull();
    const short = judge(pass(withSamples(0.25, { pairs: steadyPairs(seed, 8, 0.25, guards) })), policy);
    expect(short.verdict).toBe("INCONCLUSIVE");
    expect(short.reasons[0]).toContain("ended before its budget");
  });
});

describe("a guard", () => {
  it("that regressed stops a gain", () => {
    const found = judge(pass(withSamples(0.25, { pairs: guardedPairs(20, 0.25, () => 1100) })), policy);
    expect(found.verdict).toBe("GUARD_REGRESSION");
    expect(found.reasons[0]).toBe("Guard rss is 10 % worse; its bound is 5 % worse: shown to be beyond it.");
  });

  it("that regressed stands before a futility that shows at the same pair", () => {
    const later = guardedPairs(20, 0, (i) => (i === 0 ? 1000 : 9000));
    const pairs = [...guardedPairs(1, 0.2, () => 1000), ...later.slice(1)];
    const without = judge(pass(withSamples(0.25, { pairs })), { ...policy, guards: [] });
    expect(without).toMatchObject({ verdict: "NO_EFFECT", pairs: 10 });
    const found = judge(pass(withSamples(0.25, { pairs })), policy);
    expect(found).toMatchObject({ verdict: "GUARD_REGRESSION", pairs: 10 });
  });

  it("that is undecided blocks a proven gain, and is named", () => {
    const pairs = guardedPairs(30, 0.25, (i) => (i % 2 ? 900 : 1210));
    const found = judge(pass(withSamples(0.25, { pairs })), { ...policy, pairsMax: 30 });
    expect(found).toMatchObject({ verdict: "INCONCLUSIVE", pairs: 30 });
    expect(found.e).toBeGreaterThanOrEqual(80);
    expect(found.reasons[0]).toContain("Guard rss");
  });
});

describe("the sign-offs", () => {
  it.each(policy.signOff)("block a proven gain when %s has not signed, and name the role", (role) => {
    const found = judge(
      pass({ signOffs: { ...signOffs, [role]: undefined } as PassEvidence["signOffs"] }),
      policy,
    );
    expect(found.verdict).toBe("INCONCLUSIVE");
    expect(found.reasons).toEqual([`${role} has not signed off.`]);
  });

  it("block a proven gain when one says no, with its reasons", () => {
    const found = judge(
      pass({ signOffs: { ...signOffs, qa: { vote: "no", reasons: ["no test covers it"] } } }),
      policy,
    );
    expect(found.verdict).toBe("INCONCLUSIVE");
    expect(found.reasons[0]).toBe("qa says no: no test covers it");
  });

  it("count only where the policy asks for them", () => {
    expect(wordOf({ signOffs: { qa: yes } }, { signOff: ["qa"] })).toBe("ACCEPT");
  });

  it("lift nothing that the samples do not prove", () => {
    expect(wordOf(withSamples(0))).toBe("NO_EFFECT");
  });
});

describe("the confirmation", () => {
  it("must have all its pairs, and so must the total", () => {
    const confirmation = steadyPairs(confirmationSeed(seed), 15, 0.25, guards);
    expect(wordOf(withSamples(0.25, { confirmation }))).toBe("INCONCLUSIVE");
    const total = steadyPairs(totalSeed(seed), 15, 0.25, guards);
    expect(wordOf(withSamples(0.25, { total }))).toBe("INCONCLUSIVE");
  });

  it.each([
    ["with a goal", policy.goal, null],
    ["without a goal", { ...policy.goal, improveBy: null }, null],
    ["after a gain that was kept", policy.goal, steadyPairs(totalSeed(seed), 16, 0.25, guards)],
  ])("must show a gain above the margin itself: %s", (_, goal, total) => {
    const noisy = Array.from({ length: 16 }, (__, i) => (i % 2 ? 0.06 : -0.05));
    const confirmation = noisy.map((gain, i) =>
      pairOf(confirmationSeed(seed), i, observe(100, guards), observe(100 * (1 - gain), guards)),
    );
    const found = judge(pass(withSamples(0.25, { confirmation, total })), { ...policy, goal });
    expect(found.verdict).toBe("INCONCLUSIVE");
    expect(found.reasons[0]).toMatch(/^The fresh pairs do not confirm the gain: 0\.\d % faster/);
  });

  it("must not contradict the gain", () => {
    const found = judge(
      pass(withSamples(0.25, { confirmation: steadyPairs(confirmationSeed(seed), 16, -0.1, guards) })),
      policy,
    );
    expect(found.verdict).toBe("INCONCLUSIVE");
    expect(found.reasons[0]).toContain("10 % slower");
    expect(found.effect?.estimate).toBeCloseTo(-0.1, 12);
  });

  it("cannot be waived by a policy that asks for too few pairs", () => {
    for (const confirmationPairs of [0, 5, Number.NaN]) {
      const found = judge(pass(), { ...policy, confirmationPairs });
      expect(found.verdict).toBe("INCONCLUSIVE");
      expect(found.reasons).toEqual(["The policy asks for fewer than 6 confirmation pairs."]);
    }
  });
});

describe("judging is total", () => {
  const open = new Set(["ACCEPT", "KEEP"]);
  const bad = fc.constantFrom<unknown>(
    0,
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    undefined,
    null,
    "9",
    {},
  );

  it("never accepts a series with one broken metric, wherever it stands", () => {
    const rule = (
      value: unknown,
      at: number,
      name: "pairs" | "confirmation",
      arm: "base" | "candidate",
    ): void => {
      const samples = structuredClone(samplesWith(0.25));
      Object.assign((samples[name][at] as Pair)[arm], { value });
      const found = judge(pass({ samples }), policy);
      expect(open.has(found.verdict)).toBe(false);
      verdictSchema.parse(found);
    };
    const where = fc.constantFrom("pairs" as const, "confirmation" as const);
    fc.assert(
      fc.property(
        bad,
        fc.nat({ max: 15 }),
        where,
        fc.constantFrom("base" as const, "candidate" as const),
        rule,
      ),
    );
  });

  it("never accepts evidence with a field left out or replaced by anything else", () => {
    const fields = [
      "unfit",
      "crash",
      "changedNothing",
      "forbiddenPaths",
      "tests",
      "samples",
      "signOffs",
    ] as const;
    const good: Record<string, unknown> = {
      unfit: null,
      crash: null,
      changedNothing: false,
      forbiddenPaths: "[]",
      tests: "passed",
    };
    const rule = (field: (typeof fields)[number], value: unknown): void => {
      fc.pre(
        value !== good[field] && !(field === "forbiddenPaths" && Array.isArray(value) && value.length === 0),
      );
      const found = judge({ ...pass(), [field]: value } as PassEvidence, policy);
      expect(open.has(found.verdict)).toBe(false);
      verdictSchema.parse(found);
    };
    fc.assert(fc.property(fc.constantFrom(...fields), fc.oneof(bad, fc.anything()), rule), { numRuns: 500 });
  });

  it("never accepts samples of any other shape", () => {
    const rule = (samples: unknown): void => {
      const found = judge(pass({ samples: samples as GateSamples }), policy);
      expect(open.has(found.verdict)).toBe(false);
      verdictSchema.parse(found);
    };
    const part = fc.oneof(bad, fc.anything(), fc.array(fc.anything()));
    const shape = fc.record(
      { seed: fc.oneof(fc.string(), bad), pairs: part, confirmation: part, total: part },
      { requiredKeys: [] },
    );
    fc.assert(fc.property(fc.oneof(shape, fc.anything()), rule), { numRuns: 500 });
  });

  it("never accepts random finite samples that hold no gain", () => {
    const value = fc.double({ min: 1, max: 1.02, noNaN: true });
    const rule = (list: [number, number][]): void => {
      const pairs = list.map(([base, candidate], i) =>
        pairOf(seed, i, observe(base, guards), observe(candidate, guards)),
      );
      const found = judge(pass({ samples: samplesWith(0, { pairs, confirmation: pairs }) }), {
        ...policy,
        goal: { improveBy: 0.2, margin: 0.02, minEffect: null },
      });
      expect(open.has(found.verdict)).toBe(false);
      verdictSchema.parse(found);
    };
    fc.assert(fc.property(fc.array(fc.tuple(value, value), { maxLength: 40 }), rule));
  });

  it("never accepts under a policy out of range", () => {
    const wrong: Partial<Record<keyof JudgePolicy, unknown>>[] = [
      { alpha: Number.NaN },
      { alpha: 0 },
      { alpha: 1 },
      { pairsMax: 0 },
      { goal: { improveBy: Number.NaN, margin: 0.01 } },
      { goal: { improveBy: -1, margin: 0.01 } },
      { goal: { improveBy: 0.2, margin: Number.NaN } },
      { goal: { improveBy: 0.2, margin: -1 } },
      { goal: undefined },
      { guards: undefined },
      { guards: [{ ...rss, worseBy: Number.NaN }] },
      { signOff: undefined },
      { metric: undefined },
    ];
    for (const part of wrong) {
      const found = judge(pass(), { ...policy, ...part } as JudgePolicy);
      expect(open.has(found.verdict)).toBe(false);
      verdictSchema.parse(found);
    }
    expect(open.has(judge(pass(), undefined as unknown as JudgePolicy).verdict)).toBe(false);
    expect(open.has(judge(undefined as unknown as PassEvidence, policy).verdict)).toBe(false);
  });
});
