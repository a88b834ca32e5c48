import type { GuardFinding, GuardSpec, Pair } from "@questbus/protocol";
import { createTest } from "./e-process.ts";
import { pseudoMedian } from "./effect.ts";
import { flip, logOfRelative, relativeGain } from "./log-gain.ts";

/** The level of each guard, not shared with the gain nor between guards: an error here only blocks or is blocked. */
export const guardAlpha = 0.05;

export type GuardState = GuardFinding["state"];

const usable = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;

/**
 * The log worsening of one pair in a guard; null when a value is missing, not finite or below zero.
 *
 * A guard may be zero, unlike the metric, because it may count (errors, misses): zero in both arms is no change,
 * a zero that appears or goes away is an unbounded change. Ranks need no more than that.
 */
export function logWorsening(pair: Pair, guard: GuardSpec): number | null {
  const base: unknown = pair.base.guards[guard.name];
  const candidate: unknown = pair.candidate.guards[guard.name];
  if (!usable(base) || !usable(candidate)) return null;
  if (base === candidate) return 0;
  return guard.better === "lower"
    ? Math.log(candidate) - Math.log(base)
    : Math.log(base) - Math.log(candidate);
}

export type GuardTrial = {
  /** Takes the next pair's log worsening. */
  readonly next: (worsening: number) => void;
  readonly state: () => GuardState;
  readonly e: () => number;
};

/**
 * Two one-sided tests on the same pairs, each at `alpha`: against "worse by `worseBy` or more" (reached: holds) and
 * against "worse by at most `worseBy`" (reached: regressed, and stays so even if the first was reached before).
 * `worseBy` is a fraction; 0.05 means 1.05 × for lower, 0.95 × for higher. A bound nothing can reach (100 % of
 * higher) or that is not a number decides nothing: the guard stays undecided, and blocks.
 */
export function createGuardTrial(guard: GuardSpec, alpha: number): GuardTrial {
  const bound = logOfRelative(guard.worseBy, flip(guard.better));
  const sound = Number.isFinite(bound) && guard.worseBy >= 0;
  const holds = createTest(-bound, alpha);
  const regressed = createTest(bound, alpha);
  return {
    next: (worsening) => {
      if (!sound) return;
      holds.next(-worsening);
      regressed.next(worsening);
    },
    state: () => (regressed.reached() ? "regressed" : holds.reached() ? "holds" : "undecided"),
    e: holds.e,
  };
}

/** The pseudo-median worsening as a fraction; null when it is no finite number. */
function worseningOf(worsenings: readonly number[], guard: GuardSpec): number | null {
  const estimate = relativeGain(pseudoMedian(worsenings), flip(guard.better));
  return Number.isFinite(estimate) ? estimate : null;
}

/**
 * Non-inferiority of one guard over `pairs`, at `alpha` (default .05, uncorrected: each guard must hold on its own).
 * A broken value leaves it undecided, with evidence 0. Six pairs with equal values in both arms are enough to hold.
 * Sources: as {@link createTest}; the margin is a non-inferiority margin in the usual sense (Piaggio et al., JAMA 2012).
 */
export function judgeGuard(pairs: readonly Pair[], guard: GuardSpec, alpha = guardAlpha): GuardFinding {
  const worsenings = pairs.map((pair) => logWorsening(pair, guard));
  if (!worsenings.every((each) => each !== null))
    return { name: guard.name, state: "undecided", worsening: null, e: 0 };
  const trial = createGuardTrial(guard, alpha);
  for (const each of worsenings) trial.next(each);
  return { name: guard.name, state: trial.state(), worsening: worseningOf(worsenings, guard), e: trial.e() };
}
