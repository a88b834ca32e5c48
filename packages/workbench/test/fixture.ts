import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ErrorCode, type Fault, QuestbusError } from "@questbus/protocol";
import { afterEach, expect } from "vitest";
import { startTimeOf } from "../src/process-group.ts";

const made: string[] = [];
afterEach(() => {
  for (const dir of made.splice(0)) rmSync(dir, { recursive: true, force: true });
});

/** A directory that is gone after the test. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "questbus-test-"));
  made.push(dir);
  return dir;
}

const identity = [
  "-c",
  "user.name=Operator",
  "-c",
  "user.email=operator@example.org",
  "-c",
  "init.defaultBranch=main",
];
const print = (cwd: string, args: readonly string[]): string =>
  execFileSync("git", [...identity, ...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
export const run = (cwd: string, ...args: string[]): string => print(cwd, args).trim();

/** Writes files below `dir`; null deletes one. */
export function write(dir: string, files: Record<string, string | Buffer | null>): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    if (content === null) rmSync(path);
    else writeFileSync(path, content);
  }
}

export const sourceFiles = {
  "src/main.js": "export const one = 1;\nexport const two = 2;\nexport const three = 3;\n",
  "src/other.js": "export const other = true;\n",
  "test/main.test.js": "// a test\n",
  "README.md": "# Example\n",
  ".gitignore": "node_modules/\n*.log\n",
};

/** A repository with one commit. */
export function makeTarget(files: Record<string, string | Buffer> = sourceFiles, ...init: string[]): string {
  const dir = join(tempDir(), "target");
  mkdirSync(dir);
  run(dir, "init", "--quiet", ...init);
  write(dir, files);
  commitAll(dir, "start");
  return dir;
}

/** Commits everything, and answers with the commit. */
export function commitAll(dir: string, message: string): string {
  run(dir, "add", "--all", "--force");
  run(dir, "commit", "--quiet", "--allow-empty", "--message", message);
  return run(dir, "rev-parse", "HEAD");
}

/** The patch that these edits make of what is committed; the target stays as it was. */
export function patchOf(target: string, edits: Record<string, string | Buffer | null>): string {
  const copy = join(tempDir(), "copy");
  run(dirname(copy), "clone", "--quiet", target, copy);
  write(copy, edits);
  run(copy, "add", "--all", "--force");
  return print(copy, ["diff", "--cached", "--binary", "--no-color"]);
}

/** A hash of every name, mode, byte and file time below a directory, .git too. */
export function hashDir(dir: string, { times = true } = {}): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()) {
    const path = join(dir, name);
    const found = lstatSync(path);
    hash.update(`${name}\0${found.mode}\0`);
    if (found.isSymbolicLink()) hash.update(readlinkSync(path));
    else if (found.isFile()) hash.update(readFileSync(path)).update(times ? String(found.mtimeMs) : "");
  }
  return hash.digest("hex");
}

/** The faults that `work` is refused with. */
export async function faultsOf(work: () => unknown): Promise<readonly Fault[]> {
  try {
    await work();
  } catch (error) {
    if (error instanceof QuestbusError) return error.faults;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** Expects a refusal with that code first, and answers with its first fault. */
export async function refused(code: ErrorCode, work: () => unknown): Promise<Fault> {
  const [first] = await faultsOf(work);
  expect(first).toMatchObject({ code });
  expect(first?.next, "every fault says what to do next").toBeTruthy();
  return first as Fault;
}

export const isRunning = (pid: number): boolean => startTimeOf(pid) !== null;

/** Resolves once `condition` holds; fails after 10 s. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("it did not come true within 10 s");
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** Makes a hook that would leave `<dir>/hook-ran`. */
export function plantHooks(target: string): void {
  for (const name of ["post-checkout", "pre-commit", "reference-transaction", "post-commit", "update"]) {
    const path = join(target, ".git/hooks", name);
    write(target, { [`.git/hooks/${name}`]: `#!/bin/sh\ntouch "${target}/hook-ran"\n` });
    chmodSync(path, 0o755);
  }
}

/** Whether this process may mount file systems. */
export const mayMount = (): boolean => {
  if (process.getuid?.() !== 0 || process.platform !== "linux") return false;
  const dir = tempDir();
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", dir]).status !== 0) return false;
  return spawnSync("umount", [dir]).status === 0;
};
