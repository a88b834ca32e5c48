import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Broker,
  type BusClient,
  type BusConnection,
  connectBus,
  createClient,
  credentialPath,
  ensureCredentials,
  findBroker,
  startBroker,
} from "@questbus/bus";
import { type Principal, principals, type Role, spaceDefault } from "@questbus/protocol";
import { startTimeOf } from "@questbus/workbench";

/** Broker and orchestrator as the command line starts them; the test plays the agents, unless it wants real ones. */
export type BareStack = {
  readonly url: string;
  /** A client with the real credential file of that role. */
  clientAs(role: Principal): Promise<BusClient>;
  /** Kills the broker, removes its whole data folder, and starts an empty one at the same address. */
  replaceBroker(): Promise<void>;
  stop(): Promise<void>;
};

type Options = {
  /** Added to the environment of the orchestrator and the agents. */
  env?: NodeJS.ProcessEnv;
  /** The roles that get one real agent each; default: none. */
  agents?: readonly Role[];
};

const programs = {
  orchestrator: fileURLToPath(import.meta.resolve("@questbus/orchestrator/main")),
  agent: fileURLToPath(import.meta.resolve("@questbus/agent/main")),
};
/** Where the shipped stack keeps compiled code: a start with it takes a third of the time. */
export const compileCache = fileURLToPath(new URL("../../../node_modules/.cache/compile", import.meta.url));

export async function startBareStack(
  stateDir: string,
  { env = {}, agents = [] }: Options = {},
): Promise<BareStack> {
  const credentials = ensureCredentials({
    dir: stateDir,
    agents: principals.map((role) => ({ role, name: role })),
  });
  const binary = findBroker(process.env).path;
  const begin = (port?: number): Promise<Broker> =>
    startBroker({ dir: stateDir, binary, credentials, ...(port === undefined ? {} : { port }) });
  let broker = await begin();
  const { url, port } = broker;
  const begins =
    (name: string, program: string, args: string[] = []) =>
    (): ChildProcess =>
      forkPart(name, program, { args: [...args, "--url", url], stateDir, env });
  const kept = [await keepOrchestrator(begins("orchestrator", programs.orchestrator))];
  for (const role of agents) kept.push(keep(begins(role, programs.agent, ["--role", role, "--name", role])));
  // The command line finds this stack as it would find its own.
  const record = {
    id: randomUUID(),
    url,
    space: spaceDefault,
    pid: process.pid,
    start: startTimeOf(process.pid),
    since: new Date().toISOString(),
  };
  writeFileSync(join(stateDir, "stack.json"), JSON.stringify(record), { mode: 0o600 });
  const connections: BusConnection[] = [];
  return {
    url,
    async clientAs(role) {
      const connection = await connectBus({ url, credential: credentialPath(stateDir, role, role) });
      connections.push(connection);
      return createClient(connection);
    },
    async replaceBroker() {
      process.kill(broker.pid, "SIGKILL");
      await broker.exited;
      rmSync(join(stateDir, "broker"), { recursive: true, force: true });
      broker = await begin(port);
    },
    async stop() {
      await Promise.all(connections.map((each) => each.close()));
      // The agents first, as the command line ends them.
      for (const part of kept.toReversed()) await part.stop();
      await broker.stop();
      rmSync(join(stateDir, "stack.json"), { force: true });
    },
  };
}

type Kept = { stop(): Promise<void> };

async function keepOrchestrator(begin: () => ChildProcess): Promise<Kept> {
  const child = begin();
  const [said] = (await once(child, "message")) as [{ ready?: boolean }];
  if (!said.ready) throw new Error(`the orchestrator did not start: ${JSON.stringify(said)}`);
  return keep(begin, child);
}

/** Starts a part, and again whenever it is killed. */
function keep(begin: () => ChildProcess, running: ChildProcess = begin()): Kept {
  let stopping = false;
  let child = running;
  const watch = (): void => {
    child.once("exit", (_, signal) => {
      if (stopping || signal !== "SIGKILL") return;
      child = begin();
      watch();
    });
  };
  watch();
  return {
    async stop() {
      stopping = true;
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

type Part = { args: string[]; stateDir: string; env: NodeJS.ProcessEnv };

function forkPart(name: string, program: string, { args, stateDir, env }: Part): ChildProcess {
  const log = openSync(join(stateDir, `${name}.log`), "a");
  const child = fork(program, [...args, "--state", stateDir, "--space", spaceDefault], {
    stdio: ["ignore", log, log, "ipc"],
    execArgv: [],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, ...env },
  });
  closeSync(log);
  return child;
}
