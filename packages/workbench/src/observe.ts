import { createHash } from "node:crypto";
import { constants } from "node:os";
import {
  type GuardSpec,
  type HttpTarget,
  type MetricSpec,
  type Observation,
  QuestbusError,
} from "@questbus/protocol";
import { type CommandRun, type CommandSetting, runCommand } from "./command.ts";
import { blamesDisk, diskFull } from "./disk.ts";
import { lastLines, thrown } from "./excerpt.ts";
import { runHttp } from "./http/run-http.ts";
import { type MeasuredRun, readMetric } from "./metric.ts";
import { readResults, removeResults } from "./results.ts";

export type ObserveOptions = CommandSetting & {
  command: string;
  cwd: string;
  metric: MetricSpec;
  /** The file that the command writes its results to, relative to `cwd`; stdout when absent. */
  output?: string | undefined;
  /** The command starts a server, which is measured under load. */
  http?: HttpTarget | undefined;
  guards: readonly GuardSpec[];
  timeoutMs: number;
  /** Seed of the workload, given as QUESTBUS_SEED. */
  seed?: string | undefined;
};

const where = "measure.command";

/** How long processes may go on after the benchmark has ended; their time counts. */
const lingerMs = 2_000;
const digestLine = /^DIGEST[ \t]+(\S.*?)[ \t\r]*$/gm;
/** Characters of a digest that are kept: 128 bits. */
const digestChars = 32;

/**
 * Runs the benchmark once, in a fresh process, waits until all its processes have ended, and reads the metric, every
 * guard and the digest.
 * @throws BENCH_FAILED, BENCH_TIMEOUT, BENCH_LEFT_PROCESS, METRIC_MISSING, METRIC_NOT_A_NUMBER, SAMPLES_TOO_FEW,
 * PATH_ESCAPES, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function observe(options: ObserveOptions): Promise<Observation> {
  const { metric, guards, output, http, seed, ...command } = options;
  const measureRss = [metric, ...guards].some((each) => each.from === "max-rss");
  if (output !== undefined) await removeResults(options.cwd, output);
  const env = { ...command.env, ...(seed === undefined ? {} : { QUESTBUS_SEED: seed }) };
  const run = await (http
    ? runHttp({ ...command, env, http })
    : runCommand({ ...command, user: "measure", env, measureRss, measureCpu: true, lingerMs }));
  if (run.aborted) throw options.signal?.reason ?? new Error("aborted");
  refuseFailure(run, options);
  const measured: MeasuredRun = {
    ...run,
    results: output === undefined ? run.stdout : await readResults(options.cwd, output),
    resultsPlace: http ? "the load" : (output ?? "stdout"),
    errorsShareMax: http?.errorsMax,
  };
  return {
    value: readMetric(metric, measured),
    guards: Object.fromEntries(
      guards.map((each, at) => [each.name, readMetric(each, measured, `guards[${at}]`)]),
    ),
    wallMs: run.wallMs,
    cpuMs: run.cpuMs,
    digest: digestOf(run.stdout),
  };
}

/** The hash of what the lines `DIGEST text` of stdout say, in their order; null when there is none. */
function digestOf(stdout: string): string | null {
  const texts = [...stdout.matchAll(digestLine)].map(([, text]) => text);
  if (texts.length === 0) return null;
  return createHash("sha256").update(texts.join("\n")).digest("hex").slice(0, digestChars);
}

function refuseFailure(run: CommandRun, options: ObserveOptions): void {
  if (run.timedOut) {
    const next = "see whether it hangs; raise measure.timeout, or make the benchmark shorter";
    const message = `the benchmark did not end within ${options.timeoutMs / 1000} s${quote(run)}`;
    throw new QuestbusError({ code: "BENCH_TIMEOUT", message, where, next });
  }
  if (run.exit === 0) return refuseLeft(run);
  if (blamesDisk(run.output)) throw diskFull(options.cwd);
  if (run.exit === 127) throw programMissing(run, options.command);
  const tree = `${options.cwd}/`;
  const said = thrown(run.output)?.replaceAll(`file://${tree}`, "./").replaceAll(tree, "./");
  const message = `the benchmark failed with ${endOf(run)}${said ? `: ${said}` : quote(run)}`;
  const next =
    said && fileMissing.test(said)
      ? missingNext
      : "run it yourself in the target, with an empty HOME and TMPDIR";
  throw new QuestbusError({
    code: "BENCH_FAILED",
    message,
    where,
    next: `${next}: ${options.command.slice(0, 300)}`,
  });
}

/** A file of the target that is not there. */
const fileMissing = /(?:Cannot find module|can't open file) '\.\//;
const missingNext = "is it committed at target.ref? A run has only what that commit has";

/** How shells and `env` name a program that they do not find. */
const notFound = [
  /(?:^|: )([^\s:]+): (?:command )?not found$/m,
  /^env: [‘'"]?([^’'"\n]+?)[’'"]?: No such file/m,
];

/** Exit code 127: something that the command starts is not there. */
function programMissing(run: CommandRun, command: string): QuestbusError {
  const name = notFound
    .map((each) => each.exec(run.stderr)?.[1])
    .find(Boolean)
    ?.slice(0, 100);
  const what = name ?? "a program that it starts";
  const place = name?.includes("/") ? "is not there" : "is not on the PATH";
  return new QuestbusError({
    code: "BENCH_FAILED",
    message: `the benchmark failed with exit code 127: ${what} ${place}${name ? "" : quote(run)}`,
    where,
    next: `${name?.includes("/") ? missingNext : `install ${name ?? "it"}, in target.prepare where it is a package of the target, or correct the command`}: ${command.slice(0, 300)}`,
  });
}

function refuseLeft({ left }: CommandRun): void {
  if (left.length === 0) return;
  const names = left.slice(0, 3).map((line) => line.slice(0, 200));
  const message = `the benchmark left ${left.length === 1 ? "a process" : `${left.length} processes`} running: ${names.join("; ")}`;
  const next = "let it wait for every process that it starts, or stop it";
  throw new QuestbusError({ code: "BENCH_LEFT_PROCESS", message, where, next });
}

/** How a command ended, in words. Shells and meters give a signal as 128 and its number. */
export function endOf({ exit, signal }: Pick<CommandRun, "exit" | "signal">): string {
  if (exit === null) return `signal ${signal}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === exit - 128)?.[0];
  return name ? `exit code ${exit} (${name})` : `exit code ${exit}`;
}

/** The last lines of a command's output, for the end of a message. */
export function quote(run: CommandRun): string {
  const excerpt = lastLines(run.output, 1_000);
  return excerpt ? `:\n${excerpt}` : "; it printed nothing";
}
