import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Measures the processor time (user and system) of a command and of every process below it that was waited for, as
 * the kernel counts it. What nobody waits for is added by the caller (see {@link ProcessTree}); a child whose parent
 * ignores SIGCHLD is missed.
 *
 * bash says it in milliseconds; without bash any shell says it in clock ticks, mostly 10 ms. GNU time gives 10 ms too,
 * and is not everywhere: rejected.
 */
export type CpuMeter = {
  /** The program and arguments that run `argv` under the meter. A command that a signal ends has exit code 128 + signal. */
  wrap(argv: readonly string[]): [string, ...string[]];
  /** Called once it is gone: milliseconds, or null when it could not be measured. */
  stop(): Promise<number | null>;
};

type Kind = "bash" | "sh";

const bashPath = ["/bin/bash", "/usr/bin/bash"].find(existsSync);
/** $0 is the file that the result goes to. */
const scripts: Record<Kind, string> = {
  bash: 'TIMEFORMAT="%3U %3S"; { time "$@" 2>&3 3>&-; } 3>&2 2>"$0"',
  sh: '"$@"; code=$?; times >"$0"; exit $code',
};
let detected: Kind | null = null;

/** A meter for one run. */
export function openCpuMeter(kind: Kind = detectKind()): CpuMeter {
  const file = join(tmpdir(), `questbus-cpu-${randomUUID()}`);
  const shell = kind === "bash" ? (bashPath as string) : "/bin/sh";
  return {
    wrap: (argv) => [shell, "-c", scripts[kind], file, ...argv],
    stop: async () => {
      const text = await readFile(file, "utf8").catch(() => "");
      await rm(file, { force: true });
      return kind === "bash" ? readBash(text) : readTimes(text);
    },
  };
}

function detectKind(): Kind {
  if (detected === null) {
    const script = scripts.bash;
    const run = bashPath && spawnSync(bashPath, ["-c", script, "/dev/stderr", "true"], { encoding: "utf8" });
    detected = run && run.status === 0 && readBash(run.stderr) !== null ? "bash" : "sh";
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

/** POSIX `times`: the shell's own on line 1, its children's on line 2, each `0m0.010s 0m0.020s`. */
function readTimes(text: string): number | null {
  const line = text.split("\n")[1] ?? "";
  const found = [...line.matchAll(/(\d+)m(\d+)[.,](\d+)s/g)];
  if (found.length !== 2) return null;
  const seconds = found.map(([, minutes, whole, part]) => Number(minutes) * 60 + Number(`${whole}.${part}`));
  return ((seconds[0] as number) + (seconds[1] as number)) * 1000;
}
