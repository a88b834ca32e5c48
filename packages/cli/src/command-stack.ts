import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { loadDefinition } from "@questbus/agent";
import { findBroker } from "@questbus/bus";
import { exitCode, faultsOf, roles } from "@questbus/protocol";
import { readMachine } from "@questbus/workbench";
import type { Common } from "./command-run.ts";
import { note, paint, printData, printJson } from "./output.ts";
import { makeStateDir } from "./session.ts";
import { findStack, startStack } from "./stack.ts";

/** `questbus up`: the stack in the foreground, until Ctrl-C. */
export async function up(common: Common): Promise<number> {
  const stack = await startStack(makeStateDir(common.state));
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

function writable(dir: string): string {
  const path = makeStateDir(dir);
  accessSync(path, constants.W_OK);
  return path;
}

/** `questbus doctor`: what a run needs, and whether it is there. */
export async function doctor(common: Common): Promise<number> {
  const machine = await readMachine(".");
  const agents = resolve(import.meta.dirname, "../../../agents");
  const gib = (bytes: number): string => `${(bytes / 1_073_741_824).toFixed(1)} GiB`;
  const checks: Check[] = [
    checked("platform", () => `${process.platform}-${process.arch}`),
    checked("node", () => process.version),
    checked("git", gitVersion),
    checked("broker", () =>
      process.env.NATS_URL ? `NATS_URL ${process.env.NATS_URL}` : findBroker(process.env).path,
    ),
    checked("state directory", () => writable(common.state)),
    checked("role agents", () => roles.map((role) => loadDefinition(agents, role).name).join(", ")),
    { name: "disk", ok: machine.diskFreeBytes > 268_435_456, found: `${gib(machine.diskFreeBytes)} free` },
    {
      name: "memory",
      ok: machine.memoryFreeBytes > 134_217_728,
      found: `${gib(machine.memoryFreeBytes)} free`,
    },
    {
      name: "load",
      ok: machine.loadPerCpu < 2,
      found: `${machine.loadPerCpu.toFixed(2)} for each of ${machine.cpus} cores`,
    },
    { name: "stack", ok: true, found: findStack(resolve(common.state))?.url ?? "not running" },
  ];
  if (common.json) printJson(checks);
  else
    for (const { name, ok, found } of checks)
      printData(`${ok ? paint("green", "✓") : paint("red", "✗")} ${name.padEnd(16)} ${found}`);
  return checks.every((each) => each.ok) ? exitCode.ok : exitCode.failure;
}
