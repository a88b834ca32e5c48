import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { limit, type NetworkUser } from "@questbus/protocol";
import { type Capture, openCapture } from "./capture.ts";
import { type CpuMeter, openCpuMeter } from "./cpu-meter.ts";
import { blamesDisk, diskFull, looksFull } from "./disk.ts";
import { confirmLease, workLease } from "./lease.ts";
import type { ProcessGroups } from "./process-group.ts";
import { openProcessTree, type ProcessTree } from "./process-tree.ts";
import { openRssMeter, type RssMeter } from "./rss-meter.ts";
import { runHomeOf, withRunHome } from "./run-home.ts";
import { type ContainedRun, type Sandbox, type SandboxGrant, workSandbox } from "./sandbox/sandbox.ts";

/**
 * Runs the operator's and the fixers' commands. Owns the process tree of the command it runs.
 *
 * Invariants:
 * C1: when a run is answered, its process is gone, and what was left of its tree (see {@link openProcessTree}) was
 *     killed.
 * C2: a command sees an allow-list of the environment, no stdin, and no git repository above its directory.
 * C4: what a command runs is shut in the sandbox that the work is done in, see {@link underSandbox}.
 * C3: what a command prints costs bounded memory, and no work while it runs but list appends and a count.
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
  /** Measure processor time; off by default. */
  measureCpu?: boolean | undefined;
  /** How long other processes of the run may go on when the command has ended, inside the timeout; 0 by default. */
  lingerMs?: number | undefined;
  /** Told the leader of the process group, once it runs. */
  onSpawn?: ((pid: number) => void) | undefined;
  /** Whose command it is: some are given the network by the operator. */
  user?: NetworkUser | undefined;
  /** What it is allowed in a sandbox beyond its tree; `ours`: a program of our own, which is not shut in. */
  grant?: SandboxGrant | "ours" | undefined;
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
  /**
   * From the start to the end of its last process, or to when that was killed; in milliseconds with fractions. With
   * `measureCpu` the start is the command's own: to shut it in takes some milliseconds that are none of it.
   */
  wallMs: number;
  /** Processor time of all its processes; null when not asked for, or not measured. */
  cpuMs: number | null;
  /** Peak resident set of its largest process; null when not asked for, or not measured. */
  maxRssBytes: number | null;
  stdout: string;
  stderr: string;
  /** stdout and stderr as they came. */
  output: string;
  /** Bytes printed, kept or not. */
  outputBytes: number;
  /** The command lines of processes that outlived the command by more than `lingerMs`, and were killed. */
  left: readonly string[];
};

/** Time between SIGTERM and SIGKILL. */
const graceMs = 500;
/** Time between two SIGKILLs, for a tree that grows faster than it dies. */
const killAgainMs = 50;
/** How long pipes may stay open after the tree is gone; only a process that nobody finds holds them. */
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
 * its whole process tree gets SIGTERM, and SIGKILL 500 ms later.
 * @throws DISK_FULL when its group could not be recorded; what says that the lease of the work is over
 */
export async function runCommand(options: CommandOptions): Promise<CommandRun> {
  if (options.signal?.aborted) return neverStarted;
  await confirmLease();
  const meters: Meters = {
    rss: options.measureRss ? openRssMeter() : null,
    cpu: options.measureCpu ? openCpuMeter() : null,
  };
  const found = options.grant === "ours" ? null : workSandbox();
  const grant = { ...(options.grant as SandboxGrant | undefined) };
  if (options.user && found?.network.includes(options.user)) grant.network = true;
  try {
    if (!found || options.env?.HOME) return await execute(options, meters, found && { ...found, grant });
    return await withRunHome(runHomeOf(options.cwd), (home) =>
      execute({ ...options, env: { ...home, ...options.env } }, meters, { ...found, grant }),
    );
  } finally {
    await meters.rss?.stop();
  }
}

type Inside = { sandbox: Sandbox; grant: SandboxGrant } | null;

type Meters = { rss: RssMeter | null; cpu: CpuMeter | null };

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
  cpuMs: null,
  maxRssBytes: null,
  stdout: "",
  stderr: "",
  output: "",
  outputBytes: 0,
  left: [],
};

async function execute(options: CommandOptions, { rss, cpu }: Meters, inside: Inside): Promise<CommandRun> {
  const [program, ...args] = argvOf(options, { rss, cpu }, inside);
  const tree = openProcessTree(options.groups?.owner, { contained: inside !== null });
  const env = { ...commandEnvironment(options.cwd, options.env), ...tree.env };
  let startNs = process.hrtime.bigint();
  const sinceStart = (): number => Number(process.hrtime.bigint() - startNs) / 1e6;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe", ...(cpu ? (["pipe"] as const) : [])],
  });
  cpu?.listen(child.stdio[3] as Readable, () => {
    startNs = process.hrtime.bigint();
  });
  const captures = capture(child, options.outputBytesMax ?? limit.outputBytesMax);
  const closed = once(child, "close").catch(() => {});
  if (child.pid !== undefined) {
    tree.begin(child.pid);
    rss?.start(child.pid);
    options.onSpawn?.(child.pid);
  }
  const stop = openStop(tree, options);
  const ended = await endingOf(child, sinceStart)
    .then((ending) => lingering(ending, { tree, stop, lingerMs: options.lingerMs ?? 0, sinceStart }))
    .finally(stop.settle);
  const recorded = await endTree(child.pid as number, tree, stop, options.groups);
  await drain(child, closed);
  if (!recorded && stop.asked === null) throw await unrecorded(options.groups, captures.stderr.text());
  const asked = { timedOut: stop.asked === "timeout", aborted: stop.asked === "abort" };
  const waitedFor = cpu?.cpuMs() ?? null;
  const measured = {
    maxRssBytes: (await rss?.stop()) ?? null,
    cpuMs: waitedFor === null ? null : waitedFor + tree.seenCpuMs(),
  };
  return { ...ended, ...asked, ...measured, ...read(captures) };
}

function argvOf(options: CommandOptions, { rss, cpu }: Meters, inside: Inside): [string, ...string[]] {
  const { command, groups } = options;
  const shell: [string, ...string[]] = ["/bin/sh", "-c", command];
  const metered = rss ? rss.wrap(shell) : shell;
  const timed = cpu ? cpu.wrap(metered) : metered;
  const shut = inside ? inside.sandbox.wrap(timed, containedRun(options, rss, inside.grant)) : timed;
  return groups ? groups.wrap(shut) : shut;
}

function containedRun(options: CommandOptions, rss: RssMeter | null, grant: SandboxGrant): ContainedRun {
  const { cwd, env = {}, timeoutMs } = options;
  const writes = [...(grant.writes ?? [])];
  if (rss?.file) {
    writeFileSync(rss.file, "", { mode: 0o600, flag: "wx" });
    writes.push(rss.file);
  }
  const path = env.PATH ?? process.env.PATH ?? "";
  return { cwd, path, env, grant: { ...grant, writes }, timeoutMs };
}

type Ending = { exit: number | null; signal: string | null; wallMs: number };
type Stop = {
  /** Why the run was asked to end, if it was. */
  readonly asked: "timeout" | "abort" | null;
  /** No timer and no signal asks any more. */
  settle(): void;
};

/** Asks the tree to end at the timeout or when the signal says so; what does not heed SIGTERM gets SIGKILL. */
function openStop(tree: ProcessTree, { timeoutMs, signal }: CommandOptions): Stop {
  let asked: Stop["asked"] = null;
  let killer: NodeJS.Timeout | undefined;
  const end = (why: "timeout" | "abort"): void => {
    if (asked) return;
    asked = why;
    tree.signal("SIGTERM");
    killer = setTimeout(() => tree.signal("SIGKILL"), graceMs);
  };
  const timer = setTimeout(end, timeoutMs, "timeout");
  const abort = (): void => end("abort");
  signal?.addEventListener("abort", abort, { once: true });
  return {
    get asked() {
      return asked;
    },
    settle: () => {
      clearTimeout(timer);
      clearTimeout(killer);
      signal?.removeEventListener("abort", abort);
    },
  };
}

/** The end of the command itself. */
const endingOf = (child: ChildProcess, sinceStart: () => number): Promise<Ending> =>
  new Promise((done, fail) => {
    child.once("error", fail);
    child.once("exit", (exit, signal) => done({ exit, signal, wallMs: sinceStart() }));
  });

type Lingering = { tree: ProcessTree; stop: Stop; lingerMs: number; sinceStart: () => number };

/** Waits for what the command left running; what is still there then is named. */
async function lingering(
  ending: Ending,
  { tree, stop, lingerMs, sinceStart }: Lingering,
): Promise<Ending & { left: readonly string[] }> {
  if (stop.asked !== null || !tree.alive()) return { ...ending, left: [] };
  const gone = await tree.gone(lingerMs, () => stop.asked !== null);
  const left = gone || stop.asked !== null ? [] : tree.commands();
  return { ...ending, wallMs: lingerMs > 0 ? sinceStart() : ending.wallMs, left };
}

/** Kills what is left of the tree; where it was asked to end, what is left gets the time to. */
async function endTree(
  pgid: number,
  tree: ProcessTree,
  { asked }: Stop,
  groups: ProcessGroups | undefined,
): Promise<boolean> {
  if (asked) await tree.gone(graceMs);
  const endMs = performance.now() + graceMs;
  while (tree.kept() && performance.now() < endMs) {
    tree.signal("SIGKILL");
    await tree.released(killAgainMs);
  }
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
  for (const pipe of child.stdio) pipe?.destroy();
}

type Captures = { stdout: Capture; stderr: Capture; both: Capture };

function capture(child: ChildProcess, bytesMax: number): Captures {
  const lease = workLease();
  const captures = {
    stdout: openCapture(bytesMax),
    stderr: openCapture(bytesMax),
    both: openCapture(bytesMax),
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      captures[name].push(chunk);
      lease?.worked();
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
