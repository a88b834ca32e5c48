import { type StdioOptions, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import type { Readable } from "node:stream";

/**
 * Measures the processor time (user and system) of a command and of every process below it that was waited for, as
 * the kernel counts it. What nobody waits for is added by the caller (see {@link ProcessTree}); a child whose parent
 * ignores SIGCHLD is missed.
 *
 * bash says it in milliseconds; without bash any shell says it in clock ticks, mostly 10 ms. GNU time gives 10 ms too,
 * and is not everywhere: rejected.
 */
export type CpuMeter = {
  /**
   * The program and arguments that run `argv` under the meter, which writes to descriptor 3: a pipe, which `argv` is not
   * given, so there is no file that it could write to or that a kill leaves. A command that a signal ends has exit
   * code 128 + signal.
   */
  wrap(argv: readonly string[]): [string, ...string[]];
  /** Called with the other end of that pipe; `onBegun` when `argv` is about to begin. */
  listen(pipe: Readable, onBegun?: () => void): void;
  /** Called when the pipe is at its end: milliseconds, or null when it could not be measured. */
  cpuMs(): number | null;
};

type Kind = "bash" | "sh";

const bashPath = ["/bin/bash", "/usr/bin/bash"].find(existsSync);
const scripts: Record<Kind, string> = {
  bash: 'echo >&3; TIMEFORMAT="%3U %3S"; { time "$@" 2>&4 3>&- 4>&-; } 4>&2 2>&3',
  sh: 'echo >&3; "$@" 3>&-; code=$?; times >&3; exit $code',
};
let detected: Kind | null = null;

/** A meter for one run. */
export function openCpuMeter(kind: Kind = detectKind()): CpuMeter {
  const shell = kind === "bash" ? (bashPath as string) : "/bin/sh";
  const chunks: Buffer[] = [];
  return {
    wrap: (argv) => [shell, "-c", scripts[kind], "meter", ...argv],
    listen: (pipe, onBegun = () => {}) => {
      pipe.once("data", onBegun);
      pipe.on("data", (chunk: Buffer) => chunks.push(chunk));
    },
    cpuMs: () => {
      const text = Buffer.concat(chunks).toString("utf8");
      return kind === "bash" ? readBash(text) : readTimes(text);
    },
  };
}

function detectKind(): Kind {
  if (detected === null) {
    const stdio: StdioOptions = ["ignore", "ignore", "ignore", "pipe"];
    const run = bashPath ? spawnSync(bashPath, ["-c", scripts.bash, "meter", "true"], { stdio }) : null;
    const text = run?.output[3]?.toString() ?? "";
    detected = readBash(text) === null ? "sh" : "bash";
  }
  return detected;
}

/** `0.012 0.003`, on the last line: user and system, in seconds. The point is the locale's. */
function readBash(text: string): number | null {
  const found = /(?:^|\n)(\d+)[.,](\d{3}) (\d+)[.,](\d{3})\s*$/.exec(text);
  if (!found) return null;
  const [userS, userMs, systemS, systemMs] = found.slice(1).map(Number) as [number, number, number, number];
  return (userS + systemS) * 1000 + userMs + systemMs;
}

/** POSIX `times`, after an empty line: the shell's own, then its children's, each `0m0.010s 0m0.020s`. */
function readTimes(text: string): number | null {
  const line = text.split("\n")[2] ?? "";
  const found = [...line.matchAll(/(\d+)m(\d+)[.,](\d+)s/g)];
  if (found.length !== 2) return null;
  const seconds = found.map(([, minutes, whole, part]) => Number(minutes) * 60 + Number(`${whole}.${part}`));
  return ((seconds[0] as number) + (seconds[1] as number)) * 1000;
}
