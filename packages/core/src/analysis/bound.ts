import type { MetricSpec } from "@questbus/protocol";
import { timeUnits } from "../verdict/phrase.ts";

/**
 * What speeding up a part can do for the whole. Source: Amdahl, "Validity of the single processor approach to
 * achieving large scale computing capabilities", AFIPS 1967: a part with share p of the time, made s times as fast,
 * makes the whole 1 / (1 - p + p/s) times as fast; 1 / (1 - p) when it is gone.
 */

/** The most times as fast as before that removing a share can make the whole, rounded up; null where that has no bound. */
export const amdahlBound = (share: number): number | null =>
  share < 1 ? Math.ceil(10_000 / (1 - share)) / 10_000 : null;

/**
 * The share of the time that has to go for a relative gain (see `relativeGain`); above 1 where none would do.
 * For lower-is-better the time must shrink by the gain itself; for a rate, a gain g needs 1 - 1/(1 + g).
 */
export const shareForGain = (gain: number, better: MetricSpec["better"]): number =>
  better === "lower" ? gain : gain / (1 + gain);

/** What is left of a goal against the quest's base, once `kept` of it is gained. */
export const restOfGoal = (goal: number, kept: number, better: MetricSpec["better"]): number =>
  better === "lower" ? 1 - (1 - goal) / (1 - kept) : (1 + goal) / (1 + kept) - 1;

/**
 * What of a run's time the metric is about; null when it is no time and no rate, so that no share bounds it. A figure
 * that the bench prints is about the program's own work, not about how its process starts.
 */
export function timeBasis({ from, unit, better }: MetricSpec): "wall" | "cpu" | "program" | null {
  if (from === "wall-time") return "wall";
  if (from === "cpu-time") return "cpu";
  if (from === "max-rss") return null;
  const isTime = better === "lower" && timeUnits.has(unit);
  const isRate = better === "higher" && /\/\s?s(?:ec)?$|^(?:ops|rps|qps|hz)\b/i.test(unit);
  return isTime || isRate ? "program" : null;
}
