import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { loadDefinition } from "@questbus/agent/definition";
import { findBroker, givenBroker, nodeDir } from "@questbus/bus";
import { exitCode, type Fault, faultsOf, plural, QuestbusError, roles } from "@questbus/protocol";
import { describeMachine, readMachine, unfitReasons } from "@questbus/workbench/machine";
import { openSandbox } from "@questbus/workbench/sandbox";
import { findCluster } from "./cluster.ts";
import type { Common } from "./command-run.ts";
import { paint, printData, printJson } from "./output.ts";
import { readSettings, sandboxPolicy } from "./setting.ts";
import { findStack } from "./stack-record.ts";
import { hasState } from "./state-dir.ts";

type Check = { name: string; ok: boolean; found: string };

function checked(name: string, look: () => string): Check {
  try {
    return { name, ok: true, found: look() };
  } catch (error) {
    return { name, ok: false, found: faultsOf(error)[0]?.message ?? "fails" };
  }
}

function gitVersion(): string {
  const run = spawnSync("git", ["--version"], { encoding: "utf8" });
  if (run.status !== 0) throw new Error("git is not installed");
  return run.stdout.trim();
}

/** Nothing is made: the nearest folder that is there must be one to write in. */
function writable(dir: string): string {
  const path = resolve(dir);
  let nearest = path;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  if (!statSync(nearest).isDirectory()) throw new Error(`${nearest} is no directory`);
  accessSync(nearest, constants.W_OK);
  return path;
}

function nodeVersion(): string {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 24 || (major === 24 && minor < 11)) throw new Error(`${process.version} is too old`);
  return process.version;
}

/** Whether what is in the state directory can be read; a cluster's is in its nodes. */
async function stateChecks(stateDir: string): Promise<Check[]> {
  const dir = resolve(stateDir);
  if (!hasState(dir)) return [];
  const { openStore } = await import("@questbus/store");
  try {
    const store = openStore({ dir, mode: "read" });
    try {
      const { seq } = store.head();
      store.readJournal({ afterSeq: seq - 1, limit: 1 });
      return [{ name: "state", ok: true, found: plural(seq, "row") }];
    } finally {
      store.close();
    }
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    // One that is empty or of an earlier release is no fault: a start makes it what it has to be.
    const { message, next } = error.faults[0] as Fault;
    return [{ name: "state", ok: error.code === "STATE_MISSING", found: `${message}; ${next}` }];
  }
}

/** Whether checkpoints can be signed, of each node of a cluster. */
async function keyChecks(stateDir: string): Promise<Check[]> {
  const { signerFault } = await import("@questbus/store");
  const dir = resolve(stateDir);
  const dirs = findCluster(dir)?.nodes.map((node) => nodeDir(dir, node)) ?? [dir];
  return dirs
    .flatMap((each) => signerFault(each) ?? [])
    .map(({ message, next }) => ({ name: "checkpoint key", ok: false, found: `${message}; ${next}` }));
}

/** Of a cluster: who leads, and how far behind the others are. */
async function clusterChecks(stateDir: string): Promise<Check[]> {
  const cluster = findCluster(stateDir);
  if (!cluster) return [];
  const { standingOf, standingText } = await import("./cluster-state.ts");
  const damaged: string[] = [];
  const standing = standingOf(stateDir, cluster, (node, { message }) =>
    damaged.push(
      `${node}: ${message}; its backups bring it back: questbus backup restore --state ${join(stateDir, node)}`,
    ),
  );
  const found = [standingText(standing, findStack(resolve(stateDir)) !== null), ...damaged].join("; ");
  return [{ name: "cluster", ok: damaged.length === 0, found }];
}

/** `questbus doctor`: what a run needs, and whether it is there. */
export async function doctor(common: Common): Promise<number> {
  const machine = await readMachine(".");
  const policy = sandboxPolicy(common.sandbox, process.env, await readSettings(common.state));
  const agents = resolve(import.meta.dirname, "../../../agents");
  const checks: Check[] = [
    checked("platform", () => `${process.platform}-${process.arch}`),
    checked("node", nodeVersion),
    checked("git", gitVersion),
    checked("broker", () => givenBroker(process.env) ?? findBroker(process.env).path),
    checked("state directory", () => writable(common.state)),
    ...(await stateChecks(common.state)),
    ...(await keyChecks(common.state)),
    checked("role agents", () => roles.map((role) => loadDefinition(agents, role).name).join(", ")),
    checked("sandbox", () => openSandbox({ policy, hidden: [] }).level),
    { name: "machine", ok: unfitReasons(machine).length === 0, found: describeMachine(machine) },
    { name: "stack", ok: true, found: findStack(resolve(common.state))?.url ?? "not running" },
    ...(await clusterChecks(common.state)),
  ];
  if (common.json) printJson(checks);
  else
    for (const { name, ok, found } of checks)
      printData(`${ok ? paint("green", "✓") : paint("red", "✗")} ${name.padEnd(16)} ${found}`);
  return checks.every((each) => each.ok) ? exitCode.ok : exitCode.failure;
}
