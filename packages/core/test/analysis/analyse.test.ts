import { type Analysis, analysis, type MetricSpec, type ProfiledRun } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { analyse } from "../../src/analysis/analyse.ts";
import { amdahlBound, restOfGoal, shareForGain, timeBasis } from "../../src/analysis/bound.ts";
import { describeAnalysis, hotLine, hotShareOf } from "../../src/analysis/describe.ts";
import { call, profileOf, type Stack } from "./profile-of.ts";

const unmeasured = {
  cpuStall: null,
  memoryStall: null,
  diskStall: null,
  diskBusy: null,
  memoryBytes: null,
  oomKills: null,
};
const runOf = (cpuProfiles: readonly unknown[], more: Partial<ProfiledRun> = {}): ProfiledRun => ({
  roots: ["/work/tree"],
  cpuProfiles,
  usage: null,
  heap: null,
  machine: unmeasured,
  notes: [],
  ...more,
});
const metric = (over: Partial<MetricSpec> = {}): MetricSpec => ({
  name: "ms",
  from: "metric-line",
  unit: "ms",
  better: "lower",
  ...over,
});
const look = (
  stacks: readonly Stack[],
  goal: number | null = null,
  over: Partial<MetricSpec> = {},
): Analysis => analyse(runOf([profileOf(stacks)]), { metric: metric(over), goal, kept: 0 });

const main = call("", "bench.mjs", 1);
const parse = call("parse", "src/parse.mjs", 12);
const print = call("print", "src/print.mjs", 3);
const boot = call("runMain", "node:internal/main", 9);

const everywhere: Stack[] = [
  [[boot], 300],
  [[boot, main], 100],
  [[boot, main, parse], 400],
  [[boot, main, parse, call("readFileSync", "node:fs", 440)], 150],
  [[boot, main, call("sort")], 50],
  [[boot, main, call("split", "node_modules/csv/index.js", 7)], 100],
  [[boot, main, print], 50],
  [[call("(garbage collector)")], 150],
  [[call("(program)")], 200],
  [[call("(idle)")], 200],
];

describe("where the time goes", () => {
  it("a figure that the bench prints is about the program: neither how Node starts, nor waiting", () => {
    const { basis, profiledMs, hot, apart } = look(everywhere);
    expect({ basis, profiledMs, apart }).toEqual({
      basis: "program",
      profiledMs: 1,
      apart: { gc: 0.15, native: 0, idle: 0 },
    });
    expect(
      hot.map(({ function: name, where, origin, from, share }) => [name, where, origin, from, share]),
    ).toEqual([
      ["parse", "src/parse.mjs:12", "target", null, 0.4],
      ["readFileSync", "node:fs:440", "runtime", "src/parse.mjs:12", 0.15],
      ["(top level)", "bench.mjs:1", "target", null, 0.1],
      ["split", "node_modules/csv/index.js:7", "dependency", "bench.mjs:1", 0.1],
      ["sort", null, "runtime", "bench.mjs:1", 0.05],
      ["print", "src/print.mjs:3", "target", null, 0.05],
    ]);
  });

  it.each<[string, Partial<MetricSpec>, string, number, number]>([
    ["wall time: all of it", { from: "wall-time", unit: "s" }, "wall", 1.7, 0.1176],
    ["processor time: all but waiting", { from: "cpu-time", unit: "s" }, "cpu", 1.5, 0],
  ])("%s", (_, over, basis, profiledMs, idle) => {
    const found = look(everywhere, null, over);
    expect(found).toMatchObject({ basis, profiledMs });
    expect(found.apart?.idle).toBe(idle);
  });

  it("several processes: what they do at once adds up to one whole, and npm's own work is not the program's", () => {
    const npm = profileOf([
      [[{ name: "load", url: "file:///usr/lib/node_modules/npm/cli.js", line: 2 }], 900],
    ]);
    const bench = profileOf([[[main, parse], 300]]);
    const both = analyse(runOf([npm, bench]), { metric: metric(), goal: null, kept: 0 });
    expect(both.hot.map((each) => [each.function, each.share])).toEqual([["parse", 1]]);
    const wall = analyse(runOf([npm, bench]), { metric: metric({ from: "wall-time" }), goal: null, kept: 0 });
    expect(wall.profiledMs).toBe(1.2);
    expect(wall.hot.map((each) => [each.function, each.origin, each.share])).toEqual([
      ["load", "dependency", 0.75],
      ["parse", "target", 0.25],
    ]);
  });

  it("recursion is counted once, by where time was spent", () => {
    const found = look([
      [[main, parse], 100],
      [[main, parse, parse], 100],
      [[main, parse, parse, parse], 200],
    ]);
    expect(found.hot.map((each) => [each.function, each.share])).toEqual([["parse", 1]]);
    expect(found.hot[0]?.amdahl).toBeNull();
  });

  it("without a profile there is no figure, only what is known from outside", () => {
    const usage = {
      wallMs: 200,
      cpuMs: 100,
      peakRssBytes: 50,
      readBytes: 1,
      writtenBytes: 2,
    };
    const run = runOf([], {
      usage,
      machine: { ...unmeasured, memoryBytes: 100 },
      notes: ["no Node program"],
    });
    const found = analyse(run, { metric: metric(), goal: 0.2, kept: 0 });
    const none = { utilization: null, saturation: null, errors: null };
    expect(found).toMatchObject({ basis: null, profiledMs: null, hot: [], apart: null, goalNeeds: null });
    expect(found.use).toEqual({
      cpu: { ...none, utilization: 0.5 },
      memory: { ...none, utilization: 0.5 },
      disk: none,
      gc: none,
    });
    expect(hotLine(found)).toBeNull();
    expect(describeAnalysis(found)).toContain("no Node program");
  });
});

it("what a change touches of it names each function once", () => {
  const hot = [10, 20].map((line) => ({
    function: "(anonymous)",
    where: `src/a.mjs:${line}`,
    origin: "target" as const,
    from: null,
    share: 0.25,
    amdahl: null,
    reachesGoal: null,
  }));
  expect(hotShareOf({ hot } as unknown as Analysis, ["src/a.mjs"])).toBe(
    "it changes where 50 % of the time goes ((anonymous))",
  );
});

describe("what the goal needs (Amdahl)", () => {
  it.each<[number, "lower" | "higher", number]>([
    [0.2, "lower", 0.2],
    [1, "higher", 0.5],
    [0.25, "higher", 0.2],
  ])("a gain of %d, %s is better: a share of %d", (gain, better, share) => {
    expect(shareForGain(gain, better)).toBeCloseTo(share, 12);
    expect(amdahlBound(share)).toBeCloseTo(1 / (1 - share), 4);
  });

  it("what was kept counts: 10 % of 28 % leave 20 %", () => {
    expect(restOfGoal(0.28, 0.1, "lower")).toBeCloseTo(0.2, 12);
    expect(restOfGoal(0.32, 0.1, "higher")).toBeCloseTo(0.2, 12);
  });

  it.each<[string, number, number | null, boolean]>([
    ["one function could", 0.35, 1, true],
    ["two together could", 0.5, 2, false],
    ["not even all", 0.9, null, false],
  ])("%s", (_, goal, functions, alone) => {
    const found = look(everywhere, goal);
    expect(found.goalNeeds).toEqual({ share: goal, functions });
    expect(found.hot[0]?.reachesGoal).toBe(alone);
    expect(describeAnalysis(found).join("\n")).toContain(`the goal needs ${goal * 100} % of the time gone`);
  });

  it.each<[Partial<MetricSpec>, string | null]>([
    [{ from: "wall-time" }, "wall"],
    [{ from: "cpu-time" }, "cpu"],
    [{ from: "max-rss" }, null],
    [{ unit: "ms" }, "program"],
    [{ unit: "ops/s", better: "higher" }, "program"],
    [{ unit: "steps" }, null],
    [{ unit: "ms", better: "higher" }, null],
  ])("%j bounds %s", (over, basis) => {
    expect(timeBasis(metric(over))).toBe(basis);
  });

  it("a program that mostly waits is not bounded by shares of its busy time, and says so", () => {
    const found = look(
      [
        [[main, parse], 700],
        [[call("(idle)")], 300],
      ],
      0.2,
    );
    expect(found).toMatchObject({ profiledMs: 0.7, goalNeeds: null, hot: [{ share: 1, reachesGoal: null }] });
    expect(found.notes).toEqual([expect.stringMatching(/^the program waits 30 % of its time/)]);
    expect(
      look(
        [
          [[main, parse], 900],
          [[call("(idle)")], 100],
        ],
        0.2,
      ).goalNeeds,
    ).not.toBeNull();
  });

  it("a metric that is no time is not bounded by shares of time", () => {
    const found = look(everywhere, 0.2, { from: "max-rss", unit: "bytes" });
    expect(found.goalNeeds).toBeNull();
    expect(found.hot.every((each) => each.reachesGoal === null)).toBe(true);
  });
});

const anyCall = fc.record({
  name: fc.constantFrom("a", "b", "", "(garbage collector)", "(program)", "(idle)", "(root)"),
  url: fc.constantFrom(
    "",
    "node:fs",
    "file:///work/tree/a.mjs",
    "file:///work/tree/node_modules/b.js",
    "/x/%zz",
    "wasm://w",
  ),
  line: fc.integer({ min: 0, max: 3 }),
});
const anyStacks = fc.array(
  fc.tuple(fc.array(anyCall, { maxLength: 5 }), fc.integer({ min: -50, max: 1_000 })),
  {
    maxLength: 30,
  },
);
const aims = fc.record({
  metric: fc.constantFrom(
    metric(),
    metric({ from: "wall-time" }),
    metric({ from: "cpu-time" }),
    metric({ unit: "" }),
  ),
  goal: fc.option(fc.double({ min: 0.001, max: 0.999, noNaN: true })),
  kept: fc.double({ min: -0.5, max: 0.9, noNaN: true }),
});

/** Every number in `value`, wherever it stands. */
const numbersIn = (value: unknown): number[] =>
  typeof value === "number"
    ? [value]
    : typeof value === "object" && value !== null
      ? Object.values(value).flatMap(numbersIn)
      : [];

function expectSound(found: Analysis): void {
  expect(analysis.safeParse(found).error).toBeUndefined();
  expect(numbersIn(found).every(Number.isFinite)).toBe(true);
  const { gc = 0, native = 0, idle = 0 } = found.apart ?? {};
  const shares = found.hot.map((each) => each.share);
  expect(shares.reduce((sum, each) => sum + each, gc + native + idle)).toBeLessThanOrEqual(1 + 1e-9);
  expect([...shares].sort((a, b) => b - a)).toEqual(shares);
}

describe("for whatever the target wrote", () => {
  it("shares are in order, add up to 1 at most, and nothing is NaN", () => {
    fc.assert(
      fc.property(fc.array(anyStacks, { maxLength: 3 }), aims, (profiles, aim) => {
        expectSound(analyse(runOf(profiles.map(profileOf)), aim));
      }),
    );
  });

  it("anything else than a profile is none", () => {
    const broken = fc.oneof(
      fc.jsonValue(),
      fc.record({ nodes: fc.jsonValue(), samples: fc.jsonValue(), timeDeltas: fc.jsonValue() }),
      fc.record({
        nodes: fc.array(
          fc.record({ id: fc.nat(3), callFrame: fc.jsonValue(), children: fc.array(fc.nat(3)) }),
        ),
        samples: fc.array(fc.nat(4)),
        timeDeltas: fc.array(fc.oneof(fc.double(), fc.constant("x"), fc.constant(1e308))),
      }),
    );
    fc.assert(
      fc.property(fc.array(broken, { maxLength: 3 }), aims, (profiles, aim) => {
        const found = analyse(runOf(profiles), aim);
        expectSound(found);
        expect(describeAnalysis(found).every((line) => !line.includes("NaN"))).toBe(true);
      }),
    );
  });
});
