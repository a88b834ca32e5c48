import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import type { ProfiledRun } from "@questbus/protocol";

/** Counters of the whole machine that only go up; null where this system does not have them. */
type MachineMarks = {
  cpuStallUs: number | null;
  memoryStallUs: number | null;
  diskStallUs: number | null;
  /** Of each disk, the time in which it had something to do. */
  diskBusyMs: ReadonlyMap<string, number>;
  oomKills: number | null;
};

/** Reads Linux' pressure stall information, disk statistics and count of out-of-memory kills. */
export async function readMachineMarks(): Promise<MachineMarks> {
  const [cpu, memory, disk, disks, vm] = await Promise.all(
    ["pressure/cpu", "pressure/memory", "pressure/io", "diskstats", "vmstat"].map((name) =>
      readFile(`/proc/${name}`, "utf8").catch(() => ""),
    ),
  );
  return {
    cpuStallUs: numberIn(cpu, /^some .*total=(\d+)$/m),
    memoryStallUs: numberIn(memory, /^some .*total=(\d+)$/m),
    diskStallUs: numberIn(disk, /^some .*total=(\d+)$/m),
    diskBusyMs: new Map((disks ?? "").split("\n").flatMap(busyOf)),
    oomKills: numberIn(vm, /^oom_kill (\d+)$/m),
  };
}

export const unmeasured: ProfiledRun["machine"] = {
  cpuStall: null,
  memoryStall: null,
  diskStall: null,
  diskBusy: null,
  memoryBytes: null,
  oomKills: null,
};

function numberIn(text: string | undefined, form: RegExp): number | null {
  const found = form.exec(text ?? "")?.[1];
  return found === undefined ? null : Number(found);
}

/** Name and field 13, "time spent doing I/Os" (Documentation/admin-guide/iostats.rst). */
function busyOf(line: string): [string, number][] {
  const fields = line.trim().split(/\s+/);
  const [name, busy] = [fields[2], Number(fields[12])];
  return name !== undefined && Number.isFinite(busy) ? [[name, busy]] : [];
}

/** What happened between two looks, as shares of the time between them. */
export function sharesBetween(
  before: MachineMarks,
  after: MachineMarks,
  wallMs: number,
): ProfiledRun["machine"] {
  const share = (from: number | null | undefined, to: number | null, wholePerMs: number): number | null =>
    from === null || from === undefined || to === null || !(wallMs > 0)
      ? null
      : Math.min(1, Math.max(0, (to - from) / (wallMs * wholePerMs)));
  const busy = [...after.diskBusyMs].flatMap(([name, ms]) => share(before.diskBusyMs.get(name), ms, 1) ?? []);
  return {
    cpuStall: share(before.cpuStallUs, after.cpuStallUs, 1_000),
    memoryStall: share(before.memoryStallUs, after.memoryStallUs, 1_000),
    diskStall: share(before.diskStallUs, after.diskStallUs, 1_000),
    diskBusy: busy.length > 0 ? Math.max(...busy) : null,
    memoryBytes: Math.min(totalmem(), process.constrainedMemory() || totalmem()),
    oomKills:
      before.oomKills === null || after.oomKills === null
        ? null
        : Math.max(0, after.oomKills - before.oomKills),
  };
}
