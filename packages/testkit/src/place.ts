import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { SandboxPolicy } from "@questbus/protocol";
import { processesOf } from "./process.ts";
import { until } from "./until.ts";

/**
 * A directory of one test's own, with its own TMPDIR, so that tests that run at once do not wait for each other's
 * measurement. Closing it fails when a process that was started below it is still there.
 */
export type Place = {
  readonly dir: string;
  /** The environment for every process of the test. */
  readonly env: NodeJS.ProcessEnv;
  path(...parts: string[]): string;
  /** What was left in the temporary directory of its processes. */
  leftInTmp(): string[];
  close(): Promise<void>;
};

const endMsMax = 15_000;

/**
 * `sandbox`: the policy of the place. Off, because most quests of the tests say where they are by files beside their tree,
 * which nothing in a sandbox can write; what is to show that the sandbox is in nobody's way asks for it.
 */
export function openPlace(name: string, sandbox: SandboxPolicy = "off"): Place {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), `questbus-${name}-`)));
  const tmp = join(dir, "tmp");
  mkdirSync(tmp);
  const env: NodeJS.ProcessEnv = { ...process.env, TMPDIR: tmp, NO_COLOR: "1", QUESTBUS_SANDBOX: sandbox };
  // The test runner's own settings are not the product's.
  for (const key of ["NATS_URL", "NODE_OPTIONS", "FORCE_COLOR", "QUESTBUS_DEBUG", "VITEST"]) delete env[key];
  return {
    dir,
    env,
    path: (...parts) => join(dir, ...parts),
    leftInTmp: () => readdirSync(tmp),
    async close() {
      try {
        await until("every process of the test to have ended", () => processesOf(dir).length === 0, endMsMax);
      } catch (error) {
        const left = processesOf(dir);
        for (const { pid } of left) killIfThere(pid);
        const list = left.map(({ pid, command }) => `${pid} ${command}`).join("\n");
        throw new Error(`${(error as Error).message}; these ran on:\n${list}`);
      } finally {
        rmSync(dir, { recursive: true, force: true });
      }
    },
  };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // it ended meanwhile
  }
}

/** Runs git in `dir` and gives its output; throws when it fails. */
export function runGit(dir: string, ...args: string[]): string {
  const identity = [
    "user.name=Test",
    "user.email=test@localhost",
    "commit.gpgsign=false",
    "init.defaultBranch=main",
  ];
  const settings = identity.flatMap((each) => ["-c", each]);
  const run = spawnSync("git", [...settings, ...args], { cwd: dir, encoding: "utf8" });
  if (run.status !== 0) throw new Error(`git ${args.join(" ")} failed: ${run.stderr}`);
  return run.stdout.trim();
}

/** Writes files below `dir`; null removes one. */
export function writeFiles(dir: string, files: Readonly<Record<string, string | null>>): void {
  for (const [path, text] of Object.entries(files)) {
    const full = join(dir, path);
    if (text === null) rmSync(full);
    else {
      mkdirSync(dirname(full), { recursive: true });
      writeFileSync(full, text);
    }
  }
}

/** One hash over every name, mode and byte below `dir`, `.git` included; `counts` can leave paths out. */
export function fingerprint(dir: string, counts: (path: string) => boolean = () => true): string {
  const hash = createHash("sha256");
  for (const path of readdirSync(dir, { recursive: true, encoding: "utf8" }).filter(counts).sort()) {
    const full = join(dir, path);
    const found = lstatSync(full);
    hash.update(`${path}\0${found.mode}\0`);
    if (found.isSymbolicLink()) hash.update(readlinkSync(full));
    if (found.isFile()) hash.update(readFileSync(full));
  }
  return hash.digest("hex");
}
