import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { limit } from "@questbus/protocol";
import { type Capture, openCapture } from "./capture.ts";
import { blamesDisk, diskFull, looksFull } from "./disk.ts";
import { groupGone, type ProcessGroups, signalGroup } from "./process-group.ts";
import { openRssMeter, type RssMeter } from "./rss-meter.ts";

/**
 * Runs the operator's and the fixers' commands. Owns the process group of the command it runs; a process that leaves
 * the group (setsid) is out of its reach.
 *
 * Invariants:
 * C1: when a run is answered, its process is gone, and what was left of its group was killed.
 * C2: a command sees an allow-list of the environment, no stdin, and no git repository above its directory.
 * C3: what a command prints costs bounded memory, and no work while it runs but list appends.
 */
export type CommandOptions = {
  /** A line for /bin/sh. */
  command: string;
  cwd: string;
  /** Added to the allow-list. */
  env?: Readonly<Record<string, string>> | undefined;
  timeoutMs: number;
  /** Kept of each of stdout, stderr and both; 1 MiB by default. */
  outputBytesMax?: number | undefined;
  /** Ends the run early. */
  signal?: AbortSignal | undefined;
  /** Measure peak memory; off by default. */
  measureRss?: boolean | undefined;
  /** Where the running group is recorded, for a successor to end it. */
  groups?: ProcessGroups | undefined;
};

/** What the commands of one task share. */
export type CommandSetting = Pick<CommandOptions, "env" | "signal" | "groups">;

export type CommandRun = {
  /** Exit code; null when a signal ended it, or when it never started. */
  exit: number | null;
  signal: string | null;
  timedOut: boolean;
  /** The abort signal ended it. */
  aborted: boolean;
  /** From start to end, in milliseconds with fractions. */
  wallMs: number;
  /** Peak resident set of its largest process; null when not asked for, or not measured. */
  maxRssBytes: number | null;
  stdout: string;
  stderr: string;
  /** stdout and stderr as they came. */
  output: string;
  /** Bytes printed, kept or not. */
  outputBytes: number;
};

/** Time between SIGTERM and SIGKILL. */
const graceMs = 500;
/** How long pipes may stay open after the group is gone; only a process that left the group holds them. */
const drainMs = 250;

const inherited = [
  "PATH",
  "HOME",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "USER",
  "LOGNAME",
  "SHELL",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
];

/**
 * Runs a command to its end and answers how it went; a failing command is an answer, not an error. On timeout or abort
 * its whole process group gets SIGTERM, and SIGKILL 500 ms later.
 * @throws DISK_FULL when its group could not be recorded
 */
export async function runCommand(options: CommandOptions): Promise<CommandRun> {
  if (options.signal?.aborted) return neverStarted;
  const meter = options.measureRss ? openRssMeter() : null;
  try {
    return await execute(options, meter);
  } finally {
    await meter?.stop();
  }
}

/** The environment of a command: the allow-list, then `env`. */
function commandEnvironment(cwd: string, env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const kept = inherited.flatMap((name) =>
    process.env[name] === undefined ? [] : [[name, process.env[name]]],
  );
  return {
    ...Object.fromEntries(kept),
    TERM: "dumb",
    GIT_CEILING_DIRECTORIES: dirname(resolve(cwd)),
    ...env,
  };
}

const neverStarted: CommandRun = {
  exit: null,
  signal: null,
  timedOut: false,
  aborted: true,
  wallMs: 0,
  maxRssBytes: null,
  stdout: "",
  stderr: "",
  output: "",
  outputBytes: 0,
};

async function execute(options: CommandOptions, meter: RssMeter | null): Promise<CommandRun> {
  const shell = ["/bin/sh", "-c", options.command] as const;
  const metered = meter ? meter.wrap([...shell]) : shell;
  const [program, ...args] = options.groups ? options.groups.wrap(metered) : metered;
  const env = commandEnvironment(options.cwd, options.env);
  const startNs = process.hrtime.bigint();
  const child = spawn(program, args, {
    cwd: options.cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const captures = capture(child, options.outputBytesMax ?? limit.outputBytesMax);
  const closed = once(child, "close").catch(() => {});
  if (child.pid !== undefined) meter?.start(child.pid);
  const [ending, stop] = endingOf(child, startNs, options);
  const ended = await ending;
  const recorded = await endGroup(child.pid as number, stop.asked, options.groups);
  await drain(child, closed);
  if (!recorded && stop.asked === null) throw await unrecorded(options.groups, captures.stderr.text());
  const asked = { timedOut: stop.asked === "timeout", aborted: stop.asked === "abort" };
  return { ...ended, ...asked, maxRssBytes: (await meter?.stop()) ?? null, ...read(captures) };
}

type Ending = { exit: number | null; signal: string | null; wallMs: number };
type Stop = { asked: "timeout" | "abort" | null };

/** The end of the process, and why it was asked to end, if it was. */
function endingOf(child: ChildProcess, startNs: bigint, options: CommandOptions): [Promise<Ending>, Stop] {
  const stop: Stop = { asked: null };
  const ending = new Promise<Ending>((done, fail) => {
    let killer: NodeJS.Timeout | undefined;
    const end = (why: "timeout" | "abort"): void => {
      if (stop.asked || child.pid === undefined) return;
      stop.asked = why;
      const pgid = child.pid;
      signalGroup(pgid, "SIGTERM");
      killer = setTimeout(() => signalGroup(pgid, "SIGKILL"), graceMs);
    };
    const timer = setTimeout(end, options.timeoutMs, "timeout");
    const abort = (): void => end("abort");
    options.signal?.addEventListener("abort", abort, { once: true });
    const settle = (): void => {
      clearTimeout(timer);
      clearTimeout(killer);
      options.signal?.removeEventListener("abort", abort);
    };
    child.once("error", (error) => {
      settle();
      fail(error);
    });
    child.once("exit", (exit, signal) => {
      const wallMs = Number(process.hrtime.bigint() - startNs) / 1e6;
      settle();
      done({ exit, signal, wallMs });
    });
  });
  return [ending, stop];
}

/** Kills what is left of the group; where it was asked to end, what is left gets the time to. */
async function endGroup(
  pgid: number,
  asked: Stop["asked"],
  groups: ProcessGroups | undefined,
): Promise<boolean> {
  if (asked) await groupGone(pgid, graceMs);
  if (signalGroup(pgid, "SIGKILL")) await groupGone(pgid, graceMs);
  return groups ? groups.remove(pgid) : true;
}

/** Why a command was not run at all. */
async function unrecorded(groups: ProcessGroups | undefined, stderr: string): Promise<Error> {
  const dir = groups?.dir ?? "";
  if (blamesDisk(stderr) || (await looksFull(dir))) return diskFull(dir);
  return new Error(`a command could not be recorded in ${dir}: ${stderr.trim()}`);
}

async function drain(child: ChildProcess, closed: Promise<unknown>): Promise<void> {
  const enough = new AbortController();
  await Promise.race([closed, wait(drainMs, null, { signal: enough.signal }).catch(() => {})]);
  enough.abort();
  child.stdout?.destroy();
  child.stderr?.destroy();
}

type Captures = { stdout: Capture; stderr: Capture; both: Capture };

function capture(child: ChildProcess, bytesMax: number): Captures {
  const captures = {
    stdout: openCapture(bytesMax),
    stderr: openCapture(bytesMax),
    both: openCapture(bytesMax),
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      captures[name].push(chunk);
      captures.both.push(chunk);
    });
  }
  return captures;
}

const read = ({
  stdout,
  stderr,
  both,
}: Captures): Pick<CommandRun, "stdout" | "stderr" | "output" | "outputBytes"> => ({
  stdout: stdout.text(),
  stderr: stderr.text(),
  output: both.text(),
  outputBytes: both.sizeBytes(),
});
