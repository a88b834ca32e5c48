import { spawn } from "node:child_process";
import { join, resolve } from "node:path";

export const root: string = resolve(import.meta.dirname, "../..");
export const cli: string = join(root, "packages/cli/bin/questbus.cjs");

export type Ran = { exit: number | null; stdout: string; stderr: string; seconds: number };
export type RunOptions = { cwd?: string; env?: NodeJS.ProcessEnv };

/** Runs a program to its end and takes the time. */
export function run(
  program: string,
  args: readonly string[],
  { cwd = root, env = process.env }: RunOptions = {},
): Promise<Ran> {
  const sinceMs = performance.now();
  return new Promise((done, failed) => {
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const text = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (text.stdout += chunk));
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => (text.stderr += chunk));
    child.once("error", failed);
    child.once("close", (exit) => done({ exit, ...text, seconds: (performance.now() - sinceMs) / 1000 }));
  });
}

/** Like {@link run}, and throws with the end of its output when it fails. */
export async function must(program: string, args: readonly string[], options?: RunOptions): Promise<Ran> {
  const ran = await run(program, args, options);
  if (ran.exit === 0) return ran;
  throw new Error(
    `${program} ${args.join(" ")}: exit ${ran.exit}\n${(ran.stderr + ran.stdout).slice(-2_000)}`,
  );
}

export const questbus = (args: readonly string[], cwd: string, env?: NodeJS.ProcessEnv): Promise<Ran> =>
  run(process.execPath, [cli, ...args], { cwd, ...(env ? { env } : {}) });

const identity = ["-c", "user.name=Prove", "-c", "user.email=prove@localhost", "-c", "commit.gpgsign=false"];
export const git = async (cwd: string, ...args: string[]): Promise<string> =>
  (await must("git", [...identity, ...args], { cwd })).stdout.trim();
