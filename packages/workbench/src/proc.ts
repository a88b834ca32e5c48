import { readFileSync } from "node:fs";

/** What Linux tells of a process in /proc. */

export type ProcessStat = {
  /** One letter; Z and X are processes that have ended. */
  state: string;
  group: number;
  /** Ticks since boot; with the process id it names a process for good. */
  start: number;
  /** User and system time, its own and that of the children it waited for. */
  cpuMs: number;
};

/** USER_HZ: what /proc counts processor time in, the same on every Linux that Node runs on. */
const tickMs = 10;

/** Null when there is none. The fields follow the command's name, which may hold spaces and brackets (proc(5)). */
export function statOf(pid: number): ProcessStat | null {
  const text = readProc(pid, "stat");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 20) return null;
  const number = (at: number): number => Number(fields[at]);
  const ticks = number(11) + number(12) + number(13) + number(14);
  return { state: fields[0] as string, group: number(2), start: number(19), cpuMs: ticks * tickMs };
}

/** Whether it is more than a zombie, which may wait long for its parent or for init. */
export const isLiving = (stat: ProcessStat | null): stat is ProcessStat =>
  stat !== null && stat.state !== "Z" && stat.state !== "X";

/** A file of /proc/PID as text; empty when there is none, or when it may not be read. */
export function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

/** The process id in each namespace that sees it, the outermost first. */
const idsOf = (pid: number): string[] =>
  /^NSpid:\t(.*)$/m.exec(readProc(pid, "status"))?.[1]?.split("\t") ?? [];

let ownDepth = 0;

/** Whether it is the first process of a namespace of process ids right below ours: when it ends, all others there do. */
export function isInit(pid: number): boolean {
  ownDepth ||= idsOf(process.pid).length;
  const ids = idsOf(pid);
  return ids.length === ownDepth + 1 && ids.at(-1) === "1";
}
