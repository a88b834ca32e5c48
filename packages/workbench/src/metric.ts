import { type MetricSpec, QuestbusError } from "@questbus/protocol";
import type { CommandRun } from "./command.ts";
import { nameSome } from "./target.ts";

/** Reads the values of metrics and guards out of one run. */

const metricLine = /^METRIC\s+([A-Za-z_][\w.-]*)\s*=\s*(.*?)\s*$/gm;
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The value of a metric in its own unit: `metric-line` takes the last line `METRIC name=value` of stdout, `wall-time`
 * seconds, `max-rss` bytes, `json:/pointer` (RFC 6901) the place in stdout, or in its last line that is a JSON object.
 * @throws METRIC_MISSING, METRIC_NOT_A_NUMBER (text, NaN, infinite, or not above zero: gains are ratios)
 */
export function readMetric(spec: MetricSpec, run: CommandRun): number {
  const raw = rawValue(spec, run);
  const value = typeof raw === "string" && number.test(raw) ? Number(raw) : raw;
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  throw new QuestbusError({
    code: "METRIC_NOT_A_NUMBER",
    message: `${spec.name} is ${String(raw).slice(0, 100)}, not a finite number above zero`,
    where: placeOf(spec),
    next: "print a plain number above zero, such as 41.2 or 4.1e3, without a unit",
  });
}

function rawValue(spec: MetricSpec, run: CommandRun): unknown {
  if (spec.from === "wall-time") return run.wallMs / 1000;
  if (spec.from === "max-rss")
    return (
      run.maxRssBytes ??
      refuse(spec, "peak memory could not be measured", "install GNU time as /usr/bin/time")
    );
  return spec.from === "metric-line" ? lineValue(spec, run.stdout) : jsonValue(spec, run.stdout);
}

function lineValue(spec: MetricSpec, stdout: string): string {
  const found = [...stdout.matchAll(metricLine)].map(([, name, value]) => ({ name, value }));
  const last = found.findLast((each) => each.name === spec.name);
  if (last) return last.value ?? "";
  const seen = [...new Set(found.map((each) => each.name ?? ""))];
  const detail =
    seen.length > 0 ? `the metrics printed are ${nameSome(seen)}` : "no line of stdout starts with METRIC";
  return refuse(
    spec,
    `the benchmark printed no ${spec.name}: ${detail}`,
    `print a line such as METRIC ${spec.name}=41.2 on stdout`,
  );
}

function jsonValue(spec: MetricSpec, stdout: string): unknown {
  const document = findJson(stdout);
  const pointer = spec.from.slice("json:".length);
  if (document === undefined)
    return refuse(spec, "stdout holds no JSON", "print one JSON object on stdout, alone or as its last line");
  const value = atPointer(document, pointer);
  const keys = typeof document === "object" && document !== null ? Object.keys(document) : [];
  if (value === undefined)
    return refuse(
      spec,
      `the JSON on stdout has nothing at ${pointer}; it has ${nameSome(keys)}`,
      "correct the pointer",
    );
  return typeof value === "number" ? value : JSON.stringify(value);
}

function findJson(stdout: string): unknown {
  const lines = stdout.split("\n").map((line) => line.trim());
  return [stdout, ...lines.filter((line) => line.startsWith("{") && line.endsWith("}")).reverse()]
    .map(parse)
    .find((each) => each !== undefined);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
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

function refuse(spec: MetricSpec, message: string, next: string): never {
  throw new QuestbusError({ code: "METRIC_MISSING", message, where: placeOf(spec), next });
}

/** Where the quest file asks for it; only a guard has a bound. */
const placeOf = (spec: MetricSpec): string => ("worseBy" in spec ? `guards.${spec.name}` : "measure.metric");
