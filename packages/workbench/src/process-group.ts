import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/**
 * The process groups that one owner runs now, on disk, so that after a kill -9 of the owner its successor can end what
 * was left running. A group's leader writes the record itself, before it turns into the command: were it for the owner
 * to write, a kill right after the spawn would leave a group that nobody knows of (a test met that).
 */
export type ProcessGroups = {
  /** The program and arguments that record themselves and then run `argv`, to be spawned as the leader of a group. */
  wrap(argv: readonly string[]): [string, ...string[]];
  /**
   * Forgets a group that is gone; false when it never came to record itself, and so never ran its command.
   */
  remove(pgid: number): boolean;
  /**
   * Kills (SIGKILL) each recorded group whose leader is the process that was recorded, by its start time, and waits
   * until it is gone; all records are removed. Answers with the number of groups killed.
   */
  reap(): Promise<number>;
  readonly dir: string;
};

const goneWithinMs = 2_000;
const pollMs = 5;

/** Writes the shell's own start time (see {@link startTimeOf}) with builtins alone; $0 is the directory. */
const recordSelf =
  process.platform === "linux"
    ? `start() { shift 19; echo "$1"; }; read -r stat </proc/$$/stat && start \${stat##*) } >"$0/$$"`
    : 'LC_ALL=C TZ=UTC ps -o lstart= -p $$ >"$0/$$"';
const script = `{ ${recordSelf}; } || { rm -f "$0/$$"; exit 71; }; exec "$@"`;

/** Opens the records in `dir`, one owner's own; call `reap` before the first command of a new process. */
export function openProcessGroups(dir: string): ProcessGroups {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  return {
    dir,
    wrap: (argv) => ["/bin/sh", "-c", script, dir, ...argv],
    remove: (pgid) => removeRecord(dir, pgid),
    reap: async () => {
      const recorded = readdirSync(dir)
        .map(Number)
        .filter((pgid) => Number.isInteger(pgid) && pgid > 1);
      const orphans = recorded.filter((pgid) => startTimeOf(pgid) === readRecord(dir, pgid));
      for (const pgid of orphans) signalGroup(pgid, "SIGKILL");
      await Promise.all(orphans.map((pgid) => groupGone(pgid, goneWithinMs)));
      for (const pgid of recorded) removeRecord(dir, pgid);
      return orphans.length;
    },
  };
}

const readRecord = (dir: string, pgid: number): string =>
  readFileSync(join(dir, String(pgid)), "utf8").trim();

function removeRecord(dir: string, pgid: number): boolean {
  const path = join(dir, String(pgid));
  const there = existsSync(path);
  rmSync(path, { force: true });
  return there;
}

/**
 * When a process started, in the machine's own terms (Linux: ticks since boot, field 22 of /proc/PID/stat; macOS: ps);
 * null when there is none. With the process id it names a process for good.
 */
export function startTimeOf(pid: number): string | null {
  if (process.platform === "linux") return statOf(pid)?.start ?? null;
  const run = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
  });
  return run.stdout?.trim() || null;
}

/** Sends a signal to every process of a group; false when there is none. */
export function signalGroup(pgid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(-pgid, signal);
    return true;
  } catch {
    return false;
  }
}

/** Waits until no process of the group runs; false when some still does after `withinMs`. */
export async function groupGone(pgid: number, withinMs: number): Promise<boolean> {
  const endMs = performance.now() + withinMs;
  while (signalGroup(pgid, 0) && hasLiving(pgid)) {
    if (performance.now() > endMs) return false;
    await wait(pollMs);
  }
  return true;
}

/** Whether a group has a process that is more than a zombie, which may wait long for its parent or for init. */
function hasLiving(pgid: number): boolean {
  if (process.platform !== "linux") return true;
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.some((pid) => statOf(Number(pid))?.group === pgid);
}

/** A process that is no zombie; the fields follow the command's name, which may hold spaces and brackets (proc(5)). */
function statOf(pid: number): { group: number; start: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state, group, start] = [fields[0], fields[2], fields[19]];
    return start === undefined || state === "Z" || state === "X" ? null : { group: Number(group), start };
  } catch {
    return null;
  }
}
