import { z } from "zod";
import { gitOid, sha256 } from "./identity.ts";
import { limit } from "./limit.ts";

/** A stored artifact: its content is found by its hash, and checked against it. */
export const artifactRef = z.strictObject({
  kind: z.enum([
    "diff",
    "suite-output",
    "bench-output",
    "fixer-output",
    "prompt",
    "trials",
    "samples",
    "matrix",
    "report",
    "profile",
    "analysis",
  ]),
  sha256,
  sizeBytes: z.int().min(0),
});
export type ArtifactRef = z.infer<typeof artifactRef>;

/** One run of the benchmark in a fresh process. */
export const observation = z.strictObject({
  /** The metric, in its own unit. */
  value: z.number(),
  /** The guards' values by name, in their own units. */
  guards: z.record(z.string(), z.number()),
  /** From start to the end of its last process, from outside. */
  wallMs: z.number(),
  /** Processor time of all its processes, from outside; null: not measured. */
  cpuMs: z.number().nullable(),
  /** What it printed as `DIGEST`, of what it computed; null: nothing. */
  digest: z.string().max(128).nullable(),
});
export type Observation = z.infer<typeof observation>;

/** One pair: base and candidate, each a fresh process; `first` ran first. */
export const pair = z.strictObject({
  first: z.enum(["base", "candidate"]),
  base: observation,
  candidate: observation,
});
export type Pair = z.infer<typeof pair>;

/** What the performance agent measured of a candidate. The verdict is recomputed from it. */
export const gateSamples = z.strictObject({
  /** Draws the order inside each pair. */
  seed: z.string().min(1).max(128),
  /** Draws the seed of each pair's workload; made when the candidate was there already, and known to nobody before. */
  workloadKey: z.string().regex(/^[0-9a-f]{64}$/),
  /** Candidate against last known-good, in the order measured: the decision. */
  pairs: z.array(pair).max(limit.pairsMax),
  /** Fresh pairs against last known-good, taken after the decision: the effect to report. */
  confirmation: z.array(pair).max(limit.pairsMax),
  /** Fresh pairs against the quest's own base; null while last known-good still is the base. */
  total: z.array(pair).max(limit.pairsMax).nullable(),
  /** Fresh pairs from fresh trees at another path, for a gain too large to be believed at once; null: no such gain. */
  remeasure: z.array(pair).max(limit.pairsMax).nullable(),
});
export type GateSamples = z.infer<typeof gateSamples>;

/** A change under trial. */
export const candidate = z.strictObject({
  commit: gitOid,
  tree: gitOid,
  /** Paths that differ from last known-good, sorted. */
  files: z.array(z.string()).min(1),
  linesAdded: z.int().min(0),
  linesRemoved: z.int().min(0),
  diff: artifactRef,
});
export type Candidate = z.infer<typeof candidate>;

/** The ways in which a candidate can look better than it is. */
const suspicionKinds = [
  /** It edits, removes, skips or weakens what is sealed. */
  "sealed-edit",
  /** The suite passes only with the candidate's own edits of it. */
  "own-tests-only",
  /** A run changed a sealed file. */
  "sealed-run",
  /** An added line looks at how, where or by whom the program is run. */
  "sniffing",
  /** An added line changes a clock. */
  "clock",
  /** Something outlives a run: a file, or what a run of the candidate left to the next. */
  "carried-state",
  /** A process was still running when the run was over. */
  "left-process",
  /** Other output than the base on the same seed. */
  "digest",
  /** The gain that the bench reports is not there from outside. */
  "wall-clock",
  /** A gain that is too large to be believed without more evidence. */
  "implausible",
  /** Fewer exports, tests or tested code than the base. */
  "surface",
  /** Another dependency or lockfile without an approval. */
  "dependency",
] as const;

/** A sign that a candidate games its evaluation; one of them is enough for HACK_SUSPECTED. */
export const suspicion = z.strictObject({
  kind: z.enum(suspicionKinds),
  /** What was seen, for people. */
  message: z.string().min(1).max(limit.reasonCharsMax),
  /** path, or path:line. */
  where: z.string().max(limit.placeCharsMax).nullable(),
});
export type Suspicion = z.infer<typeof suspicion>;

/** How many tests a suite says it ran. */
const testCount = z.strictObject({
  passed: z.int().min(0),
  failed: z.int().min(0),
  skipped: z.int().min(0),
});
export type TestCount = z.infer<typeof testCount>;

/** One run of the test suite. */
export const suiteRun = z.strictObject({
  passed: z.boolean(),
  /** Exit code; null when a signal or the timeout ended it. */
  exit: z.int().nullable(),
  timedOut: z.boolean(),
  durationMs: z.number(),
  output: artifactRef,
  /** The last lines of the output. */
  excerpt: z.string().max(limit.excerptCharsMax),
  /** Null: its output does not say. */
  tests: testCount.nullable().default(null),
});
export type SuiteRun = z.infer<typeof suiteRun>;
