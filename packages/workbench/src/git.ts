import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { QuestbusError } from "@questbus/protocol";
import { blamesDisk, diskFull, looksFull } from "./disk.ts";
import { confirmLease, workLease } from "./lease.ts";
import { openProcessTree } from "./process-tree.ts";

/**
 * The git binary, run without a shell and without what a machine's set-up could add to it: no hooks, no signing,
 * no monitor, no prompt, no lazy fetch, no replaced objects, and none of the caller's GIT_* variables.
 * The user's own configuration is still read, because safe.directory and excludes live there.
 *
 * Under a lease it ends with it, as all processes do.
 */

const settings = [
  "core.hooksPath=/dev/null",
  "commit.gpgsign=false",
  "core.fsmonitor=false",
  "core.protectHFS=true",
  "core.quotePath=false",
  "gc.auto=0",
  "maintenance.auto=false",
  "apply.whitespace=nowarn",
  "apply.ignoreWhitespace=no",
  "i18n.commitEncoding=UTF-8",
  "advice.addEmbeddedRepo=false",
].flatMap((each) => ["-c", each]);

const fixedEnvironment = {
  GIT_OPTIONAL_LOCKS: "0",
  GIT_TERMINAL_PROMPT: "0",
  GIT_NO_LAZY_FETCH: "1",
  GIT_NO_REPLACE_OBJECTS: "1",
  LC_ALL: "C",
};

const keptVariables = new Set([
  "GIT_EXEC_PATH",
  "GIT_CONFIG_GLOBAL",
  "GIT_CONFIG_SYSTEM",
  "GIT_CONFIG_NOSYSTEM",
]);

export type GitOptions = {
  /** Written to git's stdin; nothing by default. */
  input?: string | Buffer | undefined;
  /** Added to the environment. */
  env?: Record<string, string> | undefined;
  /** Exit codes that are answers, not failures; 0 by default. */
  okCodes?: readonly number[] | undefined;
};

export type GitRun = { stdout: Buffer; stderr: string; code: number };

/** Git said no, and nobody expected it to. */
export class GitFailure extends Error {
  override readonly name = "GitFailure";
  readonly code: number;
  readonly stderr: string;

  constructor(args: readonly string[], run: GitRun) {
    super(`git ${args.join(" ")} failed (${run.code}): ${run.stderr.trim()}`);
    this.code = run.code;
    this.stderr = run.stderr;
  }
}

/**
 * Runs git in `cwd` and answers with all of its stdout.
 * @throws DISK_FULL when git could not write; PLATFORM_UNSUPPORTED when there is no git; {@link GitFailure} for an
 * exit code outside `okCodes`.
 */
export async function git(cwd: string, args: readonly string[], options: GitOptions = {}): Promise<GitRun> {
  const run = await execute(cwd, args, options);
  if ((options.okCodes ?? [0]).includes(run.code)) return run;
  const unwritten = /unable to (write|create)|write error|cannot (mkdir|create)|could not (write|create)/i;
  const full = blamesDisk(run.stderr) || (unwritten.test(run.stderr) && (await looksFull(cwd)));
  throw full ? diskFull(cwd) : new GitFailure(args, run);
}

/** Like {@link git}, and answers with stdout as text without its last newline. */
export async function gitText(
  cwd: string,
  args: readonly string[],
  options: GitOptions = {},
): Promise<string> {
  return (await git(cwd, args, options)).stdout.toString("utf8").replace(/\n$/, "");
}

/** Time between SIGTERM, at which git removes its lock files, and SIGKILL. */
const graceMs = 500;

async function execute(cwd: string, args: readonly string[], options: GitOptions): Promise<GitRun> {
  await confirmLease();
  const lease = workLease();
  const tree = openProcessTree(lease?.owner);
  const env = { ...inheritedEnvironment(), ...fixedEnvironment, ...options.env, ...tree.env };
  const child = spawn("git", [...settings, ...args], { cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  if (child.pid !== undefined) tree.begin(child.pid);
  let killer: NodeJS.Timeout | undefined;
  const end = (): void => {
    tree.signal("SIGTERM");
    killer = setTimeout(() => tree.signal("SIGKILL"), graceMs);
  };
  lease?.signal.addEventListener("abort", end, { once: true });
  try {
    return await endOf(child, cwd, options);
  } finally {
    lease?.worked();
    clearTimeout(killer);
    lease?.signal.removeEventListener("abort", end);
  }
}

function endOf(child: ChildProcessWithoutNullStreams, cwd: string, options: GitOptions): Promise<GitRun> {
  return new Promise((resolve, reject) => {
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    child.on("error", (error) => reject(spawnFault(error, cwd)));
    child.on("close", (code) => {
      resolve({
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString("utf8"),
        code: code ?? -1,
      });
    });
    // git may end before it has read everything; its exit code says whether that matters
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
  });
}

function collect(stream: NonNullable<ChildProcess["stdout"]>): Buffer[] {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return chunks;
}

function inheritedEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("GIT_") || keptVariables.has(name),
  );
  return Object.fromEntries(kept);
}

function spawnFault(error: NodeJS.ErrnoException, cwd: string): Error {
  if (error.code !== "ENOENT" || !existsSync(cwd)) return error;
  return new QuestbusError({
    code: "PLATFORM_UNSUPPORTED",
    message: "git was not found on PATH",
    next: "install git, and see that `git --version` works in this shell",
  });
}
