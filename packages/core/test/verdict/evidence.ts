import type { GateSamples, Pair } from "@questbus/protocol";
import type { JudgePolicy, PassEvidence } from "../../src/verdict/judge.ts";

/** What a verdict is made of, where nothing speaks against it; a test says only what it is about. */

export const policyOf = (part: Partial<JudgePolicy> = {}): JudgePolicy => ({
  metric: { name: "run_ms", from: "metric-line", unit: "ms", better: "lower" },
  goal: { improveBy: 0.2, margin: 0.01, minEffect: null },
  guards: [],
  alpha: 0.0125,
  pairsMax: 60,
  confirmationPairs: 16,
  signOff: [],
  ...part,
});

export const samplesOf = (
  seed: string,
  pairs: Pair[],
  part: Partial<Omit<GateSamples, "seed" | "pairs">> = {},
): GateSamples => ({
  seed,
  pairs,
  confirmation: [],
  total: null,
  workloadKey: "0".repeat(64),
  remeasure: null,
  ...part,
});

export const evidenceOf = (
  samples: GateSamples | null,
  part: Partial<Omit<PassEvidence, "samples">> = {},
): PassEvidence => ({
  unfit: null,
  crash: null,
  changedNothing: false,
  forbiddenPaths: [],
  suspicions: [],
  tests: "passed",
  samples,
  signOffs: {},
  ...part,
});
