import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JournalEvent } from "@questbus/protocol";
import {
  type AgentId,
  type Broker,
  type BusConnection,
  type Credential,
  connectBus,
  ensureCredentials,
  findBroker,
  startBroker,
} from "../src/index.ts";

/** Who is on the bus in these tests. */
const everybody: AgentId[] = [
  { role: "qa", name: "qa1" },
  { role: "qa", name: "qa2" },
  { role: "ops", name: "ops1" },
  { role: "operator", name: "me" },
  { role: "arbiter", name: "judge" },
  { role: "worker", name: "hand" },
];

export type Rig = {
  dir: string;
  broker: Broker;
  credentialOf(name: string): Credential;
  connect(name: string): Promise<BusConnection>;
  /** SIGKILLs the broker, does `between`, and starts it again on the same port. */
  restart(between?: () => void | Promise<void>): Promise<void>;
  close(): Promise<void>;
};

export const newDir = (): string => mkdtempSync(join(tmpdir(), "questbus-bus-"));

export async function openRig(): Promise<Rig> {
  const dir = newDir();
  const credentials = ensureCredentials({ dir, agents: everybody });
  const binary = findBroker(process.env).path;
  const connections: BusConnection[] = [];
  const rig: Rig = {
    dir,
    broker: await startBroker({ dir, binary, credentials }),
    credentialOf(name) {
      const all = [credentials.orchestrator, credentials.system, ...credentials.agents];
      const found = all.find((each) => each.name === name || each.role === name);
      if (!found) throw new Error(`no credential for ${name}`);
      return found;
    },
    async connect(name) {
      const connection = await connectBus({ url: rig.broker.url, credential: rig.credentialOf(name) });
      connections.push(connection);
      return connection;
    },
    async restart(between = () => {}) {
      const { port, pid, exited } = rig.broker;
      process.kill(pid, "SIGKILL");
      await exited;
      await between();
      rig.broker = await startBroker({ dir, binary, credentials, port });
    },
    async close() {
      await Promise.all(connections.map((each) => each.close()));
      await rig.broker.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return rig;
}

/** A journal row as the store would return it. */
export function eventAt(seq: number, quest = "q-aaaaaaaa"): JournalEvent {
  return {
    seq,
    id: `test-${seq}`,
    timeMs: 1_700_000_000_000 + seq,
    type: "quest.started",
    quest,
    actor: { role: "orchestrator", name: "main" },
    command: null,
    body: { deadlineMs: seq },
    hash: "0".repeat(64),
  };
}

/** Resolves when `check` holds; looks again at each turn of the event loop's timers, bounded by the test's timeout. */
export async function eventually(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 5));
}
