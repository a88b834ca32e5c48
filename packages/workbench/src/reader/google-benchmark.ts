import { z } from "zod";
import { documentOf, figureOf, type Named, type Reading, Refusal, samplesOf, select } from "./reading.ts";
import { medianOf } from "./statistic.ts";

const entry = z.looseObject({
  name: z.string(),
  run_name: z.string().optional(),
  run_type: z.enum(["iteration", "aggregate"]).default("iteration"),
  aggregate_name: z.string().optional(),
  time_unit: z.enum(["ns", "us", "ms", "s"]).optional(),
  error_occurred: z.boolean().optional(),
  error_message: z.string().optional(),
  skipped: z.boolean().optional(),
});
type Entry = z.infer<typeof entry>;
const outline = z.looseObject({ context: z.looseObject({}), benchmarks: z.array(entry) });

const nanoseconds = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 } as const;
const how = "run it with --benchmark_format=json, or --benchmark_out=FILE and --benchmark_out_format=json";

/**
 * Google Benchmark's JSON; times in nanoseconds, whatever `time_unit` says. Repetitions are samples, and their median
 * is the value; where only aggregates were written it is theirs.
 */
export function readGoogleBenchmark(text: string, selector: string): Reading {
  const { benchmarks } = documentOf(text, outline, "Google Benchmark", how);
  const failed = benchmarks.find((each) => each.error_occurred || each.skipped);
  if (failed)
    throw new Refusal(
      "BENCH_FAILED",
      `${failed.name} reports an error: ${failed.error_message ?? "it was skipped"}`.slice(0, 500),
      "run it by itself, and see why",
    );
  const { item, figure, name } = select(groupsOf(benchmarks), selector, "real_time");
  const isTime = figure === "real_time" || figure === "cpu_time";
  const samples = samplesOf(
    item.map((each) => numberOf(each, figure, name)),
    `${figure} of ${name}`,
  );
  return {
    value: figureOf(medianOf(samples), `${figure} of ${name}`),
    samples: item[0]?.run_type === "iteration" ? samples : undefined,
    unit: isTime ? "ns" : "",
  };
}

/** The runs of each benchmark by its name, then each aggregate by its own. */
function groupsOf(all: readonly Entry[]): Named<Entry[]>[] {
  const runNames = [...new Set(all.map((each) => each.run_name ?? each.name))];
  const runs = runNames.flatMap((name): Named<Entry[]>[] => {
    const own = all.filter((each) => (each.run_name ?? each.name) === name);
    const iterations = own.filter((each) => each.run_type === "iteration");
    const middle = own.find((each) => each.aggregate_name === "median");
    const item = iterations.length > 0 ? iterations : middle ? [middle] : [];
    return item.length > 0 ? [{ names: [name], item }] : [];
  });
  return runs;
}

function numberOf(each: Entry, figure: string, name: string): unknown {
  const value = each[figure];
  if (typeof value !== "number") return figureOf(value, `${figure} of ${name}`);
  if (figure !== "real_time" && figure !== "cpu_time") return value;
  return value * nanoseconds[each.time_unit ?? "ns"];
}
