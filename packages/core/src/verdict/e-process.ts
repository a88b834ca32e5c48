/**
 * The sequential signed-rank e-process.
 *
 * Null hypothesis: each difference is distributed symmetrically about some point at or below `shift`, given all
 * before it. With x = difference − shift, r the sequential rank of |x| among the n seen so far (itself included)
 * and w = r / n, a bet λ multiplies its wealth by 1 + λ · sign(x) · w. Given the past and |x| both signs are
 * equally likely at the boundary, so wealth is a non-negative martingale that starts at 1; below the boundary the
 * larger |x|, and so the larger w, goes with the lost bet, so it is a supermartingale. By Ville's inequality the
 * chance that it ever reaches 1/α is at most α, however often one looks and whatever makes one stop.
 *
 * Neither independence nor one common distribution is asked for: where the two arms are the same program, the
 * random order inside each pair makes the symmetry, under any drift, autocorrelation or mode.
 *
 * Sources: Vovk & Wang, arXiv 2208.08925 (e-values for signed-rank tests); Ramdas, Grünwald, Vovk & Shafer,
 * arXiv 2210.01948 (betting, Ville); Reynolds, Annals of Statistics 3 (1975) 382–400 (sequential signed ranks).
 */

/**
 * The bets, of equal weight. Simulated at CV 5 %, effect 5 %, α .0125, 90 pairs, futility at .05 (lognormal, 2 000
 * quests), power / mean runs / runs of an A/A:
 *   this grid                97 % / 72 / 39
 *   .05 to .95, ten bets     97 % / 75 / 42   slower: rejected
 *   .5 to .95, four bets     96 % / 68 / 37   more false futility stops (3.3 % for 2.7 %): rejected
 * A weight of r / (n + 1) needs 4 runs more at effect 10 %: rejected.
 */
const bets = [0.3, 0.5, 0.7, 0.9] as const;

/**
 * Differences are compared on a grid of 1e-9 (a billionth of the base). Rounding of logarithms then breaks no tie
 * and gives no zero a sign, and engines that round `Math.log` differently find the same ranks.
 */
const stepsPerUnit = 1e9;

/** Wealth above this is thrown away, which keeps the bound and keeps every figure finite. */
const wealthMax = 1e300;

export type EProcess = {
  /** Takes the next difference; answers the evidence after it. */
  readonly next: (difference: number) => number;
};

/** How many of the ascending `sorted` are at or below `value`. */
function countAtOrBelow(sorted: readonly number[], value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * An e-process against "symmetric about at most `shift`". Ties take the highest rank they share, and a difference
 * equal to `shift` bets nothing: the weight still only grows with |x|, which is all the bound needs. A difference
 * that is not a number loses all wealth for good.
 */
export function createEProcess(shift: number): EProcess {
  const sizes: number[] = [];
  let wealth: number[] = bets.map(() => 1 / bets.length);
  const next = (difference: number): number => {
    const x = Math.round((difference - shift) * stepsPerUnit);
    const size = Math.abs(x);
    const at = countAtOrBelow(sizes, size);
    sizes.splice(at, 0, size);
    const stake = Number.isNaN(x) ? Number.NaN : (Math.sign(x) * (at + 1)) / sizes.length;
    wealth = wealth.map((held, k) =>
      Number.isNaN(stake) ? 0 : Math.min(wealthMax, held * (1 + (bets[k] as number) * stake)),
    );
    return wealth.reduce((sum, held) => sum + held, 0);
  };
  return { next };
}

/** The evidence after each difference, in order. */
export function ePath(differences: readonly number[], shift: number): number[] {
  const process = createEProcess(shift);
  return differences.map((difference) => process.next(difference));
}

/** The evidence after all differences; 1 (none either way) when there are none. */
export const eValue = (differences: readonly number[], shift: number): number =>
  ePath(differences, shift).at(-1) ?? 1;

export type SequentialTest = {
  readonly next: (difference: number) => void;
  /** The evidence, held at the value with which it first reached 1/alpha. */
  readonly e: () => number;
  readonly reached: () => boolean;
};

/**
 * The test at level `alpha`: an e-process that stops when it first reaches 1/alpha. The stopped value is itself an
 * e-value (optional stopping), so it is what a verdict reports.
 */
export function createTest(shift: number, alpha: number): SequentialTest {
  const process = createEProcess(shift);
  let e = 1;
  const reached = (): boolean => e >= 1 / alpha;
  return {
    next: (difference) => {
      if (!reached()) e = process.next(difference);
    },
    e: () => e,
    reached,
  };
}
