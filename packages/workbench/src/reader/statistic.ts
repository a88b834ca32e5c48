import type { Statistic } from "@questbus/protocol";
import { Refusal } from "./reading.ts";

/**
 * A figure of samples. Quantiles interpolate between order statistics, definition 7 of Hyndman & Fan, "Sample Quantiles
 * in Statistical Packages", The American Statistician 50 (1996): what R, NumPy, k6 and tinybench give.
 * @throws Refusal SAMPLES_TOO_FEW where fewer than one sample is expected above the quantile (100 for p99, 20 for p95)
 */
export function statisticOf(statistic: Statistic, samples: readonly number[], name: string): number {
  switch (statistic) {
    case "mean":
      return samples.reduce((sum, each) => sum + each / samples.length, 0);
    case "min":
      return samples.reduce((least, each) => Math.min(least, each), Number.POSITIVE_INFINITY);
    case "max":
      return samples.reduce((most, each) => Math.max(most, each), Number.NEGATIVE_INFINITY);
    default:
      return quantileOf(statistic === "median" ? 0.5 : Number(statistic.slice(1)) / 100, samples, name);
  }
}

/** The middle of samples; see {@link statisticOf}. */
export const medianOf = (samples: readonly number[]): number => quantileOf(0.5, samples, "the median");

/** @param share from 0 to 1 */
export function quantileOf(share: number, samples: readonly number[], name: string): number {
  refuseThinTail(share, samples.length, name);
  const sorted = Float64Array.from(samples).sort();
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)] as number, sorted[Math.ceil(at)] as number];
  return below + (above - below) * (at - Math.floor(at));
}

/** Of fewer samples the quantile is their maximum under another name. */
function refuseThinTail(share: number, count: number, name: string): void {
  const needed = Math.ceil(1 / Math.max(1 - share, Number.EPSILON) - 1e-9);
  if (share <= 0.5 || count >= needed) return;
  throw new Refusal(
    "SAMPLES_TOO_FEW",
    `the ${Number((share * 100).toFixed(3))} % quantile of ${name} needs ${needed} samples in one run; there are ${count}`,
    "let one run of the benchmark measure more often, or ask for a lower quantile",
  );
}

/** The same for a percentile that a tool computed, by the name that it has there: p99, p999 or p99_9. */
export function refuseThinPercentile(figure: string, count: unknown, name: string): void {
  const [, whole, part] = /^p(\d\d)_?(\d*)$/.exec(figure) ?? [];
  if (whole !== undefined && typeof count === "number")
    refuseThinTail(Number(`${whole}.${part || 0}`) / 100, count, name);
}
