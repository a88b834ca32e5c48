import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
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
  nodeDir,
  planBrokers,
} from "@questbus/bus";
import { type Principal, principals, spaceDefault } from "@questbus/protocol";

/** Three brokers and three orchestrators as the command line starts them, without any agent. */
export type BareCluster = {
  readonly nodes: readonly string[];
  dirOf(node: string): string;
  clientAs(role: Principal): Promise<BusClient>;
  /** Sends the orchestrator of a node a signal; one that ends is started again. */
  signal(node: string, signal: NodeJS.Signals): void;
  /** How often the orchestrator of a node has ended. */
  endsOf(node: string): number;
  /** How many lines with these words the nodes have logged. */
  logged(words: string): number;
  stop(): Promise<void>;
};

const nodes = ["node-1", "node-2", "node-3"];
const program = fileURLToPath(import.meta.resolve("@questbus/orchestrator/main"));
const installation = "00112233aabbccdd";

/** `env` is added to every orchestrator's environment. */
export async function startBareCluster(dir: string, env: NodeJS.ProcessEnv = {}): Promise<BareCluster> {
  const agents = principals.map((role) => ({ role, name: role }));
  const credentials = ensureCredentials({ dir, agents });
  const binary = findBroker(process.env).path;
  const plan = await planBrokers({
    dir,
    nodes,
    binary,
    credentials: () => credentials,
    secret: "routes-of-a-test",
  });
  const brokers: Broker[] = await Promise.all(nodes.map((node) => plan.start(node)));
  const children = new Map<string, ChildProcess>();
  const ends = new Map<string, number>();
  let stopping = false;

  const begin = (node: string): ChildProcess => {
    const state = nodeDir(dir, node);
    mkdirSync(state, { recursive: true });
    const log = openSync(join(dir, `${node}.log`), "a");
    const place = [
      "--state",
      state,
      "--credentials",
      dir,
      "--url",
      plan.urlFor(node),
      "--space",
      spaceDefault,
    ];
    const standby = ["--node", node, "--installation", installation, "--replicas", String(nodes.length)];
    const child = fork(program, [...place, ...standby], {
      stdio: ["ignore", log, log, "ipc"],
      execArgv: [],
      env: { ...process.env, ...env },
      detached: true,
    });
    closeSync(log);
    child.once("exit", () => {
      ends.set(node, (ends.get(node) ?? 0) + 1);
      if (!stopping) begin(node);
    });
    children.set(node, child);
    return child;
  };
  await Promise.all(nodes.map((node) => once(begin(node), "message")));
  const connections: BusConnection[] = [];
  return {
    nodes,
    dirOf: (node) => nodeDir(dir, node),
    async clientAs(role) {
      const credential = credentialPath(dir, role, role);
      const connection = await connectBus({ url: plan.urlFor(), credential });
      connections.push(connection);
      return createClient(connection);
    },
    signal: (node, signal) => void children.get(node)?.kill(signal),
    endsOf: (node) => ends.get(node) ?? 0,
    logged: (words) =>
      nodes
        .flatMap((node) => readFileSync(join(dir, `${node}.log`), "utf8").split("\n"))
        .filter((line) => line.includes(words)).length,
    async stop() {
      stopping = true;
      await Promise.all(connections.map((each) => each.close()));
      await Promise.all([...children.values()].map(ended));
      await Promise.all(brokers.map((broker) => broker.stop()));
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGCONT");
  child.kill("SIGTERM");
  await exit;
}
