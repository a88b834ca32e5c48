import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

/**
 * The process groups that one owner runs now, on disk, so that after a kill -9 of the owner its successor can end what
 * was left running.
 */
export type ProcessGroups = {
  /** Records a running group; synchronous, so that it follows the spawn with nothing in between. */
  add(pgid: number): void;
  /** Forgets a group that is gone. */
  remove(pgid: number): void;
  /**
   * Kills (SIGKILL) each recorded group whose leader is the process that was recorded, by its start time, and waits
   * until it is gone; all records are removed. Answers with the number of groups killed.
   */
  reap(): Promise<number>;
};

const goneWithinMs = 2_000;
const pollMs = 5;

/** Opens the records in `dir`, one owner's own; call `reap` before the first command of a new process. */
export function openProcessGroups(dir: string): ProcessGroups {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const pathOf = (pgid: number): string => join(dir, String(pgid));
  const remove = (pgid: number): void => rmSync(pathOf(pgid), { force: true });
  return {
    add: (pgid) => writeFileSync(pathOf(pgid), startTimeOf(pgid) ?? "", { mode: 0o600 }),
    remove,
    reap: async () => {
      const recorded = readdirSync(dir)
        .map(Number)
        .filter((pgid) => Number.isInteger(pgid) && pgid > 1);
      const orphans = recorded.filter((pgid) => isSame(pgid, readFileSync(pathOf(pgid), "utf8")));
      for (const pgid of orphans) signalGroup(pgid, "SIGKILL");
      await Promise.all(orphans.map((pgid) => groupGone(pgid, goneWithinMs)));
      for (const pgid of recorded) remove(pgid);
      return orphans.length;
    },
  };
}

/**
 * When a process started, in the machine's own terms (Linux: ticks since boot, field 22 of /proc/PID/stat; macOS: ps);
 * null when there is none. With the process id it names a process for good.
 */
export function startTimeOf(pid: number): string | null {
  if (process.platform === "linux") return statOf(pid)?.start ?? null;
  const run = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" });
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
  while (signalGroup(pgid, 0)) {
    if (performance.now() > endMs) return false;
    await wait(pollMs);
  }
  return true;
}

const isSame = (pid: number, start: string): boolean => start !== "" && startTimeOf(pid) === start;

/** The fields after the command's name, which may itself hold spaces and brackets (proc(5)). */
function statOf(pid: number): { start: string } | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state, start] = [fields[0], fields[19]];
    return start === undefined || state === "Z" || state === "X" ? null : { start };
  } catch {
    return null;
  }
}
