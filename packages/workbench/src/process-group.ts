import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  /** Starts the guard of this process, which does the same at once when this process is gone, by whatever end. */
  guard(): ProcessGuard;
  readonly dir: string;
  /** The first part of the mark of this owner's runs, see {@link openProcessTree}. */
  readonly owner: string;
};

export type ProcessGuard = {
  /** Nothing is left to guard. Resolves when its process is gone. */
  end(): Promise<void>;
};

const goneWithinMs = 2_000;
const pollMs = 5;

/** Prints when a process started (see {@link startTimeOf}); on Linux with builtins of the shell alone. */
const startOf =
  process.platform === "linux"
    ? `field20() { shift 19; echo "$1"; }; startOf() { read -r stat <"/proc/$1/stat" && field20 \${stat##*) }; }`
    : 'startOf() { LC_ALL=C TZ=UTC ps -o lstart= -p "$1"; }';
/** $0 is the directory. */
const script = `${startOf}; startOf $$ >"$0/$$" || { rm -f "$0/$$"; exit 71; }; exec "$@"`;

/**
 * Nobody but the guarded process holds the other end of its standard input. $1 is the directory, $2 the owner. What is
 * killed may have forked meanwhile, so it looks again.
 */
const guardScript = `read -r _
cd "$1" 2>/dev/null || exit 0
${startOf}
for pgid in [0-9]*; do
  [ -e "$pgid" ] && [ "$(startOf "$pgid" 2>/dev/null)" = "$(cat "$pgid")" ] && kill -KILL "-$pgid"
done
for round in 1 2 3 4 5; do
  found=$(grep -ls "$2:" /proc/[0-9]*/environ)
  [ -n "$found" ] || exit 0
  for file in $found; do pid=\${file#/proc/}; kill -KILL "\${pid%/environ}"; done
done`;
const guardName = "questbus-agent-guard";
/** Names the guard of an owner that is gone, so that its successor's processes are safe from it. */
const guardFile = "guard";

/** Opens the records in `dir`, one owner's own; call `reap` before the first command of a new process. */
export function openProcessGroups(dir: string): ProcessGroups {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const owner = createHash("sha256").update(resolve(dir)).digest("hex").slice(0, 24);
  return {
    dir,
    owner,
    wrap: (argv) => ["/bin/sh", "-c", script, dir, ...argv],
    remove: (pgid) => removeRecord(dir, pgid),
    guard: () => startGuard(dir, owner),
    reap: async () => {
      endGuardOf(dir);
      const recorded = recordedIn(dir);
      const orphans = recorded.filter((pgid) => startTimeOf(pgid) === readRecord(dir, pgid));
      for (const pgid of orphans) signalOne(-pgid, "SIGKILL");
      await Promise.all(orphans.map((pgid) => groupGone(pgid, goneWithinMs)));
      for (const pgid of recorded) removeRecord(dir, pgid);
      return orphans.length + killMarked(owner);
    },
  };
}

const guardText = (pid: number): string => `${pid} ${startTimeOf(pid)}`;

function startGuard(dir: string, owner: string): ProcessGuard {
  const { PATH = "", QUESTBUS_RUN } = process.env;
  const guard = spawn("/bin/sh", ["-c", guardScript, guardName, dir, owner], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
    env: { PATH, ...(QUESTBUS_RUN ? { QUESTBUS_RUN } : {}) },
  });
  guard.on("error", () => {});
  guard.stdin.on("error", () => {});
  const path = join(dir, guardFile);
  if (guard.pid !== undefined) writeFileSync(path, guardText(guard.pid), { mode: 0o600 });
  return {
    async end() {
      guard.kill("SIGKILL");
      await gone(guard);
      rmSync(path, { force: true });
    },
  };
}

async function gone(child: ChildProcess): Promise<void> {
  const isOver = child.pid === undefined || child.exitCode !== null || child.signalCode !== null;
  if (!isOver) await once(child, "exit");
}

function endGuardOf(dir: string): void {
  const path = join(dir, guardFile);
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const pid = Number.parseInt(text, 10);
  if (pid > 1 && text === guardText(pid)) signalOne(pid, "SIGKILL");
  rmSync(path, { force: true });
}

/**
 * Waits until none of the groups that are recorded now by these owners, each in its folder below `dir`, is recorded any
 * more: each with all of its tree. False when that took longer than `withinMs`.
 */
export async function recordedGroupsEnd(
  dir: string,
  owners: readonly string[],
  withinMs: number,
): Promise<boolean> {
  const there = owners.filter((owner) => existsSync(join(dir, owner)));
  const records = there.flatMap((owner) =>
    recordedIn(join(dir, owner)).map((pgid) => join(dir, owner, `${pgid}`)),
  );
  const endMs = performance.now() + withinMs;
  while (records.some((path) => existsSync(path))) {
    if (performance.now() > endMs) return false;
    await wait(pollMs);
  }
  return true;
}

const recordedIn = (dir: string): number[] =>
  readdirSync(dir)
    .map(Number)
    .filter((pgid) => Number.isInteger(pgid) && pgid > 1);

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
