import { readdirSync, readFileSync } from "node:fs";

/** What the processes of a server's group have used so far. Linux; elsewhere null: not measured. */
export type ServerUsage = {
  /** Processor time, with that of children that have ended; in steps of 10 ms. */
  cpuMs: number;
  /** Peak resident set of the largest process that runs now. */
  maxRssBytes: number;
};

/** USER_HZ, in which /proc counts processor time: the same on every Linux that Node runs on. */
const tickMs = 10;

export function usageOf(group: number): ServerUsage | null {
  if (process.platform !== "linux") return null;
  const members = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const [stat, status] = [readProc(pid, "stat"), readProc(pid, "status")];
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(fields[2]) !== group) return [];
      const ticks = fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0);
      const peakKib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
      return [{ cpuMs: ticks * tickMs, maxRssBytes: peakKib * 1_024 }];
    });
  if (members.length === 0) return null;
  return {
    cpuMs: members.reduce((sum, each) => sum + each.cpuMs, 0),
    maxRssBytes: members.reduce((most, each) => Math.max(most, each.maxRssBytes), 0),
  };
}

function readProc(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
