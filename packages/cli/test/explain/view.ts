import {
  type ExplainedPass,
  explain,
  firstOfPair,
  type JudgePolicy,
  type PassEvidence,
} from "@questbus/core";
import type { GateSamples, Pair, Verdict } from "@questbus/protocol";
import type { View } from "../../src/explain/words.ts";

/** Explained passes made of given samples, for what shows them. */

export const policy: JudgePolicy = {
  metric: { name: "p95_ms", from: "metric-line", unit: "ms", better: "lower" },
  goal: { improveBy: 0.2, margin: 0.01, minEffect: null },
  guards: [{ name: "rss", from: "max-rss", unit: "bytes", better: "lower", worseBy: 0.05 }],
  alpha: 0.0125,
  pairsMax: 60,
  confirmationPairs: 16,
  signOff: ["architect", "qa"],
};

const verdict: Verdict = {
  verdict: "ACCEPT",
  reasons: ["20 % faster.", "Proven over 12 pairs."],
  effect: null,
  total: null,
  e: 90,
  eFutility: 0.1,
  alpha: 0.0125,
  pairs: 12,
  guards: [],
};

export function pairsOf(
  seed: string,
  values: readonly (readonly [base: number, candidate: number])[],
): Pair[] {
  const run = (value: number): Pair["base"] => ({
    value,
    guards: { rss: 1_000 },
    wallMs: value,
    cpuMs: null,
    digest: null,
  });
  return values.map(([base, candidate], at) => ({
    first: firstOfPair(seed, at),
    base: run(base),
    candidate: run(candidate),
  }));
}

/** A steady gain of 20 % with a little noise, which the gate proves. */
export const steady = (count: number): [number, number][] =>
  Array.from({ length: count }, (_, at) => [100 + (at % 3), 80 + (at % 4)]);

export const samplesOf = (pairs: Pair[]): GateSamples => ({
  seed: "s",
  pairs,
  confirmation: pairsOf("s:confirmation", steady(16)),
  total: null,
  workloadKey: "0".repeat(64),
  remeasure: null,
});

export function viewOf(
  samples: GateSamples | null,
  over: { view?: Partial<View>; pass?: Partial<ExplainedPass>; evidence?: Partial<PassEvidence> } = {},
  rules: JudgePolicy = policy,
): View {
  const found: PassEvidence = {
    unfit: null,
    crash: null,
    changedNothing: false,
    forbiddenPaths: [],
    suspicions: [],
    tests: "passed",
    samples,
    signOffs: { architect: { vote: "yes", reasons: ["as planned"] } },
    ...over.evidence,
  };
  const pass: ExplainedPass = {
    pass: 2,
    fixer: "fixes/a.patch",
    lastGood: { commit: "c", tree: "t" },
    candidate: null,
    setAside: [],
    cut: null,
    stored: verdict,
    recomputed: verdict,
    same: true,
    artifacts: [{ kind: "samples", sha256: "ab".repeat(32), sizeBytes: 9, task: "gate" }],
    ...explain(found, rules),
    ...over.pass,
  };
  return { quest: "q-00000000", title: "Faster", passes: 2, stateDir: ".questbus", pass, ...over.view };
}
