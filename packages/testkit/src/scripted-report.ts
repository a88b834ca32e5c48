import { createHash } from "node:crypto";
import { confirmationSeed, firstOfPair, totalSeed } from "@questbus/core";
import {
  type Candidate,
  type CommandData,
  type ErrorCode,
  type GateSamples,
  type Grant,
  type Observation,
  type Pair,
  type QuestDocument,
  questDocument,
  type Report,
  type SignOff,
  type SuiteRun,
  type Suspicion,
  type TargetState,
  type Task,
  type TouchedPath,
} from "@questbus/protocol";

/**
 * A world for a quest without repository and without runs: what the four agents would report in it. It plays the
 * agents' side of the decisions, of the orchestrator, and of a whole stack alike.
 */

/** Hash-like names made from words, so that a failing test is readable and the same each time. */
const hex = (word: string, algorithm: "sha1" | "sha256"): string =>
  createHash(algorithm).update(word).digest("hex");
export const oid = (word: string): string => hex(word, "sha1");
export const sha = (word: string): string => hex(word, "sha256");

const base = { commit: oid("base commit"), tree: oid("base tree") };

/** What an agent of the right role finds in one pass; what is left out goes well. */
export type PassScript = {
  /** Index of the chosen fixer; by default the number of the pass; null: none is left. */
  fixer?: number | null;
  /** Gain against last known-good; 25 % by default. */
  gain?: number;
  /** Gain against the quest's base; by default what 12 % kept before and this one come to. */
  total?: number;
  /** How much worse the guard `rss` is. */
  worse?: number;
  /** Deciding pairs. */
  pairs?: number;
  suite?: "green" | "red";
  /** The suite is red on last known-good: once, or always. */
  base?: "flaky" | "red";
  /** The candidate's files. */
  files?: string[];
  forbiddenPaths?: string[];
  /** What performance and architect show of paths whose change may be restricted. */
  touched?: TouchedPath[];
  /** Sealed paths that the fixer changed, and that were put back. */
  setAside?: string[];
  /** The fixer changes nothing. */
  nothing?: true;
  /** Signs of gaming that performance sees in what the fixer made. */
  suspicions?: Suspicion[];
  /** The tree of the candidate, to which its diff leads; one of its own by default. */
  tree?: string;
  /** How long the fixer's quota is used up, each time it is asked. */
  quota?: number[];
  /** Tasks that cannot be done, and why. */
  faults?: Partial<Record<Task, ErrorCode>>;
  /** Tasks whose sign-off is a no. */
  refuses?: Task[];
  /** Tasks that are reported without their sign-off. */
  unsigned?: Task[];
};

const targetState: TargetState = { refs: sha("refs"), head: "refs/heads/main", files: sha("files") };

const suiteRun = (passed: boolean): SuiteRun => ({
  passed,
  exit: passed ? 0 : 1,
  timedOut: false,
  durationMs: 5,
  output: { kind: "suite-output", sha256: sha(`suite ${passed}`), sizeBytes: 9 },
  excerpt: passed ? "ok" : "not ok",
  tests: { passed: passed ? 3 : 2, failed: passed ? 0 : 1, skipped: 0 },
});

/** The gain over the quest's base that two gains in a row come to. */
const onTop = (kept: number, gain: number): number => 1 - (1 - kept) * (1 - gain);

/** Pairs without noise, in the order that their seed draws. */
function samplesOf({ brief }: Grant, script: PassScript): GateSamples {
  const { gain = 0.25, worse = 0, pairs = 20 } = script;
  const { seed, spec, lastGood } = brief;
  const better = spec.measure.metric.better === "lower" ? -1 : 1;
  const observe = (value: number, factor: number): Observation => ({
    value,
    guards: Object.fromEntries(spec.guards.map(({ name }) => [name, 1_000 * factor])),
    wallMs: value,
    cpuMs: value,
    digest: null,
  });
  const series = (from: string, count: number, by: number): Pair[] =>
    Array.from({ length: count }, (_, index) => ({
      first: firstOfPair(from, index),
      base: observe(100, 1),
      candidate: observe(100 * (1 + better * by), 1 + worse),
    }));
  const moved = lastGood.tree !== brief.base.tree;
  const total = script.total ?? onTop(0.12, gain);
  return {
    seed,
    workloadKey: sha("workload"),
    pairs: series(seed, pairs, gain),
    confirmation: series(confirmationSeed(seed), 16, gain),
    total: moved ? series(totalSeed(seed), 16, total) : null,
    remeasure: null,
  };
}

function candidateOf({ brief }: Pick<Grant, "brief">, script: PassScript = {}): Candidate {
  const name = `${brief.quest} ${brief.pass}`;
  return {
    commit: oid(`commit ${name}`),
    tree: script.tree ?? oid(`tree ${name}`),
    files: script.files ?? ["src/search.js"],
    linesAdded: 3,
    linesRemoved: 1,
    diff: { kind: "diff", sha256: sha(`diff ${script.tree ?? name}`), sizeBytes: 40 },
  };
}

function settled({ brief }: Grant) {
  const order = brief.settle;
  if (!order) throw new TypeError("the grant holds no order");
  const done =
    order.kind === "integrate" ? { branch: order.branch, commit: oid(`integrated ${order.commit}`) } : null;
  return {
    kind: order.kind,
    tree: order.tree,
    branch: done?.branch ?? null,
    commit: done?.commit ?? null,
    target: targetState,
  };
}

function resultOf(grant: Grant, script: PassScript): Report["result"] {
  const { brief } = grant;
  const fixers = brief.spec.fixers.map(({ name }, index) => ({
    index,
    name,
    files: [],
    usable: true,
    reason: "applies",
  }));
  const forbidden = script.forbiddenPaths ?? [];
  const made = !script.nothing && forbidden.length === 0;
  const green = script.suite !== "red";
  const pauseMs = script.quota?.[brief.quota.waits];
  const results: { [T in Task]: () => Report["result"] } = {
    plan: () => ({
      fixers,
      blastRadius: { files: 1, tracked: 10 },
      seal: { hash: sha("seal"), files: 2 },
    }),
    fitness: () => ({
      loadPerCpu: 0.1,
      diskFreeBytes: 1e10,
      memoryFreeBytes: 1e10,
      target: targetState,
      warnings: [],
    }),
    "base-suite": () => suiteRun(script.base === undefined),
    "base-measure": () => ({
      values: [100, 101, 99],
      cv: 0.01,
      detectable: 0.02,
      pairsNeeded: 9,
      wallMs: 10,
      analysis: null,
    }),
    choose: () => ({
      fixer: script.fixer === undefined ? (brief.pass - 1) % brief.spec.fixers.length : script.fixer,
      reason: "next in order",
      dropped: [],
    }),
    separate: () =>
      script.base === "flaky" ? { runs: [suiteRun(true)], flaky: true } : { runs: [], flaky: false },
    prepare: () => ({ tree: brief.lastGood.tree }),
    produce: () => ({
      ...(script.touched ? { touched: script.touched } : {}),
      ...(pauseMs ? { quota: { pauseMs, said: "try again later" } } : {}),
      candidate: made && !pauseMs ? candidateOf(grant, script) : null,
      forbiddenPaths: forbidden,
      setAside: script.setAside ?? [],
      original: script.setAside ? oid(`original ${brief.quest} ${brief.pass}`) : null,
    }),
    review: () => ({
      files: brief.candidate?.files ?? [],
      withinPlan: true,
      ...(script.touched ? { touched: script.touched } : {}),
    }),
    suite: () => ({ runs: [suiteRun(green)], passed: green }),
    gate: () => ({ samples: samplesOf(grant, script) }),
    guard: () => ({ checked: brief.spec.guards.map(({ name }) => name) }),
    settle: () => settled(grant),
  };
  return results[brief.task]();
}

const signing: readonly Task[] = ["review", "suite", "gate", "guard"];

function signOffOf(task: Task, { refuses = [], unsigned = [], suite }: PassScript): SignOff | null {
  if (!signing.includes(task) || unsigned.includes(task)) return null;
  const no = refuses.includes(task) || (task === "suite" && suite === "red");
  return no
    ? { vote: "no", reasons: [`${task} found a problem`] }
    : { vote: "yes", reasons: [`${task} is fine`] };
}

/** The report an agent would send for this grant, in the world that `script` describes. */
export function scriptedReport(grant: Grant, script: PassScript = {}): Report {
  const { assignment, epoch, brief } = grant;
  const code = script.faults?.[brief.task];
  const head = {
    assignment,
    epoch,
    pass: brief.pass,
    phase: brief.phase,
    task: brief.task,
    suspicions: brief.task === "produce" && !code ? (script.suspicions ?? []) : [],
    artifacts: [],
  };
  if (code) {
    const fault = { code, message: `${brief.task} could not be done`, next: "look at the machine" };
    return { ...head, summary: `${code}: not done`, fault, result: null, signOff: null } as Report;
  }
  const signOff = signOffOf(brief.task, script);
  return {
    ...head,
    summary: `${brief.task} done`,
    fault: null,
    result: resultOf(grant, script),
    signOff,
  } as Report;
}

type Written = Parameters<typeof questDocument.parse>[0] & object;

/** A quest file that names three patches and one guard. */
function document(part: Partial<Record<keyof QuestDocument, unknown>> = {}): QuestDocument {
  const written: Written = {
    version: 1,
    title: "Make word search 20 % faster",
    intent: "optimize",
    target: { repo: "/srv/word-search" },
    measure: { command: "node bench.mjs", metric: { name: "p95_ms", from: "metric-line", unit: "ms" } },
    goal: { improveBy: "20%" },
    tests: { command: "npm test" },
    guards: [{ name: "rss", from: "max-rss", worseBy: "10%" }],
    fixers: [{ patch: "a.patch" }, { patch: "b.patch" }, { patch: "c.patch" }],
    authorities: { performance: { write: ["src/**"], never: ["test/**"] } },
    ...part,
  };
  return questDocument.parse(written);
}

export const improving = { intent: "improve", goal: { margin: "1%" } };
export const validating = {
  intent: "validate",
  fixers: [],
  target: { repo: "/srv/word-search", candidate: "topic" },
};

export function submission(part: Partial<Record<keyof QuestDocument, unknown>> = {}): CommandData["submit"] {
  const written = document(part);
  const patches = written.fixers.flatMap((each) =>
    "patch" in each ? [{ name: each.patch, sha256: sha(each.patch) }] : [],
  );
  const resolved = written.target.candidate ? [{ name: "topic", commit: oid("topic") }] : patches;
  return { document: written, questDir: "/srv/quests", base, resolved, digest: sha(JSON.stringify(written)) };
}
