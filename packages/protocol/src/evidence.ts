import { z } from "zod";
import { gitOid, sha256 } from "./identity.ts";
import { limit } from "./limit.ts";

/** A stored artifact: its content is found by its hash, and checked against it. */
export const artifactRef = z.strictObject({
  kind: z.enum(["diff", "suite-output", "bench-output", "fixer-output", "samples", "matrix", "report"]),
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
  wallMs: z.number(),
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
  /** Candidate against last known-good, in the order measured: the decision. */
  pairs: z.array(pair).max(limit.pairsMax),
  /** Fresh pairs against last known-good, taken after the decision: the effect to report. */
  confirmation: z.array(pair).max(limit.pairsMax),
  /** Fresh pairs against the quest's own base; null while last known-good still is the base. */
  total: z.array(pair).max(limit.pairsMax).nullable(),
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
});
export type SuiteRun = z.infer<typeof suiteRun>;
