import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Measures the peak memory (resident set, bytes) of the largest single process that a command starts.
 *
 * `time`, where it is installed, asks the kernel (wait4), and misses nothing. It also forks once more, which matters:
 * a process spawned by node itself begins with node's own peak on its account, because node's spawn shares its memory
 * until exec. Without `time`, on Linux, VmHWM of the command's processes is read every 10 ms.
 */
export type RssMeter = {
  /** What its program writes to; null: nothing. */
  readonly file: string | null;
  /** The program and arguments that run `argv` under the meter. */
  wrap(argv: readonly [string, ...string[]]): [string, ...string[]];
  /** Called once the process runs. */
  start(pid: number): void;
  /** Called once it is gone: the peak in bytes, or null when it could not be measured. */
  stop(): Promise<number | null>;
};

type Kind = "gnu-time" | "bsd-time" | "sampling";

const timePath = "/usr/bin/time";
const sampleEveryMs = 10;
const pageBytes = 4_096;
let detected: Kind | null = null;

/** A meter for one run. */
export function openRssMeter(kind: Kind = detectKind()): RssMeter {
  return kind === "sampling" ? samplingMeter() : timeMeter(kind);
}

function detectKind(): Kind {
  detected ??= !existsSync(timePath)
    ? "sampling"
    : process.platform === "darwin"
      ? "bsd-time"
      : gnuOrSampling();
  return detected;
}

function gnuOrSampling(): Kind {
  const run = spawnSync(timePath, ["-f", "%M", "true"], { encoding: "utf8" });
  return run.status === 0 && /^\d+\n$/.test(run.stderr) ? "gnu-time" : "sampling";
}

function timeMeter(kind: "gnu-time" | "bsd-time"): RssMeter {
  const file = join(tmpdir(), `questbus-rss-${randomUUID()}`);
  const flags = kind === "gnu-time" ? ["-f", "%M"] : ["-l"];
  return {
    file,
    wrap: (argv) => [timePath, ...flags, "-o", file, ...argv],
    start: () => {},
    stop: async () => {
      const text = await readFile(file, "utf8").catch(() => "");
      await rm(file, { force: true });
      return kind === "gnu-time" ? readGnu(text) : readBsd(text);
    },
  };
}

/** GNU time writes KiB on its last line, after a line on how the command ended. */
const readGnu = (text: string): number | null => atLeastPage(/(\d+)\s*$/.exec(text)?.[1], 1024);
/** BSD time on macOS writes bytes. */
const readBsd = (text: string): number | null =>
  atLeastPage(/(\d+)\s+maximum resident set size/.exec(text)?.[1], 1);

/** Linux counts pages in batches per processor, and can give 0 for a process as small as `true`. */
const atLeastPage = (count: string | undefined, unitBytes: number): number | null =>
  count === undefined ? null : Math.max(pageBytes, Number(count) * unitBytes);

function samplingMeter(): RssMeter {
  let peak = 0;
  let timer: NodeJS.Timeout | null = null;
  return {
    file: null,
    wrap: (argv) => [...argv],
    start: (pid) => {
      const sample = (): void => {
        peak = Math.max(peak, peakOfTree(pid));
      };
      sample();
      timer = setInterval(sample, sampleEveryMs);
    },
    stop: async () => {
      if (timer) clearInterval(timer);
      return peak > 0 ? peak : null;
    },
  };
}

function peakOfTree(pid: number): number {
  const kib = Number(/^VmHWM:\s+(\d+) kB$/m.exec(readProc(pid, "status"))?.[1] ?? 0);
  const children = readProc(pid, `task/${pid}/children`).split(" ").filter(Boolean).map(Number);
  return Math.max(kib * 1024, ...children.map(peakOfTree));
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}
