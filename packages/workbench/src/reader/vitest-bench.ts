import { z } from "zod";
import { documentOf, figureOf, keptSamples, type Named, type Reading, Refusal, select } from "./reading.ts";
import { refuseThinPercentile } from "./statistic.ts";
import { readTask, type TaskResult } from "./tinybench.ts";

/** vitest 4, `--outputJson`. */
const four = z.looseObject({
  files: z.array(
    z.looseObject({
      groups: z.array(
        z.looseObject({
          fullName: z.string(),
          benchmarks: z.array(z.looseObject({ name: z.string(), samples: z.unknown().optional() })),
        }),
      ),
    }),
  ),
});
type Four = z.infer<typeof four>;
type FourBenchmark = Four["files"][number]["groups"][number]["benchmarks"][number];

const figures = z.looseObject({ samples: z.unknown().optional() });

/** vitest 5, `--reporter=json`. */
const five = z.looseObject({
  success: z.boolean(),
  testResults: z.array(
    z.looseObject({
      assertionResults: z.array(
        z.looseObject({
          fullName: z.string(),
          status: z.string(),
          failureMessages: z.array(z.string()).nullish(),
          benchmarks: z
            .array(
              z.looseObject({
                tasks: z.array(
                  z.looseObject({ name: z.string(), latency: figures, throughput: figures.optional() }),
                ),
              }),
            )
            .optional(),
        }),
      ),
    }),
  ),
});
type Five = z.infer<typeof five>;

const outline = z.union([four, five]);

const how =
  "vitest 4: vitest bench --run --outputJson FILE; vitest 5: vitest bench --run --reporter=json --outputFile=FILE";

/** vitest's benchmarks, 4 and 5; latencies in milliseconds, throughputs in operations a second. */
export function readVitestBench(text: string, selector: string): Reading {
  const document = documentOf(text, outline, "vitest bench", how);
  return "files" in document ? readFour(document as Four, selector) : readFive(document as Five, selector);
}

/** A benchmark's own name, if no other has it; always its name after that of its group. */
function named<T>(all: readonly { group: string; name: string; item: T }[]): Named<T>[] {
  const alone = (name: string): boolean => all.filter((each) => each.name === name).length === 1;
  return all.map(({ group, name, item }) => ({
    names: alone(name) ? [name, `${group} > ${name}`] : [`${group} > ${name}`],
    item,
  }));
}

function readFive({ success, testResults }: Five, selector: string): Reading {
  const tests = testResults.flatMap((each) => each.assertionResults);
  const failed = tests.find((each) => each.status === "failed");
  if (failed || !success) {
    const why = failed ? `: ${failed.fullName}: ${failed.failureMessages?.[0]?.split("\n")[0] ?? ""}` : "";
    throw new Refusal(
      "BENCH_FAILED",
      `vitest reports a failure${why}`.slice(0, 500),
      "run vitest bench by itself, and see why",
    );
  }
  const all = tests.flatMap(({ fullName, benchmarks = [] }) =>
    benchmarks.flatMap(({ tasks }) =>
      tasks.map((item) => ({ group: fullName, name: item.name, item: item as TaskResult })),
    ),
  );
  const { item, figure, name } = select(named(all), selector, "latency.mean");
  return readTask(item, figure, name);
}

/** The figures of vitest 4 by the names that tinybench and vitest 5 have for them. */
const older: Readonly<Record<string, string>> = {
  "latency.mean": "mean",
  "latency.min": "min",
  "latency.max": "max",
  "latency.p50": "median",
  "latency.p75": "p75",
  "latency.p99": "p99",
  "latency.p995": "p995",
  "latency.p999": "p999",
  "throughput.mean": "hz",
  period: "period",
  totalTime: "totalTime",
};

function readFour({ files }: Four, selector: string): Reading {
  const all = files.flatMap(({ groups }) =>
    groups.flatMap(({ fullName, benchmarks }) =>
      benchmarks.map((item: FourBenchmark) => ({ group: fullName, name: item.name, item })),
    ),
  );
  const { item, figure, name } = select(named(all), selector, "latency.mean");
  const key = older[figure] ?? figure;
  if (!Object.values(older).includes(key))
    throw new Refusal(
      "METRIC_MISSING",
      `there is no benchmark and no figure ${figure}; there is ${name}`,
      `choose one of ${Object.keys(older).join(", ")}`,
    );
  refuseThinPercentile(key, item.sampleCount, name);
  return {
    value: figureOf(item[key], `${figure} of ${name}`),
    samples: key === "mean" ? keptSamples(item.samples, `the samples of ${name}`) : undefined,
    unit: key === "hz" ? "1/s" : "ms",
  };
}
