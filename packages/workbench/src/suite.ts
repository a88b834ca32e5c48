import type { SuiteRun } from "@questbus/protocol";
import type { Artifacts } from "./artifact.ts";
import { type CommandSetting, runCommand } from "./command.ts";
import { blamesDisk, diskFull, looksFull } from "./disk.ts";
import { failureExcerpt, lastLines } from "./excerpt.ts";
import { countTests } from "./test-count.ts";

export type SuiteOptions = CommandSetting & {
  command: string;
  cwd: string;
  timeoutMs: number;
  artifacts: Artifacts;
};

/**
 * Runs the test suite once; a red suite is an answer. It passed when it ended with exit code 0 in time.
 * @throws DISK_FULL when it failed for that; the reason of `signal` when it was aborted
 */
export async function runSuite(options: SuiteOptions): Promise<SuiteRun> {
  const { artifacts, ...command } = options;
  const run = await runCommand({ ...command, user: "tests" });
  if (run.aborted) throw options.signal?.reason ?? new Error("aborted");
  const passed = run.exit === 0 && !run.timedOut;
  if (!passed && blamesDisk(run.output) && (await looksFull(options.cwd))) throw diskFull(options.cwd);
  return {
    passed,
    exit: run.timedOut ? null : run.exit,
    timedOut: run.timedOut,
    durationMs: run.wallMs,
    output: await artifacts.put("suite-output", run.output),
    excerpt: passed ? lastLines(run.output) : failureExcerpt(run.output),
    tests: countTests(run.output),
  };
}
