import { randomUUID } from "node:crypto";
import { readdirSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { isInit, isLiving, readProc, statOf } from "./proc.ts";

/**
 * All processes of one run: those of its process group, and those that left the group (setsid) and carry the run's mark
 * in their environment, as every process does that was not started with another one. Linux shows who they are in /proc;
 * elsewhere only the group is known.
 *
 * A process that leaves the group and empties its environment is not found. In a sandbox it ends with all others of the
 * run: the first process of their namespace is in the group, and is itself no process of the run.
 */
export type ProcessTree = {
  /** The mark, for the environment of the command. */
  readonly env: Readonly<Record<string, string>>;
  /** Called right after the spawn, with the leader of the group. */
  begin(pid: number): void;
  /** Whether some process of it runs now; a zombie does not. Costs a look at /proc: some milliseconds. */
  alive(): boolean;
  /** Whether what keeps it does: of a sandboxed run, its first process besides. */
  kept(): boolean;
  signal(signal: NodeJS.Signals): void;
  /** Waits until no process runs; false when some still does after `withinMs`, or when `until` says to stop. */
  gone(withinMs: number, until?: () => boolean): Promise<boolean>;
  /** Waits until nothing is kept. */
  released(withinMs: number): Promise<boolean>;
  /** Command lines of those that run now. */
  commands(): string[];
  /** Processor time of those that were seen alive, up to when they were seen last. */
  seenCpuMs(): number;
};

const markName = "QUESTBUS_RUN";
const pollMs = 5;

/** Kernel threads are of group 0. */
const noGroup = -1;

type Member = { pid: number; start: number; cpuMs: number };

/** `owner`: the first part of the mark, by which a successor finds what a killed owner left. */
export function openProcessTree(owner = "", { contained = false } = {}): ProcessTree {
  const mark = `${owner}:${randomUUID()}`;
  const outer = process.env[markName];
  const seen = new Map<string, number>();
  let leader = noGroup;
  let since = 0;
  /** The namespace of a sandboxed run ends with its first process, and none of it is looked for again. */
  let empty = false;
  const everyone = (): Member[] => {
    if (empty) return [];
    const found = membersOf(leader, mark, since);
    empty = contained && leader !== noGroup && found.length === 0;
    return found;
  };
  const members = (): Member[] => {
    const found = everyone().filter(({ pid }) => !contained || !isInit(pid));
    for (const { pid, start, cpuMs } of found) seen.set(`${pid}:${start}`, cpuMs);
    return found;
  };
  const alive = (): boolean => (process.platform === "linux" ? members().length > 0 : signalOne(-leader, 0));
  const kept = (): boolean => (contained ? everyone().length > 0 : alive());
  const until = async (over: () => boolean, withinMs: number): Promise<boolean> => {
    const endMs = performance.now() + withinMs;
    while (!over()) {
      if (performance.now() >= endMs) return false;
      await wait(pollMs);
    }
    return true;
  };
  return {
    env: { [markName]: outer ? `${outer} ${mark}` : mark },
    begin: (pid) => {
      leader = pid;
      since = statOf(pid)?.start ?? 0;
    },
    alive,
    kept,
    signal: (signal) => {
      signalOne(-leader, signal);
      for (const { pid } of members()) signalOne(pid, signal);
    },
    gone: async (withinMs, enough = () => false) => {
      let left = false;
      const over = (): boolean => {
        left = alive();
        return !left || enough();
      };
      return (await until(over, withinMs)) && !left;
    },
    released: (withinMs) => until(() => !kept(), withinMs),
    commands: () =>
      process.platform === "linux"
        ? members().map(({ pid }) => commandOf(pid))
        : [`a process of its group ${leader}`],
    seenCpuMs: () => [...seen.values()].reduce((sum, ms) => sum + ms, 0),
  };
}

/** Kills (SIGKILL) every process that carries a mark of `owner`; answers with their number. */
export function killMarked(owner: string): number {
  if (process.platform !== "linux") return 0;
  const found = membersOf(noGroup, `${owner}:`, 0).filter(({ pid }) => pid !== process.pid);
  for (const { pid } of found) signalOne(pid, "SIGKILL");
  return found.length;
}

/** Sends a signal to a process, or to a group as a negative number; false when there is none. */
export function signalOne(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

function membersOf(group: number, mark: string, since: number): Member[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc").flatMap((name) => {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? statOf(pid) : null;
    if (!isLiving(stat) || stat.start < since) return [];
    if (stat.group !== group && !readProc(pid, "environ").includes(mark)) return [];
    return [{ pid, start: stat.start, cpuMs: stat.cpuMs }];
  });
}

function commandOf(pid: number): string {
  const line = readProc(pid, "cmdline").replaceAll("\0", " ").trim();
  return line || readProc(pid, "comm").trim();
}
