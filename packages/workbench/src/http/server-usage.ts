import { readdirSync } from "node:fs";
import { isLiving, readProc, statOf } from "../proc.ts";

/** What the processes of a server's group have used so far. Linux; elsewhere null: not measured. */
export type ServerUsage = {
  /** Processor time, with that of children that were waited for. */
  cpuMs: number;
  /** Peak resident set of the largest process that runs now. */
  maxRssBytes: number;
};

export function usageOf(group: number): ServerUsage | null {
  if (process.platform !== "linux") return null;
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const members = pids.flatMap((name) => {
    const pid = Number(name);
    const stat = statOf(pid);
    if (!isLiving(stat) || stat.group !== group) return [];
    const peakKib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, "status"))?.[1] ?? 0);
    return [{ cpuMs: Math.max(stat.cpuMs, threadsMs(pid)), maxRssBytes: peakKib * 1_024 }];
  });
  if (members.length === 0) return null;
  return {
    cpuMs: members.reduce((sum, each) => sum + each.cpuMs, 0),
    maxRssBytes: members.reduce((most, each) => Math.max(most, each.maxRssBytes), 0),
  };
}

/** Processor time of the threads that run now, which the scheduler counts in nanoseconds; 0 where it does not say. */
function threadsMs(pid: number): number {
  return tasksOf(pid)
    .map((task) => Number(readProc(pid, `task/${task}/schedstat`).split(" ")[0] ?? 0))
    .reduce((sum, ns) => sum + (Number.isFinite(ns) ? ns : 0) / 1e6, 0);
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}
