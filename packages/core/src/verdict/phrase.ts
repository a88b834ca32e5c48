import { type Effect, type GuardFinding, type MetricSpec, percent } from "@questbus/protocol";

/** The sentences of a verdict: plain English, with figures. */

export const timeUnits = new Set(["ns", "us", "µs", "ms", "s", "min", "h"]);

/** What rounds to 0 % has no direction: the last bit of a sum would decide it. */
const isNegative = (change: number): boolean => change < 0 && percent(-change) !== percent(0);

/** "12.3 % faster" for a time, "12.3 % better (name)" otherwise; a loss reads "slower" or "worse". */
export function gainPhrase(gain: number, metric: MetricSpec): string {
  const isTime = metric.better === "lower" && timeUnits.has(metric.unit);
  const size = percent(Math.abs(gain));
  if (isTime) return `${size} ${isNegative(gain) ? "slower" : "faster"}`;
  return `${size} ${isNegative(gain) ? "worse" : "better"} (${metric.name})`;
}

/** The gain with its interval: "12.3 % faster (95 % interval 10.1 % to 14.2 %)". */
export const effectPhrase = (effect: Effect, metric: MetricSpec): string =>
  `${gainPhrase(effect.estimate, metric)} (${percent(effect.level)} interval ${percent(effect.low)} to ${percent(effect.high)})`;

/** An e-value against its bound: "evidence 96.1, 80 needed". */
export const evidencePhrase = (e: number, alpha: number): string =>
  `evidence ${Number(e.toPrecision(3))}, ${Number((1 / alpha).toPrecision(3))} needed`;

/** One guard: "p99 is 7.2 % worse; its bound is 5 %". */
export function guardPhrase(finding: GuardFinding, worseBy: number): string {
  const bound = `its bound is ${percent(worseBy)} worse`;
  const measured =
    finding.worsening === null
      ? "changed by no finite amount"
      : `is ${percent(Math.abs(finding.worsening))} ${isNegative(finding.worsening) ? "better" : "worse"}`;
  const end = {
    regressed: "shown to be beyond it",
    undecided: "not shown to be within it",
    holds: "it holds",
  };
  return `Guard ${finding.name} ${measured}; ${bound}: ${end[finding.state]}.`;
}

/** Names, at most ten, then a count. */
export const nameList = (names: readonly string[]): string =>
  names.length <= 10 ? names.join(", ") : `${names.slice(0, 10).join(", ")} and ${names.length - 10} more`;
