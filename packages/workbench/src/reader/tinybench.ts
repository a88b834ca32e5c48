import { z } from "zod";
import { documentOf, figureOf, keptSamples, type Named, type Reading, Refusal, select } from "./reading.ts";
import { refuseThinPercentile } from "./statistic.ts";

const figures = z.looseObject({ samples: z.unknown().optional() });

/** A task's result in tinybench 3 to 6. */
const result = z.looseObject({
  state: z.string().optional(),
  error: z.unknown().optional(),
  latency: figures.optional(),
  throughput: figures.optional(),
});
export type TaskResult = z.infer<typeof result>;

const task = z.looseObject({ name: z.string(), result });
const outline = z.union([z.array(z.union([task, result.extend({ name: z.string().optional() })])), task]);

const how =
  "print JSON.stringify(bench.tasks.map(({ name, result }) => ({ name, result }))); tasks themselves print as {}";

/** Tasks of tinybench with their results; latencies in milliseconds, throughputs in operations a second. */
export function readTinybench(text: string, selector: string): Reading {
  const document = documentOf(text, outline, "tinybench", how);
  const all = (Array.isArray(document) ? document : [document]).map((each, at): Named<TaskResult> => {
    const inner = each.result as TaskResult | undefined;
    return { names: [each.name ?? `task ${at + 1}, which has no name`], item: inner ?? (each as TaskResult) };
  });
  for (const { names, item } of all) refuseUnfinished(names[0] as string, item);
  const { item, figure, name } = select(all, selector, "latency.mean");
  return readTask(item, figure, name);
}

function refuseUnfinished(name: string, { state, error, latency }: TaskResult): void {
  if ((state !== undefined && state !== "completed") || error !== undefined)
    throw new Refusal(
      "BENCH_FAILED",
      `the task ${name} ended as ${state ?? "errored"}`,
      "run the benchmark by itself, and see why",
    );
  if (!latency) throw new Refusal("METRIC_MISSING", `the task ${name} has no result`, how);
}

/** A figure such as `latency.p99` or `throughput.mean`, or `period`; also of the tasks in vitest 5. */
export function readTask(item: TaskResult, figure: string, name: string): Reading {
  const [, group, which] = /^(latency|throughput)\.(\w+)$/.exec(figure) ?? [];
  if (group !== "latency" && group !== "throughput") {
    if (figure === "period" || figure === "totalTime")
      return { value: figureOf(item[figure], `${figure} of ${name}`), unit: "ms" };
    throw new Refusal(
      "METRIC_MISSING",
      `there is no benchmark and no figure ${figure}; there is ${name}`,
      "write latency.mean, latency.p99, throughput.mean or period, after the task's name and a slash",
    );
  }
  const found = item[group];
  refuseThinPercentile(which as string, found?.samplesCount, name);
  return {
    value: figureOf(found?.[which as string], `${figure} of ${name}`),
    samples: which === "mean" ? keptSamples(found?.samples, `the samples of ${name}`) : undefined,
    unit: group === "latency" ? "ms" : "1/s",
  };
}
