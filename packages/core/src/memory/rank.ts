/**
 * Which memories an assignment is given. Pure.
 *
 * A memory is as good as what came of it: a pass in which it was given, and that proved a gain, is a success. Its standing is
 * the lower bound of Wilson's score interval for the share of successes (E. B. Wilson, Probable inference, the law of
 * succession, and statistical inference, JASA 22, 1927, 209-212) at 95 % confidence, so that one success of one says less than
 * eighty of a hundred.
 *
 * The bound of nothing is nought, and a memory that is never found can never show what it is worth. So each begins as if it
 * had been used twice, once with success: the prior of Laplace's rule of succession, which says nothing for or against it.
 */

/** The quantile of the standard normal distribution for a two-sided 95 %. */
const z = 1.96;

/** Lower bound of Wilson's score interval for `successes` of `uses`; 0 without uses. */
export function wilsonLowerBound(successes: number, uses: number): number {
  if (uses === 0) return 0;
  const share = successes / uses;
  const square = z ** 2 / uses;
  const spread = z * Math.sqrt((share * (1 - share)) / uses + square / (4 * uses));
  // What rounding leaves of nought, with no success, is nought.
  return Math.min(share, Math.max(0, (share + square / 2 - spread) / (1 + square)));
}

export type Uses = { uses: number; successes: number };

/** From 0 to 1: 0.095 of a memory without uses. */
export const standing = ({ uses, successes }: Uses): number => wilsonLowerBound(successes + 1, uses + 2);

/** Below so many uses nobody knows yet what a memory is worth. */
const triedUses = 3;

/** `relevance`: how well its words fit, above 0. */
export type Found = Uses & { seq: number; relevance: number };

const score = (found: Found): number => found.relevance * standing(found);

/**
 * The `most` best by relevance and standing, the best first. Where untried ones were found, one of them is among them, in the
 * last place if need be: else those that came first would be given for ever.
 */
export function ranked<T extends Found>(found: readonly T[], most: number): T[] {
  const inOrder = found.toSorted((a, b) => score(b) - score(a) || b.seq - a.seq);
  const best = inOrder.slice(0, most);
  const isUntried = ({ uses }: Uses): boolean => uses < triedUses;
  const untried = inOrder.find(isUntried);
  if (most < 2 || !untried || best.some(isUntried)) return best;
  return [...best.slice(0, -1), untried];
}

/** The least useful; of equals the oldest. Null: there are none. */
export const leastUseful = <T extends Uses & { seq: number }>(memories: readonly T[]): T | null =>
  memories.toSorted((a, b) => standing(a) - standing(b) || a.seq - b.seq)[0] ?? null;
