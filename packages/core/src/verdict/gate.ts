import type { GuardSpec, Pair } from "@questbus/protocol";
import { createTest, type SequentialTest } from "./e-process.ts";
import { createGuardTrial, type GuardState, type GuardTrial, guardAlpha, logWorsening } from "./guard.ts";
import { type Better, isSoundRun, logOfRelative, metricGains, relativeGain } from "./log-gain.ts";

/**
 * When a series of pairs may stop. Two tests run over the same pairs: the gain test against "gain ≤ margin", and
 * its mirror against "gain ≥ minEffect". The first to reach its bound decides.
 *
 * Stopping early is safe: P(the gain test ever reaches 1/alpha) ≤ alpha holds over all times at once (Ville), so a
 * rule that stops for futility, for a guard, for the budget or because the machine is needed can only take
 * acceptances away. A gain once proven stays proven while guards are still undecided, by the same bound.
 */

/**
 * Level of the futility stop. It costs power, never safety: a candidate that is exactly as good as `minEffect` is
 * dropped in 6 % of quests (CV 5 %, effect 5 %). Simulated mean runs of an A/A and power at effect 5 %:
 * .2: 23 runs, 86 %; .1: 31 runs, 93 %; .05: 39 runs, 97 %.
 */
export const futilityAlpha = 0.1;

/** The smallest effect worth chasing (relative gain) where the quest names none and the goal is no smaller. */
const minEffectDefault = 0.05;

/** Relative gains are fractions: 0.05 is 5 % better. */
export type GatePolicy = {
  better: Better;
  margin: number;
  minEffect: number;
  alpha: number;
  pairsMax: number;
};

export type GateState = "more" | "gain" | "futile" | "spent" | "broken";

/**
 * Where a series stands. `gain`: the gain is proven and every guard holds. `futile`: the mirror test reached its
 * bound, or a guard regressed. `spent`: the budget is gone without either. `pairs`: how many decided.
 */
export type GateStep = { state: GateState; e: number; eFutility: number; reason: string; pairs: number };

/** What of a quest the gate needs. */
type Aim = {
  metric: { better: Better };
  goal: { improveBy: number | null; margin: number; minEffect: number | null };
  alpha: number;
  pairsMax: number;
};

/**
 * The smallest effect worth chasing: what the quest names, else 5 %, or the goal where that is smaller. It must lie above the margin, or every
 * series would contradict itself; where it does not, it is half as much again as the margin (in log gain, at least
 * .5 % above it), but never above a goal that is itself above the margin.
 */
export function minEffectOf(goal: Aim["goal"], better: Better): number {
  const wanted = goal.minEffect ?? Math.min(minEffectDefault, goal.improveBy ?? minEffectDefault);
  if (wanted > goal.margin) return wanted;
  const margin = logOfRelative(goal.margin, better);
  const above = relativeGain(Math.max(1.5 * margin, margin + 0.005), better);
  return goal.improveBy !== null && goal.improveBy > goal.margin ? Math.min(goal.improveBy, above) : above;
}

/** The policy under which a quest's pairs are measured and judged: the same for whoever measures and whoever audits. */
export const gatePolicyOf = (aim: Aim): GatePolicy => ({
  better: aim.metric.better,
  margin: aim.goal.margin,
  minEffect: minEffectOf(aim.goal, aim.metric.better),
  alpha: aim.alpha,
  pairsMax: aim.pairsMax,
});

/** The first pair (from 0) with a value that cannot be used, in metric, guard or run; null when there is none. */
export function firstBrokenPair(
  pairs: readonly Pair[],
  guards: readonly GuardSpec[],
  better: Better,
): number | null {
  const at = pairs.findIndex(
    (pair) =>
      metricGains([pair], better) === null ||
      guards.some((guard) => logWorsening(pair, guard) === null) ||
      !isSoundRun(pair.base) ||
      !isSoundRun(pair.candidate),
  );
  return at < 0 ? null : at;
}

function policyFault(policy: GatePolicy): string | null {
  const shifts = [policy.margin, policy.minEffect].map((each) => logOfRelative(each, policy.better));
  if (!(policy.margin >= 0) || !shifts.every(Number.isFinite))
    return "the margin or the smallest effect is out of range";
  if (!(policy.alpha > 0 && policy.alpha < 1)) return "alpha is not between 0 and 1";
  return policy.pairsMax >= 1 ? null : "the budget has no pairs";
}

type Trial = {
  gain: SequentialTest;
  futility: SequentialTest;
  guards: readonly { name: string; trial: GuardTrial }[];
};

function openTrial(guards: readonly GuardSpec[], policy: GatePolicy): Trial {
  return {
    gain: createTest(logOfRelative(policy.margin, policy.better), policy.alpha),
    futility: createTest(-logOfRelative(policy.minEffect, policy.better), futilityAlpha),
    guards: guards.map((guard) => ({ name: guard.name, trial: createGuardTrial(guard, guardAlpha) })),
  };
}

function takePair(trial: Trial, pair: Pair, gain: number, guards: readonly GuardSpec[]): void {
  trial.gain.next(gain);
  trial.futility.next(-gain);
  trial.guards.forEach(({ trial: each }, k) => {
    each.next(logWorsening(pair, guards[k] as GuardSpec) ?? Number.NaN);
  });
}

const named = (trial: Trial, state: "regressed" | "undecided"): string[] =>
  trial.guards.filter((each) => each.trial.state() === state).map((each) => each.name);

/** The state after `taken` pairs. A regressed guard first, then a gain, which outlives a later futility. */
function stateOf(trial: Trial, taken: number, policy: GatePolicy): { state: GateState; reason: string } {
  const regressed = named(trial, "regressed");
  const undecided = named(trial, "undecided");
  if (regressed.length > 0)
    return { state: "futile", reason: `worse than its bound: ${regressed.join(", ")}` };
  if (trial.gain.reached() && undecided.length === 0)
    return { state: "gain", reason: "the gain is above the margin" };
  if (trial.futility.reached() && !trial.gain.reached()) {
    return { state: "futile", reason: "the gain is below the smallest effect worth chasing" };
  }
  const open = trial.gain.reached()
    ? `the gain is proven, undecided: ${undecided.join(", ")}`
    : "no decision was reached";
  return taken >= policy.pairsMax
    ? { state: "spent", reason: `the budget of ${policy.pairsMax} pairs is spent; ${open}` }
    : { state: "more", reason: open };
}

/** A step with where each guard stands then; `e`: the evidence that it holds. */
export type GatePoint = GateStep & { guards: readonly { name: string; state: GuardState; e: number }[] };

/** Why a series cannot be judged, though parts of it could: one unusable value in any pair is enough; null when it can. */
function seriesFault(
  pairs: readonly Pair[],
  guards: readonly GuardSpec[],
  policy: GatePolicy,
): string | null {
  const broken = firstBrokenPair(pairs, guards, policy.better);
  return (
    policyFault(policy) ?? (broken === null ? null : `pair ${broken + 1} has a value that cannot be used`)
  );
}

/**
 * Where the series stands before its first pair and after each, up to the one at which it stops. A series that cannot
 * be judged has one point, `broken`.
 */
export function* walkGate(
  pairs: readonly Pair[],
  guards: readonly GuardSpec[],
  policy: GatePolicy,
): Generator<GatePoint, void> {
  const fault = seriesFault(pairs, guards, policy);
  const start = { e: 1, eFutility: 1, pairs: 0, guards: [] };
  if (fault !== null) return yield { state: "broken", reason: fault, ...start };
  yield { state: "more", reason: "no decision yet", ...start };
  const gains = metricGains(pairs, policy.better) ?? [];
  const trial = openTrial(guards, policy);
  for (const [at, pair] of pairs.entries()) {
    takePair(trial, pair, gains[at] as number, guards);
    const found = stateOf(trial, at + 1, policy);
    const guardsNow = trial.guards.map(({ name, trial: each }) => ({
      name,
      state: each.state(),
      e: each.e(),
    }));
    yield {
      ...found,
      e: trial.gain.e(),
      eFutility: trial.futility.e(),
      pairs: at + 1,
      guards: guardsNow,
    };
    if (found.state !== "more") return;
  }
}

/**
 * Whether the series goes on after `pairs`. It looks after every pair, and answers for the first prefix that stops:
 * pairs beyond it change nothing. Any unusable value in any pair, or a policy out of range, is `broken`.
 */
export function nextGateStep(
  pairs: readonly Pair[],
  guards: readonly GuardSpec[],
  policy: GatePolicy,
): GateStep {
  const { guards: _, ...step } = [...walkGate(pairs, guards, policy)].at(-1) as GatePoint;
  return step;
}

/** Whether the gain alone is proven, guards aside, at a step under `policy`. */
export const gainProven = (step: GateStep, policy: GatePolicy): boolean =>
  step.state !== "broken" && step.e >= 1 / policy.alpha;
