import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { loadDefinition } from "@questbus/agent";
import { findBroker } from "@questbus/bus";
import { exitCode, faultsOf, QuestbusError, roles } from "@questbus/protocol";
import { describeMachine, readMachine, unfitReasons } from "@questbus/workbench";
import { beginFrom, type Cluster, findCluster, standingOf, standingText } from "./cluster.ts";
import type { Common } from "./command-run.ts";
import { note, paint, printData, printJson } from "./output.ts";
import { makeStateDir } from "./session.ts";
import { findStack, givenBroker, startStack } from "./stack.ts";

/** `questbus up`: the stack in the foreground, until Ctrl-C. */
export async function up(common: Common, options: { cluster?: number; from?: string } = {}): Promise<number> {
  if (options.from !== undefined) {
    refuseRunning(common.state);
    await beginFrom(common.state, clusterNamed(common.state, options.from), options.from);
  }
  const stack = await startStack(makeStateDir(common.state), { cluster: options.cluster, onNews: note });
  if (common.json) printJson({ url: stack.url, space: stack.space, state: resolve(common.state) });
  else printData(`questbus is up: ${stack.url} (${stack.broker}), state ${resolve(common.state)}`);
  note("submit a quest with: questbus submit FILE; Ctrl-C ends the stack");
  await new Promise<void>((done) => {
    if (common.signal.aborted) done();
    common.signal.addEventListener("abort", () => done(), { once: true });
  });
  await stack.stop();
  return exitCode.interrupted;
}

/** A node that cannot go on is between two starts, and locks nothing then. @throws QuestbusError STATE_LOCKED */
function refuseRunning(stateDir: string): void {
  const dir = resolve(stateDir);
  if (!findStack(dir)) return;
  throw new QuestbusError({
    code: "STATE_LOCKED",
    message: "a cluster still runs on this state directory",
    where: dir,
    next: "end it with Ctrl-C where it was started, then begin it anew",
  });
}

/** @throws QuestbusError USAGE when the state is no cluster's, or has no such node */
function clusterNamed(stateDir: string, node: string): Cluster {
  const cluster = findCluster(stateDir);
  if (cluster?.nodes.includes(node)) return cluster;
  throw new QuestbusError({
    code: "USAGE",
    message: cluster ? `the cluster has no node ${node}` : "there is no cluster in this state directory",
    where: resolve(stateDir),
    next: cluster ? `name one of ${cluster.nodes.join(", ")}` : "leave --from out, or check --state DIR",
  });
}

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

/** Of a cluster: who leads, and how far behind the others are. */
function clusterChecks(stateDir: string): Check[] {
  const cluster = findCluster(stateDir);
  return cluster
    ? [
        checked("cluster", () =>
          standingText(standingOf(stateDir, cluster), findStack(resolve(stateDir)) !== null),
        ),
      ]
    : [];
}

/** `questbus doctor`: what a run needs, and whether it is there. */
export async function doctor(common: Common): Promise<number> {
  const machine = await readMachine(".");
  const agents = resolve(import.meta.dirname, "../../../agents");
  const checks: Check[] = [
    checked("platform", () => `${process.platform}-${process.arch}`),
    checked("node", nodeVersion),
    checked("git", gitVersion),
    checked("broker", () => givenBroker(process.env) ?? findBroker(process.env).path),
    checked("state directory", () => writable(common.state)),
    checked("role agents", () => roles.map((role) => loadDefinition(agents, role).name).join(", ")),
    { name: "machine", ok: unfitReasons(machine).length === 0, found: describeMachine(machine) },
    { name: "stack", ok: true, found: findStack(resolve(common.state))?.url ?? "not running" },
    ...clusterChecks(common.state),
  ];
  if (common.json) printJson(checks);
  else
    for (const { name, ok, found } of checks)
      printData(`${ok ? paint("green", "✓") : paint("red", "✗")} ${name.padEnd(16)} ${found}`);
  return checks.every((each) => each.ok) ? exitCode.ok : exitCode.failure;
}
