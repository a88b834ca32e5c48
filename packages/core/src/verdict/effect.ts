import type { Effect, Pair } from "@questbus/protocol";
import { type Better, metricGains, relativeGain } from "./log-gain.ts";

/** Fewest pairs with an interval at 95 %: with 5 the widest one covers only 1 − 2/32. */
const pairsMin = 6;
/** Above this the signed-rank distribution is taken as normal. */
const exactMax = 50;

export type ShiftEstimate = { estimate: number; low: number; high: number };

/** The Walsh averages (x_i + x_j) / 2 of every i ≤ j, ascending. */
function walshAverages(values: readonly number[]): Float64Array {
  const n = values.length;
  const averages = new Float64Array((n * (n + 1)) / 2);
  let at = 0;
  for (let i = 0; i < n; i++) {
    for (let j = i; j < n; j++) averages[at++] = ((values[i] as number) + (values[j] as number)) / 2;
  }
  return averages.sort();
}

/** NaN for no values. */
export const median = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : middle(Float64Array.from(values).sort());

/** The median of ascending values. */
function middle(sorted: Float64Array): number {
  const half = sorted.length >> 1;
  const upper = sorted[half] as number;
  return sorted.length % 2 ? upper : ((sorted[half - 1] as number) + upper) / 2;
}

/**
 * The Hodges–Lehmann estimate of the centre of symmetry: the median of the Walsh averages. NaN for no values.
 * Source: Hodges & Lehmann, Annals of Mathematical Statistics 34 (1963) 598–611.
 */
export const pseudoMedian = (values: readonly number[]): number =>
  values.length === 0 ? Number.NaN : middle(walshAverages(values));

/** Quantiles that were counted before; a replay asks for the same few again and again. */
const counted = new Map<string, number>();
const countedMax = 1_000;

/** The smallest w with P(W ≤ w) ≥ p, W the signed-rank statistic of n values. */
function exactQuantile(n: number, p: number): number {
  const key = `${n} ${p}`;
  const known = counted.get(key);
  if (known !== undefined) return known;
  const found = countQuantile(n, p);
  if (counted.size >= countedMax) counted.clear();
  counted.set(key, found);
  return found;
}

/** Counted, each sign pattern alike. */
function countQuantile(n: number, p: number): number {
  const ways = new Float64Array((n * (n + 1)) / 2 + 1);
  ways[0] = 1;
  for (let rank = 1; rank <= n; rank++) {
    for (let w = ways.length - 1; w >= rank; w--) ways[w] = (ways[w] as number) + (ways[w - rank] as number);
  }
  let below = 0;
  for (let w = 0; w < ways.length; w++) {
    below += ways[w] as number;
    if (below >= p * 2 ** n) return w;
  }
  return ways.length - 1;
}

/** The standard normal quantile (Acklam's rational approximation, relative error below 1.2e-9), for 0 < p ≤ .5. */
function normalQuantile(p: number): number {
  const a = [
    -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
    2.506628277459239,
  ];
  const b = [
    -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1,
  ];
  const c = [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ];
  const d = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
  const polynomial = (k: readonly number[], x: number): number => k.reduce((sum, each) => sum * x + each, 0);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(c, q) / polynomial(d, q);
  }
  const q = p - 0.5;
  return (polynomial(a, q * q) * q) / polynomial(b, q * q);
}

/** How many Walsh averages the interval leaves out at each end, plus one; 0 when n is too small for the level. */
function endOfInterval(n: number, level: number): number {
  const tail = (1 - level) / 2;
  if (n <= exactMax) return exactQuantile(n, tail);
  const spread = Math.sqrt((n * (n + 1) * (2 * n + 1)) / 24);
  return Math.floor((n * (n + 1)) / 4 + normalQuantile(tail) * spread);
}

/**
 * Hodges–Lehmann estimate with the interval that inverts the Wilcoxon signed-rank test for a fixed number of values
 * (exact up to 50). Null when there are too few values for the level. It is not valid at a stopping time: over the
 * pairs that decided it is a description, over the confirmation pairs an interval.
 * Source: Hollander & Wolfe, Nonparametric Statistical Methods, §3.2–3.3 (tests use its table 3.1).
 */
export function estimateShift(values: readonly number[], level = 0.95): ShiftEstimate | null {
  if (!(level > 0 && level < 1) || !values.every(Number.isFinite)) return null;
  const end = values.length > 0 ? endOfInterval(values.length, level) : 0;
  if (end < 1) return null;
  const averages = walshAverages(values);
  const low = averages[end - 1] as number;
  const high = averages[averages.length - end] as number;
  return { estimate: middle(averages), low, high };
}

/**
 * The relative gain over `pairs` with its interval (`level` is a coverage, default .95). Null with a broken pair,
 * fewer than 6 pairs, too few for the level, or a gain too large for a number.
 */
export function estimateEffect(pairs: readonly Pair[], better: Better, level = 0.95): Effect | null {
  const gains = metricGains(pairs, better);
  if (gains === null || gains.length < pairsMin) return null;
  const shift = estimateShift(gains, level);
  if (shift === null) return null;
  const estimate = relativeGain(shift.estimate, better);
  const low = relativeGain(shift.low, better);
  const high = relativeGain(shift.high, better);
  return [estimate, low, high].every(Number.isFinite) ? { estimate, low, high, level } : null;
}
