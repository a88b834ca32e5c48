import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { isLiving, statOf } from "./proc.ts";
import { killMarked, signalOne } from "./process-tree.ts";

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
   * until it is gone; then what left these groups and carries the owner's mark. All records are removed. Answers with
   * the number of groups and of single processes killed.
   */
  reap(): Promise<number>;
  readonly dir: string;
  /** The first part of the mark of this owner's runs, see {@link openProcessTree}. */
  readonly owner: string;
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
  const owner = createHash("sha256").update(resolve(dir)).digest("hex").slice(0, 24);
  return {
    dir,
    owner,
    wrap: (argv) => ["/bin/sh", "-c", script, dir, ...argv],
    remove: (pgid) => removeRecord(dir, pgid),
    reap: async () => {
      const recorded = readdirSync(dir)
        .map(Number)
        .filter((pgid) => Number.isInteger(pgid) && pgid > 1);
      const orphans = recorded.filter((pgid) => startTimeOf(pgid) === readRecord(dir, pgid));
      for (const pgid of orphans) signalOne(-pgid, "SIGKILL");
      await Promise.all(orphans.map((pgid) => groupGone(pgid, goneWithinMs)));
      for (const pgid of recorded) removeRecord(dir, pgid);
      return orphans.length + killMarked(owner);
    },
  };
}

/**
 * Waits until none of the groups that are recorded now below `dir`, the records of several owners, is recorded any more:
 * each with all of its tree. False when that took longer than `withinMs`.
 */
export async function recordedGroupsEnd(dir: string, withinMs: number): Promise<boolean> {
  const owners = existsSync(dir) ? readdirSync(dir) : [];
  const records = owners.flatMap((owner) =>
    readdirSync(join(dir, owner)).map((pgid) => join(dir, owner, pgid)),
  );
  const endMs = performance.now() + withinMs;
  while (records.some((path) => existsSync(path))) {
    if (performance.now() > endMs) return false;
    await wait(pollMs);
  }
  return true;
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
  if (process.platform === "linux") {
    const stat = statOf(pid);
    return isLiving(stat) ? String(stat.start) : null;
  }
  const run = spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
  });
  return run.stdout?.trim() || null;
}

/** Waits until no process of the group runs; false when some still does after `withinMs`. */
async function groupGone(pgid: number, withinMs: number): Promise<boolean> {
  const endMs = performance.now() + withinMs;
  while (signalOne(-pgid, 0) && hasLiving(pgid)) {
    if (performance.now() > endMs) return false;
    await wait(pollMs);
  }
  return true;
}

function hasLiving(pgid: number): boolean {
  if (process.platform !== "linux") return true;
  const all = readdirSync("/proc").map(Number).filter(Number.isInteger);
  return all.some((pid) => {
    const stat = statOf(pid);
    return isLiving(stat) && stat.group === pgid;
  });
}
