import type { MetricSpec, Observation, Pair } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type JudgePolicy, judge } from "../../src/verdict/judge.ts";
import {
  confirmationSeed,
  firstOfPair,
  remeasureSeed,
  totalSeed,
  workloadSeed,
} from "../../src/verdict/pair-order.ts";
import {
  isImplausible,
  suspectDigest,
  suspectImplausible,
  suspectWallClock,
  unclocked,
} from "../../src/verdict/run-guard.ts";
import { evidenceOf, policyOf, samplesOf } from "./evidence.ts";
import { normal } from "./simulate.ts";

const seed = "s";
const metric: MetricSpec = { name: "run_ms", from: "metric-line", unit: "ms", better: "lower" };
type Run = Partial<Observation> & { value: number };
const run = ({ value, ...more }: Run): Observation => ({
  value,
  guards: {},
  wallMs: value + 50,
  cpuMs: value + 40,
  digest: null,
  ...more,
});
const series = (count: number, of: (at: number) => [Run, Run], from = seed): Pair[] =>
  Array.from({ length: count }, (_, at) => {
    const [base, candidate] = of(at).map(run) as [Observation, Observation];
    return { first: firstOfPair(from, at), base, candidate };
  });

const policy = policyOf({ metric });
type Parts = { of: (at: number) => [Run, Run]; total?: Pair[] | null; remeasure?: Pair[] | null };
const verdictOf = ({ of, total = null, remeasure = null }: Parts, under: Partial<JudgePolicy> = {}) =>
  judge(
    evidenceOf(
      samplesOf(seed, series(20, of), {
        confirmation: series(16, of, confirmationSeed(seed)),
        total,
        remeasure,
      }),
    ),
    { ...policy, ...under },
  );

describe("a metric without a unit", () => {
  it("is said to be held against no clock, where it may be a time of the run", () => {
    expect(unclocked({ ...metric, unit: "" })).toContain("add unit: ms");
    expect(unclocked(metric)).toBe(null);
    expect(unclocked({ ...metric, unit: "steps" })).toBe(null);
    expect(unclocked({ ...metric, unit: "", better: "higher" })).toBe(null);
    expect(unclocked({ ...metric, unit: "", from: "k6:my_counter/count" })).toBe(null);
  });
});

describe("workload seeds", () => {
  const key = "ab".repeat(32);
  it("are 64-bit decimals, another for each key, series and pair, and always the same", () => {
    expect(workloadSeed(key, "s", 0)).toBe(workloadSeed(key, "s", 0));
    const seeds = ["ab", "cd"].flatMap((each) =>
      ["s", confirmationSeed("s"), totalSeed("s"), remeasureSeed("s")].flatMap((from) =>
        Array.from({ length: 50 }, (_, at) => workloadSeed(each.repeat(32), from, at)),
      ),
    );
    expect(new Set(seeds).size).toBe(400);
    for (const each of seeds) {
      expect(each).toMatch(/^\d{1,20}$/);
      expect(BigInt(each)).toBeLessThan(2n ** 64n);
    }
  });
});

describe("a digest", () => {
  const same = (digest: string | null): [Run, Run] => [
    { value: 100, digest },
    { value: 70, digest },
  ];

  it("that is the base's in every pair is fine, and so is none at all", () => {
    expect(verdictOf({ of: (at) => same(`d${at}`) }).verdict).toBe("ACCEPT");
    expect(verdictOf({ of: () => same(null) }).verdict).toBe("ACCEPT");
    const only: [Run, Run] = [{ value: 100 }, { value: 70, digest: "x" }];
    expect(verdictOf({ of: () => only }).verdict).toBe("ACCEPT");
  });

  it.each<[string, string | null, string]>([
    ["another", "other", "The candidate's output is another: in 1 of 36 pairs"],
    ["missing", null, "The candidate prints no digest: in 1 of 36 pairs"],
  ])("that is %s in one pair of any series is HACK_SUSPECTED, gain or not", (_, digest, text) => {
    for (const value of [70, 100, 130]) {
      const found = verdictOf({
        of: (at) =>
          at === 17
            ? [
                { value: 100, digest: "d" },
                { value, digest },
              ]
            : [
                { value: 100, digest: "d" },
                { value, digest: "d" },
              ],
      });
      expect(found.verdict).toBe("HACK_SUSPECTED");
      expect(found.reasons[0]).toContain(text);
    }
    const wrong = series(
      16,
      () => [
        { value: 100, digest: "d" },
        { value: 70, digest },
      ],
      totalSeed(seed),
    );
    expect(verdictOf({ of: () => same("d"), total: wrong }).verdict).toBe("HACK_SUSPECTED");
    const again = series(
      16,
      () => [
        { value: 100, digest: "d" },
        { value: 70, digest },
      ],
      remeasureSeed(seed),
    );
    expect(verdictOf({ of: () => same("d"), remeasure: again }).verdict).toBe("HACK_SUSPECTED");
  });

  it("is looked at in no pairs without trouble", () => {
    expect(suspectDigest([])).toBe(null);
    expect(suspectDigest([[], []])).toBe(null);
  });
});

describe("the wall clock", () => {
  /** A run whose metric, wall and processor time each fall by their own share. */
  const falls = (value: number, wall: number, cpu: number | null, whole = 200): [Run, Run] => [
    { value: 100, wallMs: whole, cpuMs: cpu === null ? null : whole },
    { value: 100 - value, wallMs: whole - wall, cpuMs: cpu === null ? null : whole - cpu },
  ];
  const suspicious = (of: [Run, Run], under: Partial<MetricSpec> = {}): boolean =>
    suspectWallClock(
      series(16, () => of),
      { ...metric, ...under },
    ) !== null;

  it.each<[string, [Run, Run], boolean]>([
    ["both fall as said", falls(30, 30, 30), false],
    ["the wall falls, the processor time does not: other cores", falls(30, 30, -60), false],
    ["the processor time falls, the wall does not: less work, same wait", falls(30, 0, 30), false],
    ["half of it is seen", falls(30, 15, 0), false],
    ["less than half is seen", falls(30, 14, 14), true],
    ["nothing is seen", falls(30, 0, 0), true],
    ["it is slower from outside", falls(30, -20, -20), true],
    ["nothing is seen, and processor time was not measured", falls(30, 0, null), true],
    ["nothing is seen of a fifth of the run", falls(30, 0, 0, 500), true],
    ["nothing is seen, but it is less than a fifth of the run", falls(30, 0, 0, 501), false],
    ["a sum over threads, which falls by its share", falls(30, 9, 9, 30), false],
    ["a sum over threads, of which nothing is seen", falls(30, 0, 0, 30), true],
    [
      "a wait of which nothing is seen, with little processor time that varies",
      [
        { value: 100, wallMs: 120, cpuMs: 12 },
        { value: 50, wallMs: 120, cpuMs: 6 },
      ],
      true,
    ],
    ["a loss", falls(-30, 0, 0), false],
  ])("%s", (_, of, expected) => {
    expect(suspicious(of)).toBe(expected);
  });

  it.each<[Partial<MetricSpec>, boolean]>([
    [{ unit: "ms" }, true],
    [{ unit: "s" }, true],
    [{ unit: "min" }, true],
    [{ unit: "us" }, false],
    [{ unit: "ns" }, false],
    [{ unit: "steps" }, false],
    [{ unit: "" }, false],
    [{ better: "higher" }, false],
    [{ from: "wall-time" }, false],
    [{ from: "cpu-time" }, false],
    [{ from: "hyperfine" }, true],
    [{ from: "autocannon:latency.p99" }, false],
    [{ from: "k6" }, false],
    [{ from: "lighthouse" }, false],
    [{ stat: "p99" }, false],
  ])("asks only of times that are part of the run: %j", (under, expected) => {
    expect(suspicious(falls(30, 0, 0), under)).toBe(expected);
  });

  it("needs an interval: fewer than 6 pairs tell nothing, and noise is no proof", () => {
    expect(suspectWallClock([], metric)).toBe(null);
    expect(
      suspectWallClock(
        series(5, () => falls(30, 0, 0)),
        metric,
      ),
    ).toBe(null);
    const gauss = normal(7);
    const noisy = series(16, () => [
      { value: 100, wallMs: 200 * Math.exp(0.5 * gauss()), cpuMs: null },
      { value: 95, wallMs: 200 * Math.exp(0.5 * gauss()), cpuMs: null },
    ]);
    expect(suspectWallClock(noisy, metric)).toBe(null);
  });

  it("flags no honest gain, whatever noise, share and size", () => {
    const world = fc.record({
      noise: fc.nat({ max: 1e6 }),
      gain: fc.double({ min: 0.05, max: 0.9, noNaN: true }),
      rest: fc.double({ min: 0, max: 300, noNaN: true }),
      cv: fc.double({ min: 0, max: 0.1, noNaN: true }),
    });
    let flagged = 0;
    let asked = 0;
    fc.assert(
      fc.property(world, ({ noise, gain, rest, cv }) => {
        const gauss = normal(noise);
        const one = (length: number): Run => {
          const value = 100 * length * Math.exp(cv * gauss());
          const wallMs = value + rest * Math.exp(cv * gauss()) + 1;
          return { value, wallMs, cpuMs: wallMs };
        };
        asked += 1;
        if (
          suspectWallClock(
            series(25, () => [one(1), one(1 - gain)]),
            metric,
          )
        )
          flagged += 1;
      }),
      { numRuns: 500, seed: 1 },
    );
    // at most the error of the interval: 2.5 % where all the gain there is lies at half of what is said
    expect(flagged / asked).toBeLessThanOrEqual(0.01);
  });

  it("makes a proven gain HACK_SUSPECTED, with the figures; what is no gain stays that", () => {
    const found = verdictOf({ of: () => falls(30, 0, 0) });
    expect(found.verdict).toBe("HACK_SUSPECTED");
    expect(found.reasons[0]).toBe(
      "run_ms says that 30 ms are saved; from outside a run is shorter by at most 0 ms, and its processor time by at most 0 ms.",
    );
    expect(verdictOf({ of: () => falls(-30, 0, 0) }).verdict).toBe("NO_EFFECT");
    expect(verdictOf({ of: () => falls(30, 30, 30) }).verdict).toBe("ACCEPT");
  });
});

describe("a gain over ten times", () => {
  const by = (ratio: number, digest: string | null = "d"): [Run, Run] => [
    { value: 1_000, digest },
    { value: 1_000 / ratio, digest },
  ];
  const again = (ratio: number, digest: string | null = "d", count = 16): Pair[] =>
    series(count, () => by(ratio, digest), remeasureSeed(seed));

  it.each<[string, Parts, string, string]>([
    ["up to ten times is asked nothing", { of: () => by(9.9, null) }, "ACCEPT", ""],
    ["measured again, with digests", { of: () => by(20), remeasure: again(20) }, "ACCEPT", ""],
    ["within a factor of two", { of: () => by(20), remeasure: again(10.1) }, "ACCEPT", ""],
    ["not measured again", { of: () => by(20) }, "HACK_SUSPECTED", "it was not measured again"],
    [
      "too few pairs again",
      { of: () => by(20), remeasure: again(20, "d", 15) },
      "HACK_SUSPECTED",
      "not measured again",
    ],
    [
      "less than half of it again",
      { of: () => by(20), remeasure: again(9) },
      "HACK_SUSPECTED",
      "it is 9 times",
    ],
    [
      "more than twice of it again",
      { of: () => by(20), remeasure: again(41) },
      "HACK_SUSPECTED",
      "it is 41 times",
    ],
    [
      "without digests",
      { of: () => by(20, null), remeasure: again(20, null) },
      "HACK_SUSPECTED",
      "print DIGEST",
    ],
    [
      "without digests at first",
      { of: () => by(20, null), remeasure: again(20) },
      "HACK_SUSPECTED",
      "QUESTBUS_SEED",
    ],
  ])("%s", (_, parts, word, text) => {
    const found = verdictOf(parts);
    expect(found.verdict, found.reasons.join(" ")).toBe(word);
    expect(found.reasons.join(" ")).toContain(text);
  });

  it("is the same for what is better when higher", () => {
    const higher = { ...metric, better: "higher" as const, unit: "req/s" };
    const up = series(9, () => [{ value: 1 }, { value: 11 }]);
    expect(isImplausible(up, higher)).toBe(true);
    expect(isImplausible(up, metric)).toBe(false);
    expect(
      isImplausible(
        series(9, () => [{ value: 11 }, { value: 1 }]),
        higher,
      ),
    ).toBe(false);
    expect(isImplausible([], higher)).toBe(false);
    expect(suspectImplausible({ decided: [], confirmation: [], remeasure: null }, higher, 16)).toBe(null);
  });
});

describe("a watch", () => {
  it("holds two states of the target against each other, of which none is suspect", () => {
    const of = (): [Run, Run] => [
      { value: 100, wallMs: 200, digest: "a" },
      { value: 5, wallMs: 200, digest: "b" },
    ];
    expect(verdictOf({ of }).verdict).toBe("HACK_SUSPECTED");
    expect(verdictOf({ of }, { trusted: true }).verdict).toBe("ACCEPT");
  });
});

describe("a large saving that nothing outside of the bench shows", () => {
  /** As it was found on a machine with ten processes a core: the bench's own time is an eighth of the run. */
  const wallMs = (at: number, shift: number): number => 1_150 + 350 * Math.sin(7.3 * at + shift);
  const noisy =
    (candidate: (at: number) => Partial<Observation> & { value: number }) =>
    (at: number): [Run, Run] => [
      { value: 142 + (at % 5), wallMs: wallMs(at, 0), cpuMs: 300 + 10 * (at % 3) },
      { wallMs: wallMs(at, 2), cpuMs: 300 + 10 * ((at + 1) % 3), ...candidate(at) },
    ];

  it("is not accepted, though the noise hides that it is missing", () => {
    const verdict = verdictOf({ of: noisy(() => ({ value: 20 })) });
    expect(verdict).toMatchObject({
      verdict: "INCONCLUSIVE",
      reasons: [
        expect.stringMatching(/^run_ms says that 12\d ms are saved, and from outside no run is shown/),
      ],
    });
  });

  it("is accepted when the processor time shows it", () => {
    expect(verdictOf({ of: noisy((at) => ({ value: 20, cpuMs: 180 + 10 * (at % 3) })) }).verdict).toBe(
      "ACCEPT",
    );
  });

  it("is not asked of a saving that is small beside the run", () => {
    const goal = { ...policy.goal, improveBy: 0.1 };
    expect(verdictOf({ of: noisy((at) => ({ value: 110 + (at % 5) })) }, { goal }).verdict).toBe("ACCEPT");
  });
});
