import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type MetricFormat,
  type MetricSpec,
  metricFormats,
  QuestbusError,
  type Statistic,
} from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type MeasuredRun, readMetric } from "../../src/metric.ts";
import { medianOf, statisticOf } from "../../src/reader/statistic.ts";
import { refused } from "../fixture.ts";

const folder = join(import.meta.dirname, "fixture");
const fixture = (name: string): string => readFileSync(join(folder, name), "utf8");
const names = readdirSync(folder).filter((name) => name.endsWith(".json"));

const runOf = (results: string): MeasuredRun => ({
  exit: 0,
  signal: null,
  timedOut: false,
  aborted: false,
  wallMs: 10,
  cpuMs: null,
  left: [],
  maxRssBytes: null,
  stdout: results,
  stderr: "",
  output: results,
  outputBytes: results.length,
  results,
  resultsPlace: "bench.json",
});
const read = (text: string, from: string, stat?: Statistic, unit = ""): number => {
  const spec: MetricSpec = { name: "figure", from, unit, better: "lower", stat };
  return readMetric(spec, runOf(text));
};
const edited = (name: string, edit: (document: Json) => void): string => {
  const document = JSON.parse(fixture(name)) as Json;
  edit(document);
  return JSON.stringify(document);
};
// biome-ignore lint/suspicious/noExplicitAny: files of other tools, broken on purpose
type Json = any;

describe("a reader finds", () => {
  const values: [file: string, from: string, value: number, stat?: Statistic][] = [
    ["hyperfine.json", "hyperfine", 0.002123894],
    ["hyperfine.json", "hyperfine:median", 0.001360583],
    ["hyperfine.json", "hyperfine:times", 0.001360583],
    ["hyperfine.json", "hyperfine", 0.001048007, "min"],
    ["hyperfine.json", 'hyperfine:sh -c "exit 0"/user', 0.0009388333333333333],
    ["hyperfine-two.json", "hyperfine:sleep 0.01", 0.0165390235],
    ["hyperfine-two.json", "hyperfine:true/times", 0.009725819, "max"],
    ["autocannon-fast.json", "autocannon", 0.03],
    ["autocannon-fast.json", "autocannon:requests.mean", 13028],
    ["k6-summary.json", "k6", 9.5],
    ["k6-summary.json", "k6:http_req_duration/p(95)", 14.61],
    ["k6-summary.json", "k6:http_req_duration{expected_response:true}/avg", 9.81],
    ["k6-summary.json", "k6:http_reqs/rate", 198.58],
    ["k6-export.json", "k6:http_req_duration/p(95)", 14.61],
    ["k6-points.json", "k6", 10.875],
    ["k6-points.json", "k6:http_req_duration", 13.75, "max"],
    ["k6-points.json", "k6:http_req_duration/p(95)", 13.4625],
    ["k6-points.json", "k6:http_req_duration", 13.4625, "p95"],
    ["k6-points.json", "k6:http_reqs/count", 24],
    ["google-benchmark-two.json", "google-benchmark:BM_Sort/64", 475.9865317360875],
    ["google-benchmark-two.json", "google-benchmark:BM_Sort/1024/cpu_time", 13620.18157894737],
    ["google-benchmark-two.json", "google-benchmark:BM_Sort/1024/items_per_second", 75182551.2798442],
    ["google-benchmark-repetitions.json", "google-benchmark", 19218.66473795579],
    ["google-benchmark-repetitions.json", "google-benchmark:BM_Sort/1024", 20219.88150462639, "max"],
    ["lighthouse.json", "lighthouse", 1624.8],
    ["lighthouse.json", "lighthouse:total-byte-weight", 48213],
    ["lighthouse.json", "lighthouse:categories/performance", 0.97],
  ];
  it.each(values)("%s %s: %d %s", (file, from, value, stat) => {
    expect(read(fixture(file), from, stat)).toBeCloseTo(value, value > 1e6 ? 3 : 9);
  });

  it("the same in the files themselves, where they hold more digits than a test wants to", () => {
    const task = JSON.parse(fixture("tinybench.json"))[0].result;
    expect(read(fixture("tinybench.json"), "tinybench")).toBe(task.latency.mean);
    expect(read(fixture("tinybench.json"), "tinybench:latency.p75")).toBe(task.latency.p75);
    const [, second] = JSON.parse(fixture("tinybench-two.json"));
    expect(read(fixture("tinybench-two.json"), "tinybench:toSorted/throughput.mean")).toBe(
      second.result.throughput.mean,
    );
    const { samples } = JSON.parse(fixture("tinybench-samples.json"))[0].result.latency;
    expect(read(fixture("tinybench-samples.json"), "tinybench", "median")).toBe(medianOf(samples));
    const [{ benchmarks }] = JSON.parse(fixture("vitest-4.json")).files[0].groups;
    expect(read(fixture("vitest-4.json"), "vitest-bench:copy and sort")).toBe(benchmarks[0].mean);
    expect(
      read(fixture("vitest-4.json"), "vitest-bench:bench/sort.bench.js > sort > toSorted/latency.p99"),
    ).toBe(benchmarks[1].p99);
    expect(read(fixture("vitest-4.json"), "vitest-bench:toSorted/throughput.mean")).toBe(benchmarks[1].hz);
    const [sort, alone] = JSON.parse(fixture("vitest-5.json")).testResults[0].assertionResults;
    const fast = sort.benchmarks[0].tasks.find((each: Json) => each.name === "toSorted");
    expect(read(fixture("vitest-5.json"), "vitest-bench:toSorted")).toBe(fast.latency.mean);
    expect(read(fixture("vitest-5.json"), "vitest-bench:alone > reverse/throughput.p50")).toBe(
      alone.benchmarks[0].tasks[0].throughput.p50,
    );
    expect(read(fixture("autocannon.json"), "autocannon:latency.p99")).toBe(
      JSON.parse(fixture("autocannon.json")).latency.p99,
    );
    const [, middle] = JSON.parse(fixture("google-benchmark-aggregates.json")).benchmarks;
    expect(read(fixture("google-benchmark-aggregates.json"), "google-benchmark")).toBeCloseTo(
      middle.real_time * 1000,
      6,
    );
  });

  it("it behind a banner, and in the unit of time that the quest names", () => {
    expect(read(`warming up\n${fixture("hyperfine.json")}`, "hyperfine", undefined, "ms")).toBeCloseTo(
      2.123894,
      9,
    );
    expect(
      read(fixture("google-benchmark-two.json"), "google-benchmark:BM_Sort/64", undefined, "us"),
    ).toBeCloseTo(0.476, 3);
    expect(read(fixture("lighthouse.json"), "lighthouse:total-byte-weight", undefined, "ms")).toBe(48213);
  });
});

describe("a reader refuses", () => {
  type Case = [what: string, code: QuestbusError["code"], text: string, from: string, stat?: Statistic];
  const first = (document: Json): Json => document[0].result;
  const cases: Case[] = [
    ["a command that failed", "BENCH_FAILED", fixture("hyperfine-failed.json"), "hyperfine"],
    ["two commands where none is named", "METRIC_MISSING", fixture("hyperfine-two.json"), "hyperfine"],
    ["a command that is not there", "METRIC_MISSING", fixture("hyperfine-two.json"), "hyperfine:false/mean"],
    [
      "samples that were left out",
      "METRIC_MISSING",
      edited("hyperfine.json", (d) => delete d.results[0].times),
      "hyperfine:times",
    ],
    ["a stat of a summary", "METRIC_MISSING", fixture("hyperfine.json"), "hyperfine:median", "p95"],
    ["p95 of 12 runs", "SAMPLES_TOO_FEW", fixture("hyperfine.json"), "hyperfine:times", "p95"],
    [
      "a time below zero",
      "METRIC_NOT_A_NUMBER",
      edited("hyperfine.json", (d) => {
        d.results[0].times[3] = -1;
      }),
      "hyperfine:times",
    ],
    [
      "a time that is null",
      "METRIC_NOT_A_NUMBER",
      edited("hyperfine.json", (d) => {
        d.results[0].times[3] = null;
      }),
      "hyperfine:times",
    ],
    [
      "a mean of text",
      "METRIC_NOT_A_NUMBER",
      edited("hyperfine.json", (d) => {
        d.results[0].mean = "1";
      }),
      "hyperfine",
    ],
    [
      "a mean of zero",
      "METRIC_NOT_A_NUMBER",
      edited("hyperfine.json", (d) => {
        d.results[0].mean = 0;
      }),
      "hyperfine",
    ],
    ["no results", "METRIC_MISSING", '{"results":[]}', "hyperfine"],
    ["a task that threw", "BENCH_FAILED", fixture("tinybench-failed.json"), "tinybench:toSorted"],
    ["tasks printed as they are", "METRIC_MISSING", fixture("tinybench-raw.json"), "tinybench"],
    ["a table for people", "METRIC_MISSING", fixture("tinybench-table.json"), "tinybench"],
    ["two tasks where none is named", "METRIC_MISSING", fixture("tinybench-two.json"), "tinybench"],
    ["two results without names", "METRIC_MISSING", fixture("tinybench-unnamed.json"), "tinybench:toSorted"],
    ["samples that were not kept", "METRIC_MISSING", fixture("tinybench.json"), "tinybench", "p99"],
    [
      "an infinite figure",
      "METRIC_NOT_A_NUMBER",
      fixture("tinybench.json").replace(/"mean":[\d.]+/, '"mean":1e999'),
      "tinybench",
    ],
    ["a figure that it does not have", "METRIC_MISSING", fixture("tinybench.json"), "tinybench:latency.p42"],
    ["tinybench's own p99 of 23 runs", "SAMPLES_TOO_FEW", fixture("tinybench.json"), "tinybench:latency.p99"],
    [
      "autocannon's own p99_9 of 144 answers",
      "SAMPLES_TOO_FEW",
      fixture("autocannon.json"),
      "autocannon:latency.p99_9",
    ],
    [
      "vitest's own p999 of 869 runs",
      "SAMPLES_TOO_FEW",
      fixture("vitest-4.json"),
      "vitest-bench:copy and sort/latency.p999",
    ],
    [
      "a p99 of 12 samples",
      "SAMPLES_TOO_FEW",
      edited("tinybench-samples.json", (d) => {
        first(d).latency.samples.length = 12;
      }),
      "tinybench",
      "p99",
    ],
    ["a test that failed", "BENCH_FAILED", fixture("vitest-5-failed.json"), "vitest-bench"],
    [
      "several benchmarks where none is named (5)",
      "METRIC_MISSING",
      fixture("vitest-5.json"),
      "vitest-bench",
    ],
    [
      "several benchmarks where none is named (4)",
      "METRIC_MISSING",
      fixture("vitest-4.json"),
      "vitest-bench",
    ],
    [
      "a benchmark that is not there",
      "METRIC_MISSING",
      fixture("vitest-4.json"),
      "vitest-bench:sorted/latency.mean",
    ],
    [
      "a latency of zero in whole milliseconds",
      "METRIC_NOT_A_NUMBER",
      fixture("autocannon-fast.json"),
      "autocannon:latency.p99",
    ],
    ["answers other than 2xx", "BENCH_FAILED", fixture("autocannon-non2xx.json"), "autocannon"],
    [
      "a server that was not there",
      "BENCH_FAILED",
      fixture("autocannon-refused.json"),
      "autocannon:requests.mean",
    ],
    [
      "a figure that autocannon does not have",
      "METRIC_MISSING",
      fixture("autocannon.json"),
      "autocannon:p99",
    ],
    [
      "a crossed threshold",
      "BENCH_FAILED",
      edited("k6-summary.json", (d) => {
        d.metrics.http_req_duration.thresholds["p(95)<500"].ok = false;
      }),
      "k6",
    ],
    [
      "a crossed threshold of --summary-export",
      "BENCH_FAILED",
      edited("k6-export.json", (d) => {
        d.metrics.http_req_duration.thresholds["p(95)<500"] = true;
      }),
      "k6",
    ],
    [
      "requests that failed",
      "BENCH_FAILED",
      edited("k6-summary.json", (d) => {
        d.metrics.http_req_failed.values.rate = 0.01;
      }),
      "k6",
    ],
    [
      "requests that failed, point by point",
      "BENCH_FAILED",
      fixture("k6-points.json").replace(
        /("metric":"http_req_failed","type":"Point","data":\{"time":"[^"]*","value":)0/,
        "$11",
      ),
      "k6",
    ],
    [
      "a crossed threshold, as points",
      "BENCH_FAILED",
      fixture("k6-points.json").replace('"contains":"time"', '"tainted":true,"contains":"time"'),
      "k6",
    ],
    ["points that end in the middle", "METRIC_MISSING", fixture("k6-points.json").slice(0, -20), "k6"],
    ["p99 of 24 points", "SAMPLES_TOO_FEW", fixture("k6-points.json"), "k6", "p99"],
    ["p(99) of 24 points", "SAMPLES_TOO_FEW", fixture("k6-points.json"), "k6:http_req_duration/p(99)"],
    [
      "a metric of k6 that is not there",
      "METRIC_MISSING",
      fixture("k6-summary.json"),
      "k6:http_req_waiting/med",
    ],
    [
      "a figure that k6 did not write",
      "METRIC_MISSING",
      fixture("k6-summary.json"),
      "k6:http_req_duration/p(99)",
    ],
    ["a stat of k6's summary", "METRIC_MISSING", fixture("k6-summary.json"), "k6", "p95"],
    [
      "a benchmark that says it failed",
      "BENCH_FAILED",
      fixture("google-benchmark-failed.json"),
      "google-benchmark",
    ],
    ["two where none is named", "METRIC_MISSING", fixture("google-benchmark-two.json"), "google-benchmark"],
    [
      "a counter that is not there",
      "METRIC_MISSING",
      fixture("google-benchmark-two.json"),
      "google-benchmark:BM_Sort/64/misses",
    ],
    [
      "a unit of time nobody knows",
      "METRIC_MISSING",
      fixture("google-benchmark-two.json").replaceAll('"us"', '"days"'),
      "google-benchmark:BM_Sort/64",
    ],
    [
      "a stat of aggregates",
      "METRIC_MISSING",
      fixture("google-benchmark-aggregates.json"),
      "google-benchmark",
      "min",
    ],
    ["a page that did not load", "BENCH_FAILED", fixture("lighthouse-failed.json"), "lighthouse"],
    ["an audit with an error", "BENCH_FAILED", fixture("lighthouse.json"), "lighthouse:speed-index"],
    ["an audit that is not there", "METRIC_MISSING", fixture("lighthouse.json"), "lighthouse:__proto__"],
    [
      "a blocking time of zero",
      "METRIC_NOT_A_NUMBER",
      fixture("lighthouse.json"),
      "lighthouse:total-blocking-time",
    ],
  ];
  it.each(cases)("%s: %s", async (_, code, text, from, stat) => {
    const fault = await refused(code, () => read(text, from, stat));
    expect(fault.where).toBe("measure.metric");
    expect(fault.message).toMatch(/^figure: bench\.json: .{10,}/);
  });

  it("with the names that are there", async () => {
    const fault = await refused("METRIC_MISSING", () => read(fixture("hyperfine-two.json"), "hyperfine"));
    expect(fault.message).toContain("true, sleep 0.01");
  });
});

const formats = Object.keys(metricFormats) as MetricFormat[];
/** Files from which a format reads a figure without being told which. */
const good: Record<MetricFormat, string> = {
  hyperfine: "hyperfine.json",
  tinybench: "tinybench.json",
  "vitest-bench": "vitest-5.json",
  autocannon: "autocannon.json",
  k6: "k6-summary.json",
  "google-benchmark": "google-benchmark-repetitions.json",
  lighthouse: "lighthouse.json",
};
const sourceOf = (format: MetricFormat): string => (format === "vitest-bench" ? `${format}:reverse` : format);

describe.each(formats)("%s", (format) => {
  const from = sourceOf(format);

  it("reads its own file, and nobody else's", () => {
    expect(read(fixture(good[format]), from)).toBeGreaterThan(0);
    for (const other of formats.filter((each) => each !== format))
      expect(() => read(fixture(good[other]), from)).toThrow(QuestbusError);
  });

  it.each(["", " \n", "{}", "[]", "null", "17", '"text"', "[{}]", "not JSON", '{"results":', "\0\u{fffd}"])(
    "refuses %j",
    async (text) => {
      await refused("METRIC_MISSING", () => read(text, from));
    },
  );

  it("refuses its own file, cut anywhere before its end", () => {
    const text = fixture(good[format]).trimEnd();
    for (let end = 0; end < text.length; end += 7)
      expect(() => read(text.slice(0, end), from)).toThrow(QuestbusError);
  });

  it("gives a figure above zero or a QuestbusError, whatever was changed in its file", () => {
    const values = [null, "1", -1, 0, {}, [], true, "NaN"];
    const pathsOf = (node: Json, path: (string | number)[] = []): (string | number)[][] =>
      typeof node === "object" && node !== null
        ? [path, ...Object.entries(node).flatMap(([key, each]) => pathsOf(each, [...path, key]))]
        : [path];
    for (const path of pathsOf(JSON.parse(fixture(good[format]))).filter((each) => each.length > 0))
      for (const value of values)
        above(() =>
          read(
            edited(good[format], (document) => {
              const parent = path.slice(0, -1).reduce((node, key) => node[key], document);
              parent[path.at(-1) as string] = value;
            }),
            from,
          ),
        );
  });

  it("gives a figure above zero or a QuestbusError, whatever was written", () => {
    const anything = fc.oneof(
      fc.uint8Array().map((bytes) => Buffer.from(bytes).toString("utf8")),
      fc.json(),
      fc.string(),
      fc
        .tuple(fc.constantFrom(...names), fc.nat(3_000), fc.string({ maxLength: 4 }))
        .map(([name, at, text]) => {
          const found = fixture(name);
          return found.slice(0, at) + text + found.slice(at + text.length);
        }),
    );
    const stat = fc.constantFrom<Statistic | undefined>(
      undefined,
      "mean",
      "median",
      "min",
      "max",
      "p50",
      "p95",
      "p99",
    );
    fc.assert(
      fc.property(anything, stat, fc.string(), (text, which, more) => {
        above(() => read(text, from, which));
        above(() => read(text, `${format}:${more}`, which));
      }),
      { numRuns: 200 },
    );
  });
});

/** Expects a number above zero, or a QuestbusError that says what to do. */
function above(work: () => number): void {
  try {
    const value = work();
    expect(Number.isFinite(value) && value > 0).toBe(true);
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    expect(error.faults[0]?.next).toBeTruthy();
  }
}

describe("a stat", () => {
  const samples = Array.from({ length: 101 }, (_, at) => 100 - at);

  it("is what R's quantile of type 7 gives", () => {
    expect(statisticOf("p50", samples, "x")).toBe(50);
    expect(statisticOf("p95", samples, "x")).toBe(95);
    expect(statisticOf("p99", samples, "x")).toBe(99);
    expect(
      statisticOf(
        "p95",
        Array.from({ length: 20 }, (_, at) => at + 1),
        "x",
      ),
    ).toBeCloseTo(19.05, 12);
    expect(statisticOf("median", [4, 1, 3, 2], "x")).toBe(2.5);
  });

  it("lies between least and most, and needs enough samples for a tail", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e9, noNaN: true }), { minLength: 100 }),
        fc.constantFrom<Statistic>("mean", "median", "p95", "p99"),
        (list, which) => {
          const value = statisticOf(which, list, "x");
          expect(value).toBeGreaterThanOrEqual(Math.min(...list) * (1 - 1e-9));
          expect(value).toBeLessThanOrEqual(Math.max(...list) * (1 + 1e-9));
        },
      ),
    );
    expect(() => statisticOf("p99", samples.slice(0, 99), "x")).toThrow(/needs 100 samples/);
    expect(() => statisticOf("p95", samples.slice(0, 19), "x")).toThrow(/needs 20 samples/);
    expect(statisticOf("p99", samples.slice(0, 100), "x")).toBeGreaterThan(0);
  });
});

describe("METRIC lines", () => {
  const lines = Array.from({ length: 100 }, (_, at) => `METRIC latency_ms=${at + 1}`).join("\n");

  it("of one name are samples, under the name after the colon", () => {
    expect(read(lines, "metric-line:latency_ms")).toBe(100);
    expect(read(lines, "metric-line:latency_ms", "mean")).toBeCloseTo(50.5, 9);
    expect(read(lines, "metric-line:latency_ms", "p99")).toBeCloseTo(99.01, 9);
  });

  it("are refused where one is no number, or some were dropped", async () => {
    await refused("METRIC_NOT_A_NUMBER", () =>
      read(`${lines}\nMETRIC latency_ms=NaN`, "metric-line:latency_ms", "mean"),
    );
    await refused("METRIC_MISSING", () =>
      read(`${lines}\n[17 bytes left out]\n${lines}`, "metric-line:latency_ms", "p99"),
    );
    await refused("SAMPLES_TOO_FEW", () => read("METRIC latency_ms=1", "metric-line:latency_ms", "p95"));
  });
});
