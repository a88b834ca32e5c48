import { z } from "zod";
import { documentOf, figureOf, list, parseJson, type Reading, Refusal, samplesOf } from "./reading.ts";
import { medianOf, quantileOf } from "./statistic.ts";

const figures = z.record(z.string(), z.unknown());
const outline = z.looseObject({ metrics: z.record(z.string(), figures) });

const line = z.looseObject({
  type: z.enum(["Metric", "Point"]),
  metric: z.string(),
  data: z.looseObject({
    type: z.string().optional(),
    contains: z.string().optional(),
    tainted: z.boolean().nullish(),
    thresholds: z.array(z.unknown()).nullish(),
    value: z.unknown().optional(),
  }),
});
type Line = z.infer<typeof line>;

const how =
  "write handleSummary's data as JSON, or run k6 with --summary-export FILE or --out json=FILE, and name the file in measure.output";

/**
 * k6: the data of `handleSummary`, `--summary-export`, or the lines of `--out json`, which also give every point as a
 * sample. Times in milliseconds. A threshold that was crossed, or requests that failed where no threshold allows it,
 * are a failed benchmark.
 */
export function readK6(text: string, selector: string): Reading {
  const slash = selector.lastIndexOf("/");
  const [metric, figure] =
    slash > 0 ? [selector.slice(0, slash), selector.slice(slash + 1)] : [selector, "med"];
  return isLines(text) ? readLines(text, metric, figure) : readSummary(text, metric, figure);
}

const isLines = (text: string): boolean => /^\s*\{\s*"(type|metric|data)"\s*:/.test(text);
const isTime = (metric: string): boolean =>
  /^(http_req_(?!failed)|iteration_duration|group_duration)/.test(metric);

function readSummary(text: string, metric: string, figure: string): Reading {
  const { metrics } = documentOf(text, outline, "k6", how);
  const isExport = !Object.values(metrics).some((each) => "values" in each);
  for (const [name, each] of Object.entries(metrics)) refuseCrossed(name, each.thresholds, isExport);
  const valuesOf = (each: Record<string, unknown>): Record<string, unknown> =>
    isExport ? each : (figures.safeParse(each.values).data ?? {});
  const failures = metrics.http_req_failed;
  if (failures) {
    const share = valuesOf(failures)[isExport ? "value" : "rate"];
    if (share !== 0 && !hasThresholds(failures.thresholds)) throw requestsFailed(share);
  }
  const found = metrics[metric];
  if (!found || !Object.hasOwn(metrics, metric)) throw noMetric(metric, Object.keys(metrics));
  const values = valuesOf(found);
  if (!Object.hasOwn(values, figure))
    throw new Refusal(
      "METRIC_MISSING",
      `k6's ${metric} has no ${figure}; it has ${list(Object.keys(values))}`,
      "correct the selector, or add it to summaryTrendStats",
    );
  return { value: figureOf(values[figure], `${figure} of ${metric}`), unit: isTime(metric) ? "ms" : "" };
}

const hasThresholds = (thresholds: unknown): boolean =>
  Object.keys(figures.safeParse(thresholds).data ?? {}).length > 0;

/** `handleSummary` says `{ ok: false }` of a crossed threshold; `--summary-export` says `true` (k6 issue 1498). */
function refuseCrossed(metric: string, thresholds: unknown, isExport: boolean): void {
  if (thresholds === undefined || thresholds === null) return;
  const all = z
    .record(z.string(), isExport ? z.boolean() : z.looseObject({ ok: z.boolean() }))
    .safeParse(thresholds);
  if (!all.success)
    throw new Refusal("METRIC_MISSING", `this is not what k6 writes: the thresholds of ${metric}`, how);
  const crossed = Object.entries(all.data).find(([, each]) => (typeof each === "boolean" ? each : !each.ok));
  if (crossed) throw thresholdCrossed(metric, crossed[0]);
}

const thresholdCrossed = (metric: string, threshold: string): Refusal =>
  new Refusal(
    "BENCH_FAILED",
    `k6 reports that a threshold was crossed: ${metric} ${threshold}`.trim(),
    "see why, or correct the threshold in the script",
  );

const requestsFailed = (share: unknown): Refusal =>
  new Refusal(
    "BENCH_FAILED",
    `k6 reports failed requests: http_req_failed is ${String(share).slice(0, 40)}`,
    "see why they fail; a threshold on http_req_failed in the script allows a share",
  );

const noMetric = (metric: string, known: readonly string[]): Refusal =>
  new Refusal(
    "METRIC_MISSING",
    `k6 measured no ${metric}; it has ${list(known)}`,
    "write METRIC/FIGURE after the colon, such as http_req_duration/p(95)",
  );

function linesOf(text: string): Line[] {
  const lines = text.split("\n").filter((each) => each.trim() !== "");
  return lines.map((each, at) => {
    const read = line.safeParse(parseJson(each));
    if (read.success) return read.data;
    throw new Refusal(
      "METRIC_MISSING",
      `line ${at + 1} of ${lines.length} is none that k6 writes${at + 1 === lines.length ? ": the file was cut off" : ""}`,
      how,
    );
  });
}

function readLines(text: string, metric: string, figure: string): Reading {
  const lines = linesOf(text);
  const declared = lines.filter((each) => each.type === "Metric");
  const tainted = declared.find((each) => each.data.tainted === true);
  if (tainted) throw thresholdCrossed(tainted.metric, "");
  const pointsOf = (name: string): unknown[] =>
    lines.flatMap((each) => (each.type === "Point" && each.metric === name ? [each.data.value] : []));
  const allowed = declared.some(
    (each) => each.metric === "http_req_failed" && (each.data.thresholds ?? []).length > 0,
  );
  if (!allowed && pointsOf("http_req_failed").some((each) => each !== 0)) throw requestsFailed("above 0");
  const points = pointsOf(metric);
  if (points.length === 0) throw noMetric(metric, [...new Set(lines.map((each) => each.metric))]);
  const samples = samplesOf(points, metric);
  return {
    value: figureOf(ofPoints(samples, metric, figure), `${figure} of ${metric}`),
    samples,
    unit: isTime(metric) ? "ms" : "",
  };
}

function ofPoints(samples: number[], metric: string, figure: string): number {
  const sum = samples.reduce((total, each) => total + each, 0);
  const quantile = /^p\((\d+(?:\.\d+)?)\)$/.exec(figure)?.[1];
  if (quantile !== undefined && Number(quantile) < 100)
    return quantileOf(Number(quantile) / 100, samples, metric);
  if (figure === "med") return medianOf(samples);
  if (figure === "avg") return sum / samples.length;
  if (figure === "count") return sum;
  if (figure === "min" || figure === "max") return samples.reduce((a, b) => Math[figure](a, b));
  throw new Refusal(
    "METRIC_MISSING",
    `the points of k6 have no ${figure}`,
    "choose med, avg, min, max, count or p(N)",
  );
}
