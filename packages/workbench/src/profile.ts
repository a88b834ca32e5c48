import { mkdir, readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Analysis, type HttpTarget, limit, type ProfiledRun } from "@questbus/protocol";
import { type CommandRun, type CommandSetting, runCommand } from "./command.ts";
import { runHttp } from "./http/run-http.ts";
import { readMachineMarks, sharesBetween, unmeasured } from "./machine-marks.ts";
import { endOf } from "./observe.ts";
import { removeTree } from "./removal.ts";

export type ProfileOptions = CommandSetting & {
  command: string;
  cwd: string;
  timeoutMs: number;
  /** The command is a server, which is profiled under load. */
  http?: HttpTarget | undefined;
  /** A directory of the run's own, which is gone afterwards. */
  scratch: string;
  /** How long one run takes, for the sampling interval. */
  wallMs: number;
};

/** What a profiled run left behind; `kept` are the CPU profiles to store as evidence, the largest first. */
export type Profiled = { run: ProfiledRun; kept: Buffer[] };

const preload = fileURLToPath(new URL("./profile-preload.cjs", import.meta.url));

/** Enough samples that one per cent is some forty of them. */
const samplesWanted = 4_000;
const intervalUsMin = 100;
const intervalUsMax = 10_000;
const keptMax = 4;

/** Runs the command as it is, and then writes down what it and all its children read and wrote (Linux). */
const metered = `/bin/sh -c "$QUESTBUS_PROFILED"
code=$?
cat /proc/$$/io >"$QUESTBUS_PROFILE_DIR/io" 2>/dev/null
exit $code`;

/**
 * Runs the bench once under a profiler, outside of what is measured. For any program: processor time, memory and disk
 * of all its processes, and what the machine suffered meanwhile. For Node, also CPU profiles and what the garbage
 * collector did; a program that sets NODE_OPTIONS itself is left alone, and has none. Whatever cannot be had is a note.
 * @throws the reason of `signal` when it was aborted
 */
export async function profileRun(options: ProfileOptions): Promise<Profiled> {
  const { scratch, wallMs, http, ...setting } = options;
  await removeTree(scratch);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  try {
    const intervalUs = Math.round((wallMs * 1000) / samplesWanted);
    const env = {
      ...setting.env,
      NODE_OPTIONS: `--require ${quoted(preload)}`,
      QUESTBUS_PROFILED: setting.command,
      QUESTBUS_PROFILE_DIR: scratch,
      QUESTBUS_PROFILE_INTERVAL_US: String(Math.min(intervalUsMax, Math.max(intervalUsMin, intervalUs))),
    };
    const measured = { user: "measure", grant: { reads: [preload], writes: [scratch] } } as const;
    const before = await readMachineMarks();
    const run = await (http
      ? runHttp({ ...setting, ...measured, env, http })
      : runCommand({ ...setting, ...measured, command: metered, env, measureRss: true, measureCpu: true }));
    if (run.aborted) throw options.signal?.reason ?? new Error("aborted");
    if (run.timedOut || run.exit !== 0) return { run: unprofiled(failure(run)), kept: [] };
    const machine = sharesBetween(before, await readMachineMarks(), run.wallMs);
    const roots = [...new Set([options.cwd, await realpath(options.cwd)])];
    return await readLeft(scratch, run, { roots, machine });
  } finally {
    await removeTree(scratch);
  }
}

/** As NODE_OPTIONS reads it. */
const quoted = (path: string): string => `"${path.replace(/[\\"]/g, "\\$&")}"`;

/** Of a run that said nothing, and why. */
export const unprofiled = (why: string): ProfiledRun => ({
  roots: [],
  cpuProfiles: [],
  usage: null,
  heap: null,
  machine: unmeasured,
  notes: [why],
});

const failure = (run: CommandRun): string =>
  `the bench could not be profiled: under the profiler it ${run.timedOut ? "did not end in time" : `ended with ${endOf(run)}`}`;

async function readLeft(
  scratch: string,
  run: CommandRun,
  known: Pick<ProfiledRun, "roots" | "machine">,
): Promise<Profiled> {
  const files = await readdir(scratch);
  const named = (ending: string): string[] => files.filter((each) => each.endsWith(ending));
  const { profiles, left } = await readProfiles(named(".cpuprofile").map((each) => join(scratch, each)));
  const heaps = await Promise.all(named(".heap").map((each) => readJson(join(scratch, each))));
  const io = await readFile(join(scratch, "io"), "utf8").catch(() => "");
  const none = "no process wrote a CPU profile: it is no Node program, or it sets NODE_OPTIONS itself";
  const notes = [
    ...(profiles.length === 0 && left === 0 ? [none] : []),
    ...(left > 0 ? [`${left} CPU profiles were left out: too large, too many, or not whole`] : []),
  ];
  return {
    run: {
      ...known,
      cpuProfiles: profiles.map((each) => each.profile),
      usage: usageOf(run, io),
      heap: heapOf(heaps),
      notes,
    },
    kept: profiles.slice(0, keptMax).map((each) => each.bytes),
  };
}

type ReadProfile = { bytes: Buffer; profile: unknown };

/** The largest first; a process that was killed while it wrote leaves half a profile. */
async function readProfiles(paths: readonly string[]): Promise<{ profiles: ReadProfile[]; left: number }> {
  const sized = await Promise.all(paths.map(async (path) => ({ path, bytes: (await stat(path)).size })));
  const fitting = sized
    .filter(({ bytes }) => bytes <= limit.profileBytesMax)
    .sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1))
    .slice(0, limit.profilesMax);
  const profiles: ReadProfile[] = [];
  for (const { path } of fitting) {
    const bytes = await readFile(path);
    const profile = parsed(bytes.toString("utf8"));
    if (profile !== null) profiles.push({ bytes, profile });
  }
  return { profiles, left: paths.length - profiles.length };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const readJson = async (path: string): Promise<unknown> =>
  (await stat(path)).size > limit.profileBytesMax ? null : parsed(await readFile(path, "utf8"));

/** `io`: /proc/PID/io of the shell, which has the counts of every child it waited for; empty where there is none. */
function usageOf(run: CommandRun, io: string): Analysis["usage"] {
  const bytes = (name: string): number | null => {
    const found = new RegExp(`^${name}: (\\d+)$`, "m").exec(io)?.[1];
    return found === undefined ? null : Number(found);
  };
  return {
    wallMs: run.wallMs,
    cpuMs: run.cpuMs,
    peakRssBytes: run.maxRssBytes,
    readBytes: bytes("read_bytes"),
    writtenBytes: bytes("write_bytes"),
  };
}

const heapFields = ["collections", "totalMs", "longestMs", "peakBytes", "limitBytes"] as const;
type Heap = NonNullable<Analysis["heap"]>;

const isHeap = (value: unknown): value is Heap =>
  typeof value === "object" &&
  value !== null &&
  heapFields.every((name) => {
    const field = (value as Record<string, unknown>)[name];
    return typeof field === "number" && Number.isFinite(field) && field >= 0;
  }) &&
  Number.isInteger((value as Heap).collections);

/** All processes together; heap and limit are those of the one with the largest heap. */
function heapOf(found: readonly unknown[]): Heap | null {
  const heaps = found.filter(isHeap);
  const [first, ...rest] = heaps;
  if (!first) return null;
  const largest = rest.reduce((most, each) => (each.peakBytes > most.peakBytes ? each : most), first);
  return {
    collections: heaps.reduce((sum, each) => sum + each.collections, 0),
    totalMs: heaps.reduce((sum, each) => sum + each.totalMs, 0),
    longestMs: Math.max(...heaps.map((each) => each.longestMs)),
    peakBytes: largest.peakBytes,
    limitBytes: largest.limitBytes,
  };
}
