import type {
  Effect,
  GateSamples,
  GuardFinding,
  GuardSpec,
  MetricSpec,
  Pair,
  Role,
  Suspicion,
} from "@questbus/protocol";
import { estimateEffect } from "./effect.ts";
import { futilityAlpha, type GatePoint, type GateStep, gatePolicyOf, walkGate } from "./gate.ts";
import { guardAlpha, logWorsening } from "./guard.ts";
import {
  type JudgePolicy,
  type PassEvidence,
  readSamples,
  samplesFault,
  samplesSuspicions,
} from "./judge.ts";
import { flip, logGain, relativeGain } from "./log-gain.ts";

/**
 * A verdict laid open: the rules, every pair, and the evidence after each. Plain data, made by the very functions that
 * judge: {@link walkGate} gives the path, and {@link readSamples} what the samples say.
 *
 * Gains and worsenings are fractions (0.2 is 20 %); null stands for one that is no finite number.
 */
export type Explanation = {
  rules: Rules;
  /** All that was found besides the samples. */
  found: Omit<PassEvidence, "samples">;
  samples: ExplainedSamples | null;
};

/** Under which the pass was judged. `bound`, `futilityBound`, `guardBound`: what an E must reach. */
export type Rules = {
  metric: MetricSpec;
  improveBy: number | null;
  margin: number;
  minEffect: number;
  alpha: number;
  bound: number;
  futilityBound: number;
  guardBound: number;
  pairsMax: number;
  confirmationPairs: number;
  guards: readonly GuardSpec[];
  signOff: readonly Role[];
};

/** A guard in one pair; `e` and `state` after it, null where the pair did not count. */
export type ExplainedGuard = {
  name: string;
  worsening: number | null;
  e: number | null;
  state: GuardFinding["state"] | null;
};

/** A pair and where the two tests stood after it; `e` and `eFutility` are null where the pair did not count. */
export type ExplainedPair = {
  /** From 1. */
  n: number;
  first: Pair["first"];
  base: Pair["base"];
  candidate: Pair["candidate"];
  gain: number | null;
  e: number | null;
  eFutility: number | null;
  guards: ExplainedGuard[];
};

/** Fresh pairs: of those measured, the first `counted` gave the effect. */
export type FreshSeries = { pairs: ExplainedPair[]; counted: number; effect: Effect | null };

export type ExplainedSamples = {
  /** Draws the order inside each pair. */
  seed: string;
  /** Draws the seed of each pair's workload; null in a record of an earlier release. */
  workloadKey: string | null;
  /** Why the record cannot be judged; null when it can. */
  fault: string | null;
  pairs: ExplainedPair[];
  /** Where the deciding pairs stopped, and why; its `pairs` are those that counted. */
  stop: GateStep;
  /** Over the pairs that decided: it flatters the candidate, so a verdict reports the confirmation's. */
  decidingEffect: Effect | null;
  confirmation: FreshSeries;
  /** Against the quest's own base; null while last known-good still is the base. */
  total: FreshSeries | null;
  /** From fresh trees at another path; null where the gain was not too large to be believed at once. */
  remeasure: FreshSeries | null;
  guards: readonly GuardFinding[];
  /** What the samples themselves say against the candidate. */
  suspicions: readonly Suspicion[];
};

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

function guardOf(pair: Pair, guard: GuardSpec, point: GatePoint | null): ExplainedGuard {
  const worsening = logWorsening(pair, guard);
  const then = point?.guards.find((each) => each.name === guard.name);
  return {
    name: guard.name,
    worsening: worsening === null ? null : finite(relativeGain(worsening, flip(guard.better))),
    e: then?.e ?? null,
    state: then?.state ?? null,
  };
}

function explainPair(pair: Pair, at: number, point: GatePoint | null, policy: JudgePolicy): ExplainedPair {
  const { better } = policy.metric;
  const gain = logGain(pair, better, (each) => each.value);
  return {
    n: at + 1,
    first: pair.first,
    base: pair.base,
    candidate: pair.candidate,
    gain: gain === null ? null : finite(relativeGain(gain, better)),
    e: point?.e ?? null,
    eFutility: point?.eFutility ?? null,
    guards: policy.guards.map((guard) => guardOf(pair, guard, point)),
  };
}

const freshSeries = (pairs: readonly Pair[], effect: Effect | null, policy: JudgePolicy): FreshSeries => ({
  pairs: pairs.map((pair, at) => explainPair(pair, at, null, policy)),
  counted: effect === null ? 0 : Math.min(pairs.length, policy.confirmationPairs),
  effect,
});

function explainSamples(samples: GateSamples, policy: JudgePolicy): ExplainedSamples {
  const judged = readSamples(samples, policy);
  const { gate, step, decided, guards, confirmed, total, remeasured } = judged;
  const path = new Map(
    [...walkGate(samples.pairs, policy.guards, gate)].map((point) => [point.pairs, point]),
  );
  return {
    seed: samples.seed,
    workloadKey: samples.workloadKey ?? null,
    fault: samplesFault(samples, policy),
    pairs: samples.pairs.map((pair, at) => explainPair(pair, at, path.get(at + 1) ?? null, policy)),
    stop: step,
    decidingEffect: estimateEffect(decided, gate.better),
    confirmation: freshSeries(samples.confirmation, confirmed, policy),
    total: samples.total && freshSeries(samples.total, total, policy),
    remeasure: samples.remeasure && freshSeries(samples.remeasure, remeasured, policy),
    guards,
    suspicions: samplesSuspicions(samples, judged),
  };
}

function rulesOf(policy: JudgePolicy): Rules {
  const { metric, goal, alpha, pairsMax, confirmationPairs, guards, signOff } = policy;
  const { margin, minEffect } = gatePolicyOf(policy);
  return {
    metric,
    improveBy: goal.improveBy,
    margin,
    minEffect,
    alpha,
    bound: 1 / alpha,
    futilityBound: 1 / futilityAlpha,
    guardBound: 1 / guardAlpha,
    pairsMax,
    confirmationPairs,
    guards,
    signOff,
  };
}

/** Everything a verdict over `evidence` under `policy` rests on. It concludes nothing: that is `judge`. */
export function explain(evidence: PassEvidence, policy: JudgePolicy): Explanation {
  const { samples, ...found } = evidence;
  return { rules: rulesOf(policy), found, samples: samples && explainSamples(samples, policy) };
}
