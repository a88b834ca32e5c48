import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Place } from "./place.ts";

export type Finished = { exit: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };

/** A command line that runs. */
export type Running = {
  readonly pid: number;
  /** What it printed up to now. */
  printed(): { stdout: string; stderr: string };
  signal(name: NodeJS.Signals): void;
  readonly ended: Promise<Finished>;
};

/** As users start it: with the cache of compiled code, without which a start takes three times as long. */
export const program = fileURLToPath(new URL("../../cli/bin/questbus.cjs", import.meta.url));

type Options = { env?: NodeJS.ProcessEnv };

/** Starts `questbus ARGS` in the place. */
export const startQuestbus = (place: Place, args: readonly string[], options: Options = {}): Running =>
  startProgram(place, process.execPath, [program, ...args], options);

/** Starts any program in the place. */
export function startProgram(
  place: Place,
  file: string,
  args: readonly string[],
  options: Options = {},
): Running {
  const env = { ...place.env, ...options.env };
  const child = spawn(file, args, {
    cwd: place.dir,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  return {
    pid: child.pid as number,
    printed: () => ({ ...text }),
    signal: (name) => void child.kill(name),
    ended: endOf(child, text),
  };
}

function endOf(child: ChildProcess, text: { stdout: string; stderr: string }): Promise<Finished> {
  return new Promise((done, fail) => {
    child.once("error", fail);
    // Not "close": a process that was left behind may hold the pipes, and must not hold the test.
    child.once("exit", (exit, signal) => setImmediate(() => done({ exit, signal, ...text })));
  });
}

/** Runs `questbus ARGS` in the place, to its end. */
export const questbus = (place: Place, args: readonly string[], options: Options = {}): Promise<Finished> =>
  startQuestbus(place, args, options).ended;
