import { describe, expect, test } from "vitest";
import { limit, normaliseQuest, questDocument, unitOfMetric, unitOfSource } from "../src/index.ts";

/** The quest of the README, as YAML gives it. */
const full = () => ({
  version: 1,
  title: "Make word search 20 % faster",
  intent: "optimize",
  target: { repo: "../word-search", ref: "HEAD", prepare: "npm ci" },
  measure: {
    command: "node bench.mjs",
    metric: { name: "p95_ms", from: "metric-line", unit: "ms", better: "lower" },
    timeout: "60s",
  },
  goal: { improveBy: "20%", margin: "1%" },
  tests: { command: "npm test", timeout: "120s" },
  guards: [{ name: "max_rss", from: "max-rss", worseBy: "10%" }],
  fixers: [
    { patch: "fixes/01-cache.patch" },
    { patch: "fixes/02-loop.patch" },
    { command: "./improve.sh", timeout: "10m" },
  ],
  budget: { passes: 3, pairs: 90, wallClock: "30m" },
  authorities: { performance: { write: ["src/**"], never: ["test/**", "bench.mjs"] } },
  signOff: ["architect", "performance", "qa", "ops"],
  profile: "auto",
  onAccept: { branch: "questbus/{quest}", changelog: "CHANGELOG.md" },
});

/** As little as a quest can say. */
const small = () => ({
  version: 1,
  title: "Faster",
  target: { repo: "." },
  measure: { command: "node bench.mjs", metric: { name: "p95", from: "wall-time" } },
  goal: { improveBy: "5%" },
  tests: { command: "npm test" },
  fixers: [{ patch: "a.patch" }],
});

type Draft = Record<string, unknown>;

/** The full quest with some of its parts replaced, by their path; `undefined` removes one. */
function edited(edits: Record<string, unknown>): Draft {
  const draft: Draft = full();
  for (const [path, value] of Object.entries(edits)) {
    const keys = path.split(".");
    const last = keys.pop() as string;
    const parent = keys.reduce((at, key) => at[key] as Draft, draft);
    if (value === undefined) delete parent[last];
    else parent[last] = value;
  }
  return draft;
}

const faultsOf = (document: unknown): [string, string][] =>
  (questDocument.safeParse(document).error?.issues ?? []).map(({ path, message }) => [
    path.join("."),
    message,
  ]);

/** Makes the quest one of a server. */
const httpEdits = (http: Record<string, unknown>): Record<string, unknown> => ({
  "measure.command": undefined,
  "measure.http": { start: "node server.mjs", ...http },
  "measure.metric.from": "autocannon:latency.p99",
});

describe("a quest that is well formed", () => {
  test("the quest of the README", () => {
    expect(questDocument.parse(full())).toEqual(parsedFull());
  });

  test("as little as a quest can say", () => {
    expect(faultsOf(small())).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ["validate with a candidate", { intent: "validate", "target.candidate": "feature", fixers: undefined }],
    [
      "validate with a candidate and an empty list",
      { intent: "validate", "target.candidate": "a.patch", fixers: [] },
    ],
    ["improve without a goal", { intent: "improve", goal: undefined }],
    ["improve with a margin", { intent: "improve", goal: { margin: "2%" } }],
    ["a JSON pointer", { "measure.metric.from": "json:/results/0/p95" }],
    ["the whole JSON document", { "measure.metric.from": "json:" }],
    ["a tool's output", { "measure.metric.from": "hyperfine:times", "measure.output": "out/bench.json" }],
    ["a figure of a named benchmark", { "measure.metric.from": "tinybench:my task/latency.p50" }],
    ["a tail of samples", { "measure.metric.from": "metric-line:latency_ms", "measure.metric.stat": "p99" }],
    ["a server", httpEdits({})],
    [
      "a server in full",
      httpEdits({
        ready: "http://localhost:9000/health",
        port: 8080,
        timeout: "3s",
        load: {
          url: "/search?q=a",
          connections: 50,
          duration: "2s",
          warmup: "1s",
          rate: 500,
          method: "POST",
          body: "{}",
          headers: { "content-type": "application/json" },
        },
        errorsMax: "0.1%",
      }),
    ],
    ["throughput", { "measure.metric.from": "autocannon:requests.mean", "measure.metric.better": "higher" }],
    ["no changelog", { "onAccept.changelog": null }],
    ["one sign-off", { signOff: ["qa"] }],
    ["nothing may be written", { "authorities.performance.write": [] }],
  ])("%s", (_, edits) => {
    expect(faultsOf(edited(edits))).toEqual([]);
  });
});

describe("a quest that is not: the place and the reason", () => {
  const minEffectOut = "the smallest gain worth chasing lies above the margin, and not above the goal";
  const anything = expect.any(String);
  test.each<[Record<string, unknown>, string, unknown]>([
    [{ surprise: 1 }, "", 'Unrecognized key: "surprise"'],
    [{ "target.branch": "main" }, "target", 'Unrecognized key: "branch"'],
    [{ "measure.metric.field": "x" }, "measure.metric", 'Unrecognized key: "field"'],
    [{ authorities: { worker: {} } }, "authorities", 'Unrecognized key: "worker"'],
    [{ authorities: { qa: { write: [] } } }, "authorities.qa", 'Unrecognized key: "write"'],
    [
      { "authorities.performance.exclusive": ["CHANGELOG.md"] },
      "onAccept.changelog",
      "ops writes it, and authorities give it to another role alone",
    ],
    [{ "authorities.performance.only": [] }, "authorities.performance", 'Unrecognized key: "only"'],
    [{ version: undefined }, "version", "this release reads version 1"],
    [{ version: 2 }, "version", "this release reads version 1"],
    [{ version: "1" }, "version", "this release reads version 1"],
    [{ title: undefined }, "title", anything],
    [{ title: "  " }, "title", anything],
    [{ title: "two\nlines" }, "title", "one line only"],
    [{ title: "x".repeat(121) }, "title", anything],
    [{ intent: "speed" }, "intent", anything],
    [{ target: undefined }, "target", anything],
    [{ target: "../word-search" }, "target", anything],
    [{ "target.repo": "" }, "target.repo", anything],
    [{ "target.prepare": " " }, "target.prepare", anything],
    [{ measure: undefined }, "measure", anything],
    [{ "measure.command": " " }, "measure.command", anything],
    [{ "measure.command": 7 }, "measure.command", anything],
    [{ "measure.timeout": "soon" }, "measure.timeout", "write a duration such as 500ms, 60s, 10m or 2h"],
    [{ "measure.timeout": 60 }, "measure.timeout", anything],
    [{ "measure.timeout": "0s" }, "measure.timeout", "a duration must be more than zero"],
    [{ "measure.timeout": "1000h" }, "measure.timeout", "a duration must be at most 168h (seven days)"],
    [{ "measure.metric.name": "95th" }, "measure.metric.name", anything],
    [{ "measure.metric.name": "p 95" }, "measure.metric.name", anything],
    [
      { "measure.metric.from": "stdout" },
      "measure.metric.from",
      "use metric-line, wall-time, cpu-time, max-rss, json:/pointer, hyperfine, tinybench, vitest-bench, autocannon, k6, google-benchmark or lighthouse",
    ],
    [{ "measure.metric.from": "json:p95" }, "measure.metric.from", anything],
    [{ "measure.metric.from": "hyperfine:" }, "measure.metric.from", anything],
    [{ "measure.metric.from": "wall-time:mean" }, "measure.metric.from", anything],
    [{ "measure.metric.from": "k6:two\nlines" }, "measure.metric.from", anything],
    [{ "measure.metric.stat": "p42" }, "measure.metric.stat", anything],
    [
      { "measure.metric.from": "wall-time", "measure.metric.stat": "p95" },
      "measure.metric.stat",
      "wall-time gives one figure a run, so there is nothing to take a stat of",
    ],
    [
      { "measure.metric.from": "autocannon:requests.mean" },
      "measure.metric.better",
      "more of autocannon:requests.mean is better: write better: higher",
    ],
    [
      { "measure.metric.from": "hyperfine", "measure.metric.better": "higher" },
      "measure.metric.better",
      "less of hyperfine is better: write better: lower",
    ],
    [
      { "measure.command": undefined },
      "measure.command",
      "missing; write the command that measures, or http for a server",
    ],
    [
      { ...httpEdits({}), "measure.command": "node bench.mjs" },
      "measure.command",
      "write command or http, not both",
    ],
    [{ ...httpEdits({}), "measure.output": "a.json" }, "measure.output", "a load has no file; remove output"],
    [
      { ...httpEdits({}), "measure.metric.from": "wall-time" },
      "measure.metric.from",
      "of a server under load, read autocannon, max-rss or cpu-time",
    ],
    [
      httpEdits({ load: { duration: "2m" } }),
      "measure.timeout",
      "a run takes 120 s of load alone: allow more",
    ],
    [httpEdits({ ready: "https://example.org/health" }), "measure.http.ready", anything],
    [httpEdits({ load: { url: "http://10.0.0.1/" } }), "measure.http.load.url", anything],
    [httpEdits({ load: { url: "http://localhost@example.org/" } }), "measure.http.load.url", anything],
    [httpEdits({ load: { url: "health" } }), "measure.http.load.url", anything],
    [httpEdits({ load: { headers: { a: "b\r\nc: d" } } }), "measure.http.load.headers.a", "one line only"],
    [httpEdits({ load: { connections: 0 } }), "measure.http.load.connections", anything],
    [httpEdits({ load: { duration: "11m" } }), "measure.http.load.duration", "a load of ten minutes at most"],
    [httpEdits({ port: 70_000 }), "measure.http.port", anything],
    [httpEdits({ start: " " }), "measure.http.start", anything],
    [{ "measure.output": "../bench.json" }, "measure.output", anything],
    [{ "measure.output": "/tmp/bench.json" }, "measure.output", anything],
    [{ "measure.output": ".git/bench.json" }, "measure.output", anything],
    [{ "measure.output": "out//bench.json" }, "measure.output", anything],
    [{ "measure.output": "out\\bench.json" }, "measure.output", anything],
    [{ "measure.metric.better": "faster" }, "measure.metric.better", anything],
    [{ "goal.improveBy": "20" }, "goal.improveBy", "write a percentage such as 20%"],
    [{ "goal.improveBy": 20 }, "goal.improveBy", anything],
    [{ "goal.improveBy": "120%" }, "goal.improveBy", "a percentage must be below 100%"],
    [
      { goal: undefined },
      "goal.improveBy",
      "intent optimize needs a goal; write improveBy, or use intent improve",
    ],
    [{ goal: {} }, "goal.improveBy", "intent optimize needs a goal; write improveBy, or use intent improve"],
    [
      { intent: "improve" },
      "goal.improveBy",
      "intent improve has no numeric goal; remove it, or use intent optimize",
    ],
    [{ "goal.minEffect": "1%" }, "goal.minEffect", minEffectOut],
    [{ "goal.minEffect": "21%" }, "goal.minEffect", minEffectOut],
    [{ "goal.minEffect": "much" }, "goal.minEffect", "write a percentage such as 20%"],
    [{ tests: undefined }, "tests", anything],
    [{ tests: {} }, "tests.command", anything],
    [{ guards: [{ name: "a", from: "max-rss" }] }, "guards.0.worseBy", anything],
    [{ guards: [{ name: "a", worseBy: "1%" }] }, "guards.0.from", anything],
    [
      { guards: [{ name: "p95_ms", from: "wall-time", worseBy: "1%" }] },
      "guards",
      "the name p95_ms is used twice",
    ],
    [
      { fixers: [] },
      "fixers",
      "name at least one fixer, a patch or a command, say; docs/fixers.md has them all",
    ],
    [
      { fixers: undefined },
      "fixers",
      "name at least one fixer, a patch or a command, say; docs/fixers.md has them all",
    ],
    [{ fixers: [{}] }, "fixers.0", anything],
    [{ fixers: [{ patch: "a", command: "b" }] }, "fixers.0", anything],
    [{ fixers: [{ command: "b", timeout: "1" }] }, "fixers.0.timeout", anything],
    [{ fixers: Array.from({ length: limit.fixersMax + 1 }, () => ({ patch: "a" })) }, "fixers", anything],
    [{ "target.candidate": "x" }, "target.candidate", "only intent validate takes a candidate; use fixers"],
    [
      { intent: "validate", fixers: [] },
      "target.candidate",
      "intent validate needs the change to judge: a ref, or a patch file",
    ],
    [
      { intent: "validate", "target.candidate": "x" },
      "fixers",
      "intent validate judges target.candidate; remove the fixers",
    ],
    [{ "budget.passes": 4 }, "budget.passes", anything],
    [{ "budget.passes": 0 }, "budget.passes", anything],
    [{ "budget.pairs": 1 }, "budget.pairs", anything],
    [{ "budget.pairs": 50.5 }, "budget.pairs", anything],
    [{ "budget.pairs": limit.pairsMax + 1 }, "budget.pairs", anything],
    [{ "budget.wallClock": "tomorrow" }, "budget.wallClock", anything],
    [{ signOff: [] }, "signOff", anything],
    [{ signOff: ["qa", "qa"] }, "signOff", "name each role once"],
    [{ signOff: ["boss"] }, "signOff.0", anything],
    [{ "onAccept.branch": "-force" }, "onAccept.branch", anything],
    [{ "onAccept.branch": "two words" }, "onAccept.branch", anything],
    [{ "onAccept.changelog": "" }, "onAccept.changelog", anything],
  ])("%j", (edits, path, message) => {
    expect(faultsOf(edited(edits))).toEqual([[path, message]]);
  });

  test("every fault is named at once", () => {
    const faults = faultsOf(edited({ surprise: 1, title: "", "budget.passes": 9, "fixers.0": { patch: 1 } }));
    expect(faults.map(([path]) => path).sort()).toEqual(["", "budget.passes", "fixers.0", "title"]);
  });

  test.each([null, undefined, [], "quest", 1])("%j is no quest", (value) => {
    expect(faultsOf(value)).toEqual([["", expect.any(String)]]);
  });
});

test("what is one role's alone, no other role writes", () => {
  const authorities = {
    performance: { write: ["src/**"], exclusive: ["perf/**"] },
    qa: { exclusive: ["test/**"] },
    ops: { exclusive: ["CHANGELOG.md"] },
  };
  const resolved = [{ name: "a.patch", sha256: "0".repeat(64) }];
  const { authority } = normaliseQuest(questDocument.parse({ ...small(), authorities }), resolved);
  expect(authority).toEqual({ write: ["src/**", "perf/**"], never: ["test/**", "CHANGELOG.md"] });
});

describe("a quest in plain units", () => {
  const patch = (name: string, digit: string) => ({ name, sha256: digit.repeat(64) });

  test("defaults are filled in", () => {
    expect(normaliseQuest(questDocument.parse(small()), [patch("a.patch", "a")])).toEqual({
      title: "Faster",
      intent: "optimize",
      target: { repo: ".", ref: "HEAD", prepare: null },
      measure: {
        command: "node bench.mjs",
        metric: { name: "p95", from: "wall-time", unit: "s", better: "lower" },
        timeoutMs: 60_000,
      },
      goal: { improveBy: 0.05, margin: 0.01, minEffect: null, acceptDetectable: false },
      tests: { command: "npm test", timeoutMs: 600_000 },
      guards: [],
      fixers: [{ kind: "patch", name: "a.patch", sha256: "a".repeat(64) }],
      budget: { passes: 3, pairs: 90, wallClockMs: 1_800_000 },
      authority: { write: ["**"], never: [] },
      allow: { dependencies: false },
      seal: { policy: "strict", paths: [], except: [] },
      signOff: ["architect", "performance", "qa", "ops"],
      profile: "auto",
      watch: null,
      onAccept: { branch: "questbus/{quest}", changelog: null },
    });
  });

  test.each([
    ["optimize", {}, "strict"],
    ["optimize", { seal: { policy: "restore" } }, "restore"],
    ["improve", { "goal.improveBy": undefined }, "strict"],
    ["validate", { fixers: [], "target.candidate": "v" }, "restore"],
    ["validate", { fixers: [], "target.candidate": "v", seal: { policy: "strict" } }, "strict"],
  ])("the seal's policy with intent %s and %j: %s", (intent, edits, policy) => {
    const document = questDocument.parse(edited({ intent, ...edits }));
    const { seal } = normaliseQuest(document, [patch("one", "1"), patch("two", "2")]);
    expect(seal).toEqual({ policy, paths: [], except: [] });
  });

  test("what was written is kept; patches take what was resolved, in order", () => {
    const spec = normaliseQuest(questDocument.parse(full()), [patch("one", "1"), patch("two", "2")]);
    expect(spec.fixers).toEqual([
      { kind: "patch", name: "one", sha256: "1".repeat(64) },
      { kind: "patch", name: "two", sha256: "2".repeat(64) },
      { kind: "command", name: "./improve.sh", command: "./improve.sh", timeoutMs: 600_000 },
    ]);
    expect(spec.guards).toEqual([
      { name: "max_rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.1 },
    ]);
    expect(spec.authority).toEqual({ write: ["src/**"], never: ["test/**", "bench.mjs"] });
    expect(spec.measure.metric.unit).toBe("ms");
    expect(spec.onAccept.changelog).toBe("CHANGELOG.md");
  });

  test("intent validate has its candidate as the one fixer, and one pass", () => {
    const document = edited({ intent: "validate", "target.candidate": "feature", fixers: [] });
    const spec = normaliseQuest(questDocument.parse(document), [{ name: "feature", commit: "c".repeat(40) }]);
    expect(spec.fixers).toEqual([{ kind: "commit", name: "feature", commit: "c".repeat(40) }]);
    expect(spec.budget.passes).toBe(1);
  });

  test("the smallest gain worth chasing is a share", () => {
    const spec = normaliseQuest(questDocument.parse(edited({ "goal.minEffect": "12%" })), [
      patch("one", "1"),
      patch("two", "2"),
    ]);
    expect(spec.goal).toEqual({ improveBy: 0.2, margin: 0.01, minEffect: 0.12, acceptDetectable: false });
  });

  test("of a server the command is what starts it", () => {
    const document = edited({ ...httpEdits({ load: { warmup: "1s" } }), fixers: [{ command: "x" }] });
    const { measure } = normaliseQuest(questDocument.parse(document), []);
    expect(measure).toMatchObject({
      command: "node server.mjs",
      http: {
        ready: "/",
        port: null,
        readyMs: 10_000,
        errorsMax: 0,
        load: {
          url: "/",
          connections: 10,
          durationMs: 5_000,
          warmupMs: 1_000,
          rate: null,
          body: null,
          headers: {},
        },
      },
    });
  });

  test.each([
    ["wall-time", "s"],
    ["max-rss", "bytes"],
    ["metric-line:x", ""],
    ["hyperfine:times", "s"],
    ["tinybench", "ms"],
    ["tinybench:my task", "ms"],
    ["tinybench:my/task/throughput.mean", "1/s"],
    ["vitest-bench:a > b/latency.p99", "ms"],
    ["autocannon:latency.p99", "ms"],
    ["autocannon:requests.total", ""],
    ["autocannon:throughput.mean", "B/s"],
    ["k6", "ms"],
    ["k6:http_req_waiting/p(95)", "ms"],
    ["k6:http_reqs/rate", "1/s"],
    ["k6:my_counter/count", ""],
    ["google-benchmark:BM_Sort/1024", "ns"],
    ["google-benchmark:BM_Sort/bytes_per_second", "B/s"],
    ["lighthouse:speed-index", "ms"],
    ["lighthouse:categories/performance", ""],
    ["lighthouse:total-byte-weight", ""],
  ])("%s is shown in %j", (from, unit) => expect(unitOfSource(from)).toBe(unit));

  test.each([
    [{ name: "p95_ms", from: "metric-line" }, "ms"],
    [{ name: "wallSeconds", from: "metric-line" }, "s"],
    [{ name: "elapsed.us", from: "json:/elapsed" }, "us"],
    [{ name: "cost", from: "metric-line:total_ns" }, "ns"],
    [{ name: "total_ns", from: "metric-line:cost" }, ""],
    [{ name: "cost", from: "metric-line", unit: "milliseconds" }, "ms"],
    [{ name: "cost_ms", from: "metric-line", unit: "points" }, "points"],
    [{ name: "ops_per_s", from: "metric-line" }, ""],
    [{ name: "done_s", from: "metric-line", better: "higher" as const }, ""],
    [{ name: "latency_min", from: "metric-line" }, ""],
    [{ name: "params", from: "metric-line" }, ""],
    [{ name: "size_ms", from: "max-rss" }, "bytes"],
  ])("%j has the unit %j", (metric, unit) => expect(unitOfMetric({ better: "lower", ...metric })).toBe(unit));

  test("a time by its name has its unit in the quest and in a guard", () => {
    const command = { command: "b", metric: { name: "run_ms", from: "metric-line" } };
    const guards = [{ name: "tail_us", from: "metric-line", worseBy: "5%" }];
    const document = questDocument.parse(edited({ measure: command, guards }));
    const spec = normaliseQuest(document, [patch("one", "1"), patch("two", "2")]);
    expect([spec.measure.metric.unit, spec.guards[0]?.unit]).toEqual(["ms", "us"]);
  });

  test("intent improve has no goal but the margin", () => {
    const spec = normaliseQuest(questDocument.parse(edited({ intent: "improve", goal: { margin: "2%" } })), [
      patch("one", "1"),
      patch("two", "2"),
    ]);
    expect(spec.goal).toEqual({ improveBy: null, margin: 0.02, minEffect: null, acceptDetectable: false });
  });

  test("a patch that was not resolved is a mistake of the caller", () => {
    expect(() => normaliseQuest(questDocument.parse(full()), [patch("one", "1")])).toThrow(RangeError);
  });
});

/** The full quest with the defaults that parsing adds. */
function parsedFull(): unknown {
  const quest = full();
  return {
    ...quest,
    goal: { ...quest.goal, acceptDetectable: false },
    guards: quest.guards.map((guard) => ({ ...guard, better: "lower" })),
  };
}
