import {
  type MetricFormat,
  type MetricSpec,
  metricFormats,
  QuestbusError,
  splitSource,
} from "@questbus/protocol";
import type { CommandRun } from "./command.ts";
import { findJson, type Reading, Refusal, samplesOf } from "./reader/reading.ts";
import { readers } from "./reader/registry.ts";
import { statisticOf } from "./reader/statistic.ts";
import { nameSome } from "./target.ts";

/** Reads the values of metrics and guards out of one run. */

const metricLine = /^METRIC\s+([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*$/gm;
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A run, and the text in which its formats and pointers are read: stdout, or the file that it wrote. */
export type MeasuredRun = CommandRun & {
  results: string;
  /** For messages: `stdout`, or the file's path. */
  resultsPlace: string;
  /** The share of requests of a load that may fail; none when absent. */
  errorsShareMax?: number | undefined;
};

/**
 * The value of a metric: `metric-line` takes the last line `METRIC name=value` of stdout, `wall-time` and
 * `cpu-time` seconds, `max-rss` bytes, `json:/pointer` (RFC 6901) the place in the results, or in their last line that is a JSON object, and a format
 * what its reader finds there. `stat` takes a figure of the samples instead. A time whose unit is known comes in the
 * unit that the quest names, where that is one of time.
 * @throws METRIC_MISSING, METRIC_NOT_A_NUMBER (text, NaN, infinite, or not above zero: gains are ratios),
 * SAMPLES_TOO_FEW, BENCH_FAILED (the tool reports a failure)
 */
export function readMetric(spec: MetricSpec, run: MeasuredRun, where = "measure.metric"): number {
  try {
    const { value, unit } = readingOf(spec, run, where);
    const converted = value * timeFactor(unit, spec.unit);
    if (Number.isFinite(converted) && converted > 0) return converted;
    throw new Refusal(
      "METRIC_NOT_A_NUMBER",
      `it is ${converted}, not a finite number above zero`,
      plainNumber,
    );
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { format } = splitSource(spec.from);
    const place = format in metricFormats ? `${run.resultsPlace}: ` : "";
    throw new QuestbusError({
      code: error.code,
      message: `${spec.name}: ${place}${error.message}`,
      where,
      next: error.next,
    });
  }
}

const plainNumber = "print a plain number above zero, such as 41.2 or 4.1e3, without a unit";
const secondsOf: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  ms: 1e-3,
  s: 1,
  min: 60,
  h: 3_600,
};

/** What turns `from` into `to`; 1 where one of them is no unit of time. */
function timeFactor(from: string, to: string): number {
  const [one, other] = [secondsOf[from], secondsOf[to]];
  return from === to || one === undefined || other === undefined ? 1 : one / other;
}

function readingOf(spec: MetricSpec, run: MeasuredRun, where: string): Reading {
  const { format, selector } = splitSource(spec.from);
  const reader = Object.hasOwn(metricFormats, format) ? readers[format as MetricFormat] : null;
  const reading = reader
    ? reader(run.results, selector ?? metricFormats[format as MetricFormat].selector, run.errorsShareMax)
    : plainReading(spec, run, where);
  if (!spec.stat) return reading;
  if (!reading.samples)
    throw new Refusal(
      "METRIC_MISSING",
      `${spec.from} gives one figure here, so there are no samples to take the ${spec.stat} of`,
      "let the tool keep its samples (docs/measures.md says how), or remove stat",
    );
  return { ...reading, value: statisticOf(spec.stat, reading.samples, spec.name) };
}

function plainReading(spec: MetricSpec, run: MeasuredRun, where: string): Reading {
  const { format } = splitSource(spec.from);
  if (format === "metric-line") return lineReading(spec, run.stdout, where);
  const raw = rawValue(spec, run);
  const unit = format === "wall-time" || format === "cpu-time" ? "s" : "";
  return { value: plainValue(raw), unit };
}

function plainValue(raw: unknown): number {
  const value = typeof raw === "string" && number.test(raw) ? Number(raw) : raw;
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  throw new Refusal(
    "METRIC_NOT_A_NUMBER",
    `it is ${String(raw).slice(0, 100)}, not a finite number above zero`,
    plainNumber,
  );
}

function rawValue(spec: MetricSpec, run: MeasuredRun): unknown {
  if (spec.from === "wall-time") return run.wallMs / 1000;
  if (spec.from === "cpu-time") {
    const missing = (): never =>
      refuse(
        "processor time could not be measured",
        "see that the benchmark does not end the shell that starts it",
      );
    return run.cpuMs === null ? missing() : run.cpuMs / 1000;
  }
  if (spec.from === "max-rss")
    return (
      run.maxRssBytes ?? refuse("peak memory could not be measured", "install GNU time as /usr/bin/time")
    );
  return jsonValue(spec, run);
}

/** Each line of the name is a sample; without a stat the last one counts. */
function lineReading(spec: MetricSpec, stdout: string, where: string): Reading {
  const { selector } = splitSource(spec.from);
  const name = selector ?? spec.name;
  const found = [...stdout.matchAll(metricLine)].map((each) => ({
    name: each[1] ?? "",
    value: each[2] ?? "",
  }));
  const own = found.filter((each) => each.name === name);
  const last = own.at(-1);
  if (last && !spec.stat) return { value: plainValue(last.value), unit: "" };
  if (last) {
    refuseCut(stdout);
    const values = own.map(({ value }) => (number.test(value) ? Number(value) : value));
    return { value: 0, samples: samplesOf(values, `the lines METRIC ${name}`), unit: "" };
  }
  const seen = [...new Set(found.map((each) => each.name))];
  const [other] = seen;
  if (other === undefined)
    return refuse(
      `the benchmark printed no ${name}: no line of stdout starts with METRIC`,
      `print a line such as METRIC ${name}=41.2 on stdout`,
    );
  const key = selector === null ? `${where}.name: ${other}` : `${where}.from: metric-line:${other}`;
  return refuse(
    `the benchmark printed no ${name}`,
    `printed: ${nameSome(seen)}; write ${key}, or print a line such as METRIC ${name}=41.2`,
  );
}

/** Samples of which some were left out would be another distribution. */
function refuseCut(stdout: string): void {
  if (!/^\[\d+ bytes left out\]$/m.test(stdout)) return;
  refuse("the benchmark printed more than can be kept, so samples are missing", "print fewer lines");
}

function jsonValue(spec: MetricSpec, { results, resultsPlace }: MeasuredRun): unknown {
  const document = findJson(results);
  const pointer = spec.from.slice("json:".length);
  if (document === undefined)
    return refuse(`${resultsPlace} holds no JSON`, "write one JSON object there, alone or as its last line");
  const value = atPointer(document, pointer);
  const keys = typeof document === "object" && document !== null ? Object.keys(document) : [];
  if (value === undefined)
    return refuse(
      `the JSON on ${resultsPlace} has nothing at ${pointer}; it has ${nameSome(keys)}`,
      "correct the pointer",
    );
  return typeof value === "number" ? value : JSON.stringify(value);
}

/** RFC 6901; undefined where the pointer leads nowhere. */
function atPointer(document: unknown, pointer: string): unknown {
  const tokens = pointer.split("/").slice(1);
  return tokens.reduce<unknown>((value, token) => {
    const key = token.replaceAll("~1", "/").replaceAll("~0", "~");
    return typeof value === "object" && value !== null && Object.hasOwn(value, key)
      ? Reflect.get(value, key)
      : undefined;
  }, document);
}

function refuse(message: string, next: string): never {
  throw new Refusal("METRIC_MISSING", message, next);
}
