import { z } from "zod";

/** What a quest can measure: where a figure is read, which figure of several samples counts, and from which file. */

/** Output formats of tools that have a reader. `selector` is what is read when the quest names nothing. */
export const metricFormats = {
  hyperfine: { selector: "mean" },
  tinybench: { selector: "latency.mean" },
  "vitest-bench": { selector: "latency.mean" },
  autocannon: { selector: "latency.mean" },
  k6: { selector: "http_req_duration/med" },
  "google-benchmark": { selector: "real_time" },
  lighthouse: { selector: "largest-contentful-paint" },
} as const satisfies Record<string, { selector: string }>;
export type MetricFormat = keyof typeof metricFormats;

const formats = Object.keys(metricFormats) as MetricFormat[];

export const metricSource = z
  .string()
  .max(300)
  .regex(
    new RegExp(
      `^(metric-line(:[A-Za-z_][\\w.-]*)?|wall-time|cpu-time|max-rss|json:(/.*)?|(${formats.join("|")})(:[^\\r\\n]+)?)$`,
    ),
    {
      error: `use metric-line, wall-time, cpu-time, max-rss, json:/pointer, ${formats.slice(0, -1).join(", ")} or ${formats.at(-1)}`,
    },
  )
  .meta({
    id: "MetricSource",
    description: "Where the figure is read; after a colon, which one. docs/measures.md lists all.",
    examples: [
      "metric-line",
      "wall-time",
      "cpu-time",
      "max-rss",
      "json:/results/p95",
      "hyperfine:times",
      "tinybench:sort/latency.p50",
    ],
  });

/** The parts of a source: `hyperfine:times` is `hyperfine` and `times`; null where nothing is selected. */
export function splitSource(from: string): { format: string; selector: string | null } {
  const colon = from.indexOf(":");
  return colon < 0
    ? { format: from, selector: null }
    : { format: from.slice(0, colon), selector: from.slice(colon + 1) };
}

/** Which figure of one run's samples is its observation. */
export const statistics = ["mean", "median", "min", "max", "p50", "p95", "p99"] as const;
export type Statistic = (typeof statistics)[number];

/** Sources that are one figure by nature, and so have no samples. */
const single = ["wall-time", "max-rss", "cpu-time", "json", "autocannon", "lighthouse"];

/** What is wrong with asking a source for a statistic of its samples; null when nothing is. */
export function statisticProblem(from: string): string | null {
  const { format } = splitSource(from);
  return single.includes(format)
    ? `${format} gives one figure a run, so there is nothing to take a stat of`
    : null;
}

/** Figures of which more is better, whatever they count. */
const moreIsBetter =
  /^(autocannon:(requests|throughput)\.|(tinybench|vitest-bench):(.*\/)?(throughput\.\w+|hz)$|google-benchmark:(.*\/)?\w+_per_second$|k6:(http_reqs|iterations)\/(rate|count)$|lighthouse:categories\/)/;
/** Figures that are times by name. */
const lessIsBetter =
  /^(wall-time|max-rss|cpu-time|hyperfine(:.*)?|autocannon(:latency\..*)?|(tinybench|vitest-bench)(:(.*\/)?(latency\.\w+|period))?|google-benchmark(:(.*\/)?(real|cpu)_time)?)$/;

/** What is wrong with the direction that a quest gives a figure whose direction is known; null when nothing is. */
export function directionProblem(from: string, better: "lower" | "higher"): string | null {
  if (better === "lower" && moreIsBetter.test(from)) return `more of ${from} is better: write better: higher`;
  if (better === "higher" && lessIsBetter.test(from)) return `less of ${from} is better: write better: lower`;
  return null;
}

const milliseconds =
  /^(autocannon(:latency\..*)?|(tinybench|vitest-bench)(:(.*\/)?(latency\.\w+|period|totalTime))?|(tinybench|vitest-bench):[^/]*|k6(:(http_req_(?!failed)\w+|iteration_duration|group_duration).*)?)$/;
const paints =
  /^lighthouse(:(first-contentful-paint|largest-contentful-paint|speed-index|total-blocking-time|interactive|max-potential-fid|server-response-time|mainthread-work-breakdown|bootup-time))?$/;

/** The unit that a source gives its figures in; empty where it is not known. */
export function unitOfSource(from: string): string {
  const { format } = splitSource(from);
  if (format === "wall-time" || format === "cpu-time" || format === "hyperfine") return "s";
  if (format === "max-rss") return "bytes";
  if (moreIsBetter.test(from)) return perSecond(from);
  if (milliseconds.test(from) || paints.test(from)) return "ms";
  return format === "google-benchmark" ? "ns" : "";
}

const perSecond = (from: string): string =>
  /^(k6:.*\/count|lighthouse:.*|autocannon:.*\.(total|sent))$/.test(from)
    ? ""
    : /throughput\.|bytes_per/.test(from) && !/^(tinybench|vitest)/.test(from)
      ? "B/s"
      : "1/s";

const timeWords: Readonly<Record<string, string>> = {
  ns: "ns|nsec|nanos|nanoseconds?",
  us: "us|µs|μs|usec|micros|microseconds?",
  ms: "ms|msec|millis|milliseconds?",
  s: "s|secs?|seconds?",
};
/** A unit of time as it is written everywhere here; null: it is none, or a longer one than a second. */
const timeUnit = (word: string): string | null =>
  Object.keys(timeWords).find((unit) => new RegExp(`^(?:${timeWords[unit]})$`, "i").test(word)) ?? null;

/** The unit of time that a name ends with, as in p95_ms or wallSeconds; empty where it ends with none, or with a rate. */
function unitInName(name: string): string {
  const words = name.split(/[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])/);
  return /^per$/i.test(words.at(-2) ?? "") ? "" : (timeUnit(words.at(-1) ?? "") ?? "");
}

/** The unit of a figure: what the quest says, what its source gives, or of a time what its name says. */
export function unitOfMetric(metric: {
  name: string;
  from: string;
  unit?: string | undefined;
  better: "lower" | "higher";
}): string {
  if (metric.unit !== undefined) return timeUnit(metric.unit) ?? metric.unit;
  const { format, selector } = splitSource(metric.from);
  const own = unitOfSource(metric.from);
  if (own !== "" || metric.better === "higher" || !["metric-line", "json"].includes(format)) return own;
  return unitInName(format === "metric-line" ? (selector ?? metric.name) : metric.name);
}

/** A path of the worktree, written with `/`. */
export const outputPath = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\0\r\n\\]+$/, { error: "a path relative to the worktree, written with /" })
  .refine(
    (path) =>
      !path.startsWith("/") &&
      path.split("/").every((part) => part !== ".." && part !== ".git" && part !== ""),
    {
      error: "a path inside the worktree: relative, and without ..",
    },
  )
  .meta({
    description:
      "A file that the command writes its results to, relative to the worktree. It is removed before each run.",
  });
