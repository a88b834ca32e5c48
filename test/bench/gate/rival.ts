import type { Pair } from "@questbus/protocol";
import type { Machine } from "./noise.ts";

/**
 * How others decide, in the same harness: each rule runs base and candidate on the machine it is given, in the order it
 * would, and answers whether it keeps the candidate. Less is better.
 */

const mean = (values: readonly number[]): number =>
  values.reduce((sum, each) => sum + each, 0) / values.length;

/** The upper tail of the standard normal distribution (Abramowitz & Stegun 26.2.17, error below 7.5e-8). */
function upperTail(z: number): number {
  if (z < 0) return 1 - upperTail(-z);
  const t = 1 / (1 + 0.2316419 * z);
  const series = [0.31938153, -0.356563782, 1.781477937, -1.821255978, 1.330274429];
  const sum = series.reduceRight((rest, each) => (rest + each) * t, 0);
  return (Math.exp(-(z ** 2) / 2) / Math.sqrt(2 * Math.PI)) * sum;
}

/** One-sided p of Mann–Whitney's U that `candidate` is lower; normal approximation with continuity correction, as in benchstat beyond its exact tables. */
function mannWhitney(base: readonly number[], candidate: readonly number[]): number {
  let wins = 0;
  for (const one of base) for (const other of candidate) wins += other < one ? 1 : other === one ? 0.5 : 0;
  const [n, m] = [base.length, candidate.length];
  const spread = Math.sqrt((n * m * (n + m + 1)) / 12);
  return upperTail((wins - (n * m) / 2 - 0.5) / spread);
}

const block = (machine: Machine, count: number, length: number): number[] =>
  Array.from({ length: count }, () => machine.run(length));

/** Base and candidate by turns, base always first. */
function byTurns(machine: Machine, count: number, length: number): { base: number[]; candidate: number[] } {
  const [base, candidate]: [number[], number[]] = [[], []];
  for (let i = 0; i < count; i++) {
    base.push(machine.run(1));
    candidate.push(machine.run(length, true));
  }
  return { base, candidate };
}

/** 50 runs of each by turns, then batches of 10 until the 95 % interval of the difference holds no 0, 250 at most. */
function keepsGoing(machine: Machine, length: number): boolean {
  const { base, candidate } = byTurns(machine, 50, length);
  for (;;) {
    const [b, c] = [mean(base), mean(candidate)];
    const variance = (values: number[], middle: number): number =>
      values.reduce((sum, each) => sum + (each - middle) ** 2, 0) / (values.length - 1) / values.length;
    const half = 1.97 * Math.sqrt(variance(base, b) + variance(candidate, c));
    if (Math.abs(b - c) > half) return c < b;
    if (base.length >= 250) return false;
    const more = byTurns(machine, 10, length);
    base.push(...more.base);
    candidate.push(...more.candidate);
  }
}

/** `words`: the rule as one line. `keeps`: whether it keeps a candidate that takes `length` where the base takes 1. */
export const rivals = {
  "one-run": {
    words: "one run better than the best",
    keeps: (machine: Machine, length: number) => {
      const base = machine.run(1);
      return machine.run(length, true) < base;
    },
  },
  "block-means": {
    words: "5 + 5 in blocks, mean better by 1 % or more",
    keeps: (machine: Machine, length: number) =>
      mean(block(machine, 5, 1)) * 0.99 >= mean(block(machine, 5, length)),
  },
  "block-mwu": {
    words: "20 + 20 in blocks, Mann–Whitney p < .1",
    keeps: (machine: Machine, length: number) =>
      2 * mannWhitney(block(machine, 20, 1), block(machine, 20, length)) < 0.1,
  },
  "turns-mwu": {
    words: "10 by turns, base first, Mann–Whitney p < .05, better by 1 % or more",
    keeps: (machine: Machine, length: number) => {
      const { base, candidate } = byTurns(machine, 10, length);
      return 2 * mannWhitney(base, candidate) < 0.05 && mean(candidate) < 0.99 * mean(base);
    },
  },
  "interval-peek": { words: "50 by turns, then tens until the 95 % interval excludes 0", keeps: keepsGoing },
} as const satisfies Record<string, { words: string; keeps: (machine: Machine, length: number) => boolean }>;

export type Rival = keyof typeof rivals;
export const rivalNames = Object.keys(rivals) as Rival[];

/** Mann–Whitney at `alpha` (two-sided) over the gate's own pairs, looked at every 2 pairs from the fourth on. */
export function peeks(pairs: readonly Pair[], alpha: number): boolean {
  for (let count = 4; count <= pairs.length; count += 2) {
    const seen = pairs.slice(0, count);
    const p = mannWhitney(
      seen.map((pair) => pair.base.value),
      seen.map((pair) => pair.candidate.value),
    );
    if (2 * p < alpha) return true;
  }
  return false;
}

/**
 * Whether the exact one-sided signed-rank test with a fixed number of pairs proves that the centre of `gains` is above
 * `shift`: the design without looks, at its best.
 */
export function fixedSignedRank(gains: readonly number[], shift: number, alpha: number): boolean {
  const ranked = gains.map((gain) => gain - shift).sort((a, b) => Math.abs(a) - Math.abs(b));
  const statistic = ranked.reduce((sum, x, at) => sum + (x > 0 ? at + 1 : 0), 0);
  return statistic >= criticalRankSum(gains.length, alpha);
}

const critical = new Map<string, number>();

/** The smallest w with P(W ≥ w) ≤ alpha, W the rank sum of n fair signs; counted. */
function criticalRankSum(n: number, alpha: number): number {
  const key = `${n} ${alpha}`;
  const known = critical.get(key);
  if (known !== undefined) return known;
  const ways = new Float64Array((n * (n + 1)) / 2 + 1);
  ways[0] = 1;
  for (let rank = 1; rank <= n; rank++) {
    for (let w = ways.length - 1; w >= rank; w--) ways[w] = (ways[w] as number) + (ways[w - rank] as number);
  }
  let above = 0;
  let w = ways.length;
  while (w > 0 && above + (ways[w - 1] as number) <= alpha * 2 ** n) above += ways[--w] as number;
  critical.set(key, w);
  return w;
}
