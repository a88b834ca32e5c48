import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { availableParallelism, freemem, loadavg } from "node:os";
import { promisify } from "node:util";
import { freeBytes } from "./disk.ts";

export type Machine = {
  /** Load average of the last minute, per processor. */
  loadPerCpu: number;
  /** Free in the file system of the directory that was asked about. */
  diskFreeBytes: number;
  /** What programs can still take without swapping. */
  memoryFreeBytes: number;
  cpus: number;
};

/** Below these, and above this load, the figures of a run would say more about the machine than about the program. */
const diskFreeBytesMin = 268_435_456;
const memoryFreeBytesMin = 134_217_728;
const loadPerCpuMax = 8;

const gib = (bytes: number): string => `${(bytes / 1_073_741_824).toFixed(1)} GiB`;

/** Why nothing can be measured on this machine now; empty when it is fit. */
export function unfitReasons({ diskFreeBytes, memoryFreeBytes, loadPerCpu }: Machine): string[] {
  return [
    ...(diskFreeBytes < diskFreeBytesMin ? [`only ${gib(diskFreeBytes)} of disk is free`] : []),
    ...(memoryFreeBytes < memoryFreeBytesMin ? [`only ${gib(memoryFreeBytes)} of memory is free`] : []),
    ...(loadPerCpu > loadPerCpuMax ? [`the load is ${loadPerCpu.toFixed(1)} for each core`] : []),
  ];
}

/** `load 0.31 a core, 22.7 GiB memory and 79.3 GiB disk free` */
export const describeMachine = ({ loadPerCpu, memoryFreeBytes, diskFreeBytes }: Machine): string =>
  `load ${loadPerCpu.toFixed(2)} a core, ${gib(memoryFreeBytes)} memory and ${gib(diskFreeBytes)} disk free`;

/** How the machine stands now; `dir` names the file system to look at. */
export async function readMachine(dir: string): Promise<Machine> {
  const cpus = availableParallelism();
  const [load = 0] = loadavg();
  return {
    loadPerCpu: load / cpus,
    diskFreeBytes: await freeBytes(dir),
    memoryFreeBytes: await (process.platform === "darwin" ? availableOnMac() : availableOnLinux()),
    cpus,
  };
}

async function availableOnLinux(): Promise<number> {
  const text = await readFile("/proc/meminfo", "utf8").catch(() => "");
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  // the second is smaller inside a container with a memory limit
  return Math.min(kib ? Number(kib) * 1024 : freemem(), process.availableMemory());
}

/** Free, inactive, speculative and purgeable pages: what the kernel can hand out. */
async function availableOnMac(): Promise<number> {
  const { stdout } = await promisify(execFile)("vm_stat").catch(() => ({ stdout: "" }));
  const page = Number(/page size of (\d+) bytes/.exec(stdout)?.[1] ?? 0);
  const pages = ["free", "inactive", "speculative", "purgeable"].map((kind) =>
    Number(new RegExp(`^Pages ${kind}:\\s+(\\d+)\\.`, "m").exec(stdout)?.[1] ?? 0),
  );
  return pages.reduce((sum, each) => sum + each, 0) * page || freemem();
}
