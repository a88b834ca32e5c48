import { readdirSync, readFileSync } from "node:fs";

const ticksPerS = 100;

type Proc = { parent: number; cpuS: number };

function procOf(pid: string): Proc | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { parent: Number(fields[1]), cpuS: (Number(fields[11]) + Number(fields[12])) / ticksPerS };
  } catch {
    return null;
  }
}

/** Processor time used so far by these processes and all below them, in seconds. */
export function cpuSeconds(roots: readonly number[]): number {
  const all = new Map<number, Proc>();
  for (const name of readdirSync("/proc")) {
    const found = /^\d+$/.test(name) ? procOf(name) : null;
    if (found) all.set(Number(name), found);
  }
  const wanted = new Set(roots);
  for (let size = 0; size !== wanted.size; ) {
    size = wanted.size;
    for (const [pid, { parent }] of all) if (wanted.has(parent)) wanted.add(pid);
  }
  let sum = 0;
  for (const pid of wanted) sum += all.get(pid)?.cpuS ?? 0;
  return sum;
}

/** Proportional set size of one process, in bytes: memory it shares is counted in parts. */
export function pssBytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Share of the machine's processor time that was busy between two readings of `/proc/stat`. */
export function machineTicks(): { busy: number; all: number } {
  const ticks = (readFileSync("/proc/stat", "utf8").split("\n")[0] ?? "")
    .trim()
    .split(/\s+/)
    .slice(1, 9)
    .map(Number);
  const sum = (at: readonly number[]): number => at.reduce((total, each) => total + (ticks[each] ?? 0), 0);
  return { busy: sum([0, 1, 2, 5, 6, 7]), all: sum([0, 1, 2, 3, 4, 5, 6, 7]) };
}
