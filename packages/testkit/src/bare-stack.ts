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
import { type Principal, principals, spaceDefault } from "@questbus/protocol";
import { startTimeOf } from "@questbus/workbench";

/** Broker and orchestrator as the command line starts them, without any agent: the test plays the agents. */
export type BareStack = {
  /** A client with the real credential file of that role. */
  clientAs(role: Principal): Promise<BusClient>;
  /** How often the orchestrator was started anew, because it had died. */
  revivals(): number;
  /** Kills the broker, removes its whole data folder, and starts an empty one at the same address. */
  replaceBroker(): Promise<void>;
  stop(): Promise<void>;
};

type Options = {
  /** Added to the orchestrator's environment. */
  env?: NodeJS.ProcessEnv;
};

const program = fileURLToPath(import.meta.resolve("@questbus/orchestrator/main"));
/** Where the shipped stack keeps compiled code: a start with it takes a third of the time. */
const compileCache = fileURLToPath(new URL("../../../node_modules/.cache/compile", import.meta.url));

export async function startBareStack(stateDir: string, { env = {} }: Options = {}): Promise<BareStack> {
  const credentials = ensureCredentials({
    dir: stateDir,
    agents: principals.map((role) => ({ role, name: role })),
  });
  const binary = findBroker(process.env).path;
  const begin = (port?: number): Promise<Broker> =>
    startBroker({ dir: stateDir, binary, credentials, ...(port === undefined ? {} : { port }) });
  let broker = await begin();
  const { url, port } = broker;
  const orchestrator = await keepOrchestrator(stateDir, url, env);
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
    async clientAs(role) {
      const connection = await connectBus({ url, credential: credentialPath(stateDir, role, role) });
      connections.push(connection);
      return createClient(connection);
    },
    revivals: () => orchestrator.revivals(),
    async replaceBroker() {
      process.kill(broker.pid, "SIGKILL");
      await broker.exited;
      rmSync(join(stateDir, "broker"), { recursive: true, force: true });
      broker = await begin(port);
    },
    async stop() {
      await Promise.all(connections.map((each) => each.close()));
      await orchestrator.stop();
      await broker.stop();
    },
  };
}

type Kept = { revivals(): number; stop(): Promise<void> };

/** Starts the orchestrator, and again whenever it is killed. */
async function keepOrchestrator(stateDir: string, url: string, env: NodeJS.ProcessEnv): Promise<Kept> {
  let stopping = false;
  let revivals = 0;
  let child = await startOrchestrator(stateDir, url, env);
  const watch = (): void => {
    child.once("exit", (_, signal) => {
      if (stopping || signal !== "SIGKILL") return;
      revivals += 1;
      revive();
    });
  };
  const revive = (): void => {
    child = forkOrchestrator(stateDir, url, env);
    watch();
  };
  watch();
  return {
    revivals: () => revivals,
    async stop() {
      stopping = true;
      child.kill("SIGTERM");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

function forkOrchestrator(stateDir: string, url: string, env: NodeJS.ProcessEnv): ChildProcess {
  const log = openSync(join(stateDir, "orchestrator.log"), "a");
  const args = ["--state", stateDir, "--url", url, "--space", spaceDefault];
  const child = fork(program, args, {
    stdio: ["ignore", log, log, "ipc"],
    execArgv: [],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache, ...env },
  });
  closeSync(log);
  return child;
}

async function startOrchestrator(
  stateDir: string,
  url: string,
  env: NodeJS.ProcessEnv,
): Promise<ChildProcess> {
  const child = forkOrchestrator(stateDir, url, env);
  const [said] = (await once(child, "message")) as [{ ready?: boolean }];
  if (!said.ready) throw new Error(`the orchestrator did not start: ${JSON.stringify(said)}`);
  return child;
}
