import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
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
  stop(): Promise<void>;
};

const program = fileURLToPath(import.meta.resolve("@questbus/orchestrator/main"));

export async function startBareStack(stateDir: string): Promise<BareStack> {
  const credentials = ensureCredentials({
    dir: stateDir,
    agents: principals.map((role) => ({ role, name: role })),
  });
  const broker = await startBroker({ dir: stateDir, binary: findBroker(process.env).path, credentials });
  const { url } = broker;
  const orchestrator = await startOrchestrator(stateDir, url);
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
    async stop() {
      await Promise.all(connections.map((each) => each.close()));
      orchestrator.kill("SIGTERM");
      if (orchestrator.exitCode === null) await once(orchestrator, "exit");
      await broker.stop();
    },
  };
}

async function startOrchestrator(stateDir: string, url: string): Promise<ChildProcess> {
  const log = openSync(join(stateDir, "orchestrator.log"), "a");
  const args = ["--state", stateDir, "--url", url, "--space", spaceDefault];
  const child = fork(program, args, { stdio: ["ignore", log, log, "ipc"], execArgv: [] });
  closeSync(log);
  const [said] = (await once(child, "message")) as [{ ready?: boolean }];
  if (!said.ready) throw new Error(`the orchestrator did not start: ${JSON.stringify(said)}`);
  return child;
}
