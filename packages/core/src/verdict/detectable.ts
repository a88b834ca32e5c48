import { type Better, logOfRelative, relativeGain } from "./log-gain.ts";

/**
 * What a budget of pairs can show, planned from base-only runs before the first pass.
 *
 * Calibration. One gain test against a true log gain that lies δ pair standard deviations above the margin needs
 *
 *   pairs(δ, α) = (floor^p + (slope / δ²)^p)^(1/p),   floor = 2 + 3.1 ln(1/α),  slope = 1.12 (5 + 3.43 ln(1/α)),  p = 1.7
 *
 * pairs to be proven with power 90 %. Fitted to simulated 90 % points (normal log noise, 1 500 quests a cell), δ from
 * .2 to 20, α .05 to .005; at α .0125: δ .3: 225 pairs, .5: 85, .8: 37, 1: 27, 1.5: 18, 5: 15. The 1.12 pays for the
 * futility stop. `floor` is what even a noiseless gain needs: evidence grows by a bounded factor a pair. The whole
 * gate, run at the `detectable` of CV 2, 5 and 10 %, 30 to 200 pairs, α .05 and .0125 (400 quests each): power 85 to
 * 97 %, mean 91 %.
 */
const floorOf = (alpha: number): number => 2 + 3.1 * Math.log(1 / alpha);
const slopeOf = (alpha: number): number => 1.12 * (5 + 3.43 * Math.log(1 / alpha));
const p = 1.7;

/** Fewest base-only runs that say anything about noise. */
const runsMin = 3;

/**
 * Shamos' scale: 1.0483 × the median distance between two values (consistent for normal noise, efficiency 86 %,
 * breakdown 29 %; MAD has 37 %). Sources: Shamos 1976; Rousseeuw & Croux, JASA 88 (1993) 1273–1283.
 */
function shamosScale(values: readonly number[]): number {
  const distances = new Float64Array((values.length * (values.length - 1)) / 2);
  let at = 0;
  values.forEach((value, i) => {
    for (const other of values.slice(i + 1)) distances[at++] = Math.abs(value - other);
  });
  distances.sort();
  const half = distances.length >> 1;
  const upper = distances[half] as number;
  return 1.0483 * (distances.length % 2 ? upper : ((distances[half - 1] as number) + upper) / 2);
}

/**
 * Against a noise estimated too small: 0.84 / √(2 · 0.86 · n) is its 80 % upper bound for large n; simulated with 3 to
 * 30 normal values, it covers the true noise in 72 to 79 %.
 */
const inflation = (runs: number): number => 1 + 0.64 / Math.sqrt(runs);

/** The distance δ above the margin, in pair standard deviations, that `pairs` can prove; null when none, however large. */
function distanceWithin(pairs: number, alpha: number): number | null {
  const rest = pairs ** p - floorOf(alpha) ** p;
  return rest > 0 ? Math.sqrt(slopeOf(alpha) / rest ** (1 / p)) : null;
}

const pairsFor = (distance: number, alpha: number): number =>
  Math.ceil((floorOf(alpha) ** p + (slopeOf(alpha) / distance ** 2) ** p) ** (1 / p));

/** From this many runs on, the differences of neighbours say enough of the noise inside a pair. */
const neighbourRunsMin = 16;

/**
 * The standard deviation of one A/A pair, in log gain. From few runs: √2 × that of single runs. From more also the
 * scale of the differences of neighbours, and the smaller of the two counts: what drifts slowly moves both arms of a
 * pair, and is in the first alone. Neighbouring differences share a run, so they are worth about two thirds of as
 * many that do not.
 */
function pairDeviation(logs: readonly number[]): number {
  const single = Math.SQRT2 * shamosScale(logs) * inflation(logs.length);
  if (logs.length < neighbourRunsMin) return single;
  const steps = logs.slice(1).map((each, at) => each - (logs[at] as number));
  return Math.min(single, shamosScale(steps) * inflation((2 * steps.length) / 3));
}

/** `values`: base-only fresh-process runs in the order they were made, any unit. `goal` and `margin`: relative gains. */
export type BudgetQuestion = {
  values: readonly number[];
  margin: number;
  goal: number | null;
  alpha: number;
  pairsMax: number;
  better: Better;
};

/**
 * `cv`: noise of one run, as a fraction of its value (robust, not inflated). `detectable`: the smallest relative gain
 * that `pairsMax` pairs prove with power 90 %. `pairsNeeded`: pairs for the goal, also where that is more than the
 * budget. `fit`: the goal is within the budget; without a goal, anything at all is.
 *
 * Unfit with `cv` null: the values cannot be used (fewer than 3, or one not finite or not above zero). Unfit with
 * `detectable` null: the budget is too small for any gain, however large. `pairsNeeded` is null where no number of
 * pairs would do: no goal, or one that is not above the margin.
 */
export type BudgetPlan =
  | { fit: true; cv: number; detectable: number; pairsNeeded: number | null }
  | { fit: false; cv: number | null; detectable: number | null; pairsNeeded: number | null };

const unusable: BudgetPlan = { fit: false, cv: null, detectable: null, pairsNeeded: null };

function questionIsSound(question: BudgetQuestion): boolean {
  const { values, margin, goal, alpha, pairsMax, better } = question;
  return (
    values.length >= runsMin &&
    values.every((value) => Number.isFinite(value) && value > 0) &&
    margin >= 0 &&
    Number.isFinite(logOfRelative(margin, better)) &&
    (goal === null || Number.isFinite(goal)) &&
    alpha > 0 &&
    alpha < 1 &&
    Number.isFinite(pairsMax)
  );
}

/** The pairs that prove a true gain of `goal`; null when it is not above the margin. A goal of 100 % lower is no gain. */
function pairsForGoal(goal: number, margin: number, pairSd: number, question: BudgetQuestion): number | null {
  const distance = (logOfRelative(goal, question.better) - margin) / pairSd;
  if (!(distance > 0) || !Number.isFinite(logOfRelative(goal, question.better))) return null;
  const pairs = pairsFor(distance, question.alpha);
  return Number.isSafeInteger(pairs) ? pairs : null;
}

/** Plans the budget of a quest from its noise. Never NaN; see {@link BudgetPlan} for what is null when. */
export function planBudget(question: BudgetQuestion): BudgetPlan {
  if (!questionIsSound(question)) return unusable;
  const { values, goal, alpha, pairsMax, better } = question;
  const logs = values.map(Math.log);
  const scale = shamosScale(logs);
  const pairSd = pairDeviation(logs);
  const cv = Math.sqrt(Math.expm1(scale ** 2));
  const margin = logOfRelative(question.margin, better);
  const distance = distanceWithin(pairsMax, alpha);
  const detectable = distance === null ? null : relativeGain(margin + distance * pairSd, better);
  const pairsNeeded = goal === null ? null : pairsForGoal(goal, margin, pairSd, question);
  if (!Number.isFinite(cv) || (detectable !== null && !Number.isFinite(detectable))) return unusable;
  const within = goal === null || (pairsNeeded !== null && pairsNeeded <= pairsMax);
  return detectable !== null && within
    ? { fit: true, cv, detectable, pairsNeeded }
    : { fit: false, cv, detectable, pairsNeeded };
}
