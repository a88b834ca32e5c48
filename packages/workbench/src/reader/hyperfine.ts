import { z } from "zod";
import { documentOf, figureOf, keptSamples, type Reading, Refusal, samplesOf, select } from "./reading.ts";
import { medianOf } from "./statistic.ts";

const outline = z.looseObject({
  results: z.array(
    z.looseObject({
      command: z.string(),
      times: z.unknown().optional(),
      exit_codes: z.array(z.int().nullable()).optional(),
    }),
  ),
});

const seconds = ["mean", "median", "min", "max", "user", "system", "stddev"];

/** hyperfine's `--export-json`; seconds. The benchmarks are its commands (or what `--command-name` calls them). */
export function readHyperfine(text: string, selector: string): Reading {
  const how = "run hyperfine with --export-json FILE, and name that file in measure.output";
  const { results } = documentOf(text, outline, "hyperfine", how);
  const failed = results.find((each) => each.exit_codes?.some((code) => code !== 0));
  if (failed)
    throw new Refusal(
      "BENCH_FAILED",
      `hyperfine ran a command that failed: ${failed.command.slice(0, 200)}`,
      "see why it fails; hyperfine's --ignore-failure only hides it",
    );
  const all = results.map((item) => ({ names: [item.command], item }));
  const { item, figure, name } = select(all, selector, "mean");
  if (figure === "times") {
    const samples = samplesOf(item.times, `times of ${name}`);
    return { value: figureOf(medianOf(samples), `the median of times of ${name}`), samples, unit: "s" };
  }
  if (!seconds.includes(figure))
    throw new Refusal(
      "METRIC_MISSING",
      `hyperfine has no figure ${figure}`,
      `choose times, ${seconds.join(", ")}`,
    );
  const samples = figure === "mean" ? keptSamples(item.times, `times of ${name}`) : undefined;
  return { value: figureOf(item[figure], `${figure} of ${name}`), samples, unit: "s" };
}
