import {
  type Broker,
  type BusConnection,
  connectBus,
  credentialPath,
  ensureCredentials,
  findBroker,
  openBatchStream,
  openJournalStream,
  openLeaderLease,
  startBroker,
  systemTime,
  type Time,
} from "@questbus/bus";
import { type Answer, QuestbusError } from "@questbus/protocol";
import { openStore, projectionLines, type Store } from "@questbus/store";
import { submission } from "@questbus/testkit/scripted-report";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Standby, startStandby } from "../../src/standby/standby.ts";
import { freshDir, operator, post, type Rig, rows, silent } from "../rig.ts";

vi.setConfig({ testTimeout: 30_000 });

/** Two nodes in this process on a real broker; the clock by which each counts its lease is the test's. */
type Node = Pick<Rig, "handlers" | "store"> & {
  standby: Standby;
  leads: Promise<number>;
  ended: Promise<unknown>;
  announced: number;
  /** What left the node. */
  answers: Answer[];
};

let broker: Broker;
let dir: string;
const connections: BusConnection[] = [];
const nodes: Node[] = [];

beforeEach(async () => {
  dir = freshDir();
  const credentials = ensureCredentials({ dir, agents: [] });
  broker = await startBroker({ dir, binary: findBroker(process.env).path, credentials });
});
afterEach(async () => {
  for (const { standby, store } of nodes.splice(0)) {
    await standby.stop();
    store.close();
  }
  await Promise.all(connections.splice(0).map((each) => each.close()));
  await broker.stop();
});

type Options = {
  time?: Time;
  at?: string;
  /** The lease is renewed whatever the broker says: only the stream can tell this node that another one leads. */
  stubborn?: boolean;
};

async function open(name: string, { time = systemTime, at = freshDir(), stubborn = false }: Options = {}) {
  const credential = credentialPath(dir, "orchestrator", "main");
  const connection = await connectBus({ url: broker.url, credential });
  connections.push(connection);
  const store: Store = openStore({ dir: at, mode: "write", installation: "00112233aabbccdd" });
  const lease = await openLeaderLease(connection, { node: name, replicas: 1 });
  const leads = Promise.withResolvers<number>();
  const ended = Promise.withResolvers<unknown>();
  const node = { store, leads: leads.promise, ended: ended.promise, announced: 0 } as Node;
  node.standby = await startStandby({
    node: name,
    store,
    time,
    log: silent,
    batches: await openBatchStream(connection, { replicas: 1 }),
    lease: stubborn ? { ...lease, renew: async () => true } : lease,
    journal: await openJournalStream(connection),
    serve: async (handlers) => {
      const release = handlers.release ?? ((leave) => leave());
      // As the bus does it: each answer leaves through `release`.
      node.handlers = {
        ...handlers,
        onCommand: (command) =>
          handlers.onCommand({ ...command, respond: (answer) => release(() => command.respond(answer)) }),
      };
      return { stop: async () => {} };
    },
    announce: () => {
      node.announced += 1;
    },
    onLead: leads.resolve,
    onEnd: ended.resolve,
  });
  nodes.push(node);
  return node;
}

/** A clock that the test can stop: whoever goes by it believes in its lease for ever. */
function stoppable(): { time: Time; stop(): void; go(): void } {
  let stoppedMs: number | null = null;
  return {
    time: { ...systemTime, steadyMs: () => stoppedMs ?? performance.now() },
    stop: () => {
      stoppedMs = performance.now();
    },
    go: () => {
      stoppedMs = null;
    },
  };
}

const submit = (node: Node, title: string, id: string) =>
  post(node as unknown as Rig, operator, "submit", submission({ title }), id);

/** Nobody renews for it any more: as if its process stood still. */
async function losesLease(node: Node): Promise<void> {
  const credential = credentialPath(dir, "orchestrator", "main");
  const connection = await connectBus({ url: broker.url, credential });
  connections.push(connection);
  await connection.nats.request("$JS.API.STREAM.PURGE.KV_questbus-local", "");
  expect(await node.leads).toBeGreaterThan(0);
}

test("a leader whose clock says that it still leads is refused by the stream: no answer, no row elsewhere", async () => {
  const clock = stoppable();
  const at = freshDir();
  const first = await open("node-1", { time: clock.time, at, stubborn: true });
  const epoch = await first.leads;
  const known = await submit(first, "one", "c-one").answer;
  const second = await open("node-2");
  clock.stop();
  await losesLease(first);
  expect(await second.leads).toBeGreaterThan(epoch);
  const lost = submit(first, "lost", "c-lost");
  expect(String(await first.ended)).toContain("fenced");
  expect(lost.answers).toEqual([]);

  expect(await submit(second, "one", "c-one").answer).toEqual(known);
  const went = await submit(second, "two", "c-two").answer;
  expect(went.ok).toBe(true);
  expect(rows(second.store, "quest.submitted").map((row) => row.command)).toEqual(["c-one", "c-two"]);

  nodes.splice(nodes.indexOf(first), 1);
  first.store.close();
  const again = await open("node-1", { at });
  await vi.waitFor(() => expect(again.store.head()).toEqual(second.store.head()), 10_000);
  expect([...projectionLines(again.store)]).toEqual([...projectionLines(second.store)]);
});

test("a leader that finds its lease over by its own clock neither writes nor answers, not even what changes nothing", async () => {
  let aheadMs = 0;
  const time = { ...systemTime, steadyMs: () => performance.now() + aheadMs };
  const node = await open("node-1", { time });
  await node.leads;
  const head = node.store.head();
  aheadMs = 60_000;
  const written = submit(node, "late", "c-late");
  const read = post(node as unknown as Rig, { role: "qa", name: "qa" }, "renew", {
    assignment: "q-00000000.qa",
    epoch: 1,
  });
  expect(await node.ended).toBe("the lease is over");
  expect([...written.answers, ...read.answers]).toEqual([]);
  expect(node.store.head()).toEqual(head);
});

test("no answer leaves before the stream holds what it says", async () => {
  const node = await open("node-1");
  await node.leads;
  process.kill(broker.pid, "SIGSTOP");
  const sent = submit(node, "one", "c-one");
  await vi.waitFor(() => expect(rows(node.store, "quest.submitted")).toHaveLength(1));
  expect(sent.answers).toEqual([]);
  process.kill(broker.pid, "SIGCONT");
  expect((await sent.answer).ok).toBe(true);
});

test("a leader whose full disk does not take its place on the stream goes on", async () => {
  const node = await open("node-1");
  await node.leads;
  const { transact } = node.store;
  const refused = Promise.withResolvers<void>();
  let tries = 0;
  expect((await submit(node, "one", "c-one").answer).ok).toBe(true);
  // The first is the publisher's, which marks how far it is.
  node.store.transact = () => {
    tries += 1;
    if (tries === 2) refused.resolve();
    throw new QuestbusError({ code: "DISK_FULL", message: "the disk is full" });
  };
  await refused.promise;
  node.store.transact = transact;
  expect((await submit(node, "two", "c-two").answer).ok).toBe(true);
});

test("a leader that was told to end announces no more: its connection may be gone by then", async () => {
  const later: (() => void)[] = [];
  const announceMsMin = 1_200;
  const after: Time["after"] = (ms, work) => {
    if (ms < announceMsMin) return systemTime.after(ms, work);
    later.push(work);
    return () => {};
  };
  const node = await open("node-1", { time: { ...systemTime, after } });
  await node.leads;
  expect(later).toHaveLength(1);
  await node.standby.stop();
  const before = node.announced;
  for (const announce of later) announce();
  expect(node.announced).toBe(before);
});

test("a node that has read more of the stream than there is does not go on", async () => {
  const at = freshDir();
  const node = await open("node-1", { at });
  await node.leads;
  await submit(node, "one", "c-one").answer;
  nodes.splice(nodes.indexOf(node), 1);
  await node.standby.stop();
  node.store.transact((tx) => tx.setCursor("batch-stream", 1_000));
  node.store.close();
  const ahead = { ...systemTime, steadyMs: () => performance.now() * 100 };
  await expect(open("node-1", { at, time: ahead })).rejects.toMatchObject({ code: "STANDBY_APART" });
});
