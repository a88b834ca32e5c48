import type { Observation, Pair } from "@questbus/protocol";

export type Better = "lower" | "higher";

const usable = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value > 0;

/**
 * The log gain of a pair, d = ln(candidate / base) with its sign turned so that a gain is positive. It has no unit:
 * scaling both arms changes nothing. Null when a value is not finite or not above zero: the pair is broken.
 *
 * Taken as a difference of logarithms, so swapping the arms negates it exactly.
 */
export function logGain(pair: Pair, better: Better, of: (o: Observation) => number): number | null {
  const base: unknown = of(pair.base);
  const candidate: unknown = of(pair.candidate);
  if (!usable(base) || !usable(candidate)) return null;
  return better === "lower" ? Math.log(base) - Math.log(candidate) : Math.log(candidate) - Math.log(base);
}

/**
 * Whether what was measured from outside can be: a run takes time, no processor time is negative. A clock that went
 * back shows here.
 */
export function isSoundRun({ wallMs, cpuMs, digest }: Observation): boolean {
  const cpu: unknown = cpuMs;
  const soundCpu = cpu === null || (typeof cpu === "number" && Number.isFinite(cpu) && cpu >= 0);
  return usable(wallMs) && soundCpu && (digest === null || typeof digest === "string");
}

/** Every pair's log gain in the metric, or null when one of them is broken. */
export function metricGains(pairs: readonly Pair[], better: Better): number[] | null {
  const gains = pairs.map((pair) => logGain(pair, better, (o) => o.value));
  return gains.every((gain) => gain !== null) ? gains : null;
}

/** A log gain as a relative gain (0.2 is 20 % better): 1 − candidate/base for lower, candidate/base − 1 for higher. */
export const relativeGain = (gain: number, better: Better): number =>
  better === "lower" ? -Math.expm1(-gain) : Math.expm1(gain);

/** The inverse of {@link relativeGain}. Not finite when no candidate can have that gain (100 % lower). */
export const logOfRelative = (relative: number, better: Better): number =>
  better === "lower" ? -Math.log1p(-relative) : Math.log1p(relative);

/** What a worsening of `better` looks like when it is counted as a gain: 5 % worse is 1.05 × for lower, 0.95 × for higher. */
export const flip = (better: Better): Better => (better === "lower" ? "higher" : "lower");
