import { type GuardSpec, type MetricSpec, type Observation, QuestbusError } from "@questbus/protocol";
import { type CommandRun, type CommandSetting, runCommand } from "./command.ts";
import { blamesDisk, diskFull } from "./disk.ts";
import { lastLines } from "./excerpt.ts";
import { type MeasuredRun, readMetric } from "./metric.ts";
import { readResults, removeResults } from "./results.ts";

export type ObserveOptions = CommandSetting & {
  command: string;
  cwd: string;
  metric: MetricSpec;
  /** The file that the command writes its results to, relative to `cwd`; stdout when absent. */
  output?: string | undefined;
  guards: readonly GuardSpec[];
  timeoutMs: number;
};

const where = "measure.command";

/**
 * Runs the benchmark once, in a fresh process, and reads the metric and every guard.
 * @throws BENCH_FAILED, BENCH_TIMEOUT, METRIC_MISSING, METRIC_NOT_A_NUMBER, SAMPLES_TOO_FEW, PATH_ESCAPES, DISK_FULL; the
 * reason of `signal` when it was aborted
 */
export async function observe(options: ObserveOptions): Promise<Observation> {
  const { metric, guards, output, ...command } = options;
  const measureRss = [metric, ...guards].some((each) => each.from === "max-rss");
  if (output !== undefined) await removeResults(options.cwd, output);
  const run = await runCommand({ ...command, measureRss });
  if (run.aborted) throw options.signal?.reason ?? new Error("aborted");
  refuseFailure(run, options);
  const measured: MeasuredRun = {
    ...run,
    results: output === undefined ? run.stdout : await readResults(options.cwd, output),
    resultsPlace: output ?? "stdout",
  };
  return {
    value: readMetric(metric, measured),
    guards: Object.fromEntries(guards.map((each) => [each.name, readMetric(each, measured)])),
    wallMs: run.wallMs,
    cpuMs: null,
    digest: null,
  };
}

function refuseFailure(run: CommandRun, options: ObserveOptions): void {
  if (run.timedOut) {
    const next = "see whether it hangs; raise measure.timeout, or make the benchmark shorter";
    const message = `the benchmark did not end within ${options.timeoutMs / 1000} s${quote(run)}`;
    throw new QuestbusError({ code: "BENCH_TIMEOUT", message, where, next });
  }
  if (run.exit === 0) return;
  if (blamesDisk(run.output)) throw diskFull(options.cwd);
  const message = `the benchmark failed with ${endOf(run)}${quote(run)}`;
  throw new QuestbusError({
    code: "BENCH_FAILED",
    message,
    where,
    next: `run it yourself in the target: ${options.command.slice(0, 300)}`,
  });
}

/** How a command ended, in words. */
export const endOf = (run: CommandRun): string =>
  run.exit === null ? `signal ${run.signal}` : `exit code ${run.exit}`;

/** The last lines of a command's output, for the end of a message. */
export function quote(run: CommandRun): string {
  const excerpt = lastLines(run.output, 1_000);
  return excerpt ? `:\n${excerpt}` : "; it printed nothing";
}
