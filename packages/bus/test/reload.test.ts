import { rmSync } from "node:fs";
import type { Answer } from "@questbus/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type AgentId,
  addCredential,
  type Broker,
  type BusConnection,
  type Command,
  type Credential,
  connectBus,
  createClient,
  credentialPath,
  ensureCredentials,
  findBroker,
  removeCredential,
  serveCommands,
  startBroker,
  watchCredentials,
} from "../src/index.ts";
import { eventually, newDir } from "./rig.ts";

/** Agents that come and go while the broker runs: a real server reads its configuration again. */

const agents: readonly AgentId[] = [
  { role: "qa", name: "qa1" },
  { role: "ops", name: "ops1" },
];
const mine = { role: "qa", name: "mine" } as const;
const hello = { incarnation: "one", pid: 1 };
const yes = (data: unknown): Answer => ({ ok: true, seq: 1, data });

let dir: string;
let broker: Broker;
let unwatch: () => void;
let onReloaded: () => void = () => {};
let onCommand: (command: Command) => void;
const connections: BusConnection[] = [];

async function connect(role: string, name: string): Promise<BusConnection> {
  const credential = credentialPath(dir, role as "qa", name);
  const connection = await connectBus({ url: broker.url, credential });
  connections.push(connection);
  return connection;
}

/** The server's own word that it has read its configuration again. */
const reloaded = (): Promise<void> =>
  new Promise((done) => {
    onReloaded = done;
  });

async function add(): Promise<{ credential: Credential; connection: BusConnection }> {
  const taken = reloaded();
  const credential = addCredential(dir, mine);
  await taken;
  return { credential, connection: await connect("qa", "mine") };
}

beforeEach(async () => {
  dir = newDir();
  const credentials = ensureCredentials({ dir, agents });
  const onLog = (line: string): void => {
    if (line.includes("Reloaded server configuration")) onReloaded();
  };
  broker = await startBroker({ dir, binary: findBroker(process.env).path, credentials, onLog });
  unwatch = watchCredentials(dir, () => broker.reload(ensureCredentials({ dir, agents })));
  onCommand = (command) => command.respond(yes(`${command.actor.role}/${command.actor.name}`));
  const orchestrator = await connect("orchestrator", "main");
  await serveCommands(orchestrator, { onCommand: (command) => onCommand(command), onDead: () => {} });
});
afterEach(async () => {
  unwatch();
  await Promise.all(connections.splice(0).map((each) => each.close()));
  await broker.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe("an agent that is added", () => {
  test("speaks as itself at once, while the connections of others stay, and what they wait for comes", async () => {
    const others = [await connect("qa", "qa1"), await connect("ops", "ops1")];
    const changes: string[] = [];
    for (const each of others) each.onDown(() => changes.push(each.name));
    let waiting: Command | null = null;
    onCommand = (command) => {
      waiting = command;
    };
    const longPoll = createClient(others[0] as BusConnection).request("claim", { waitMs: 20_000 });
    await eventually(() => waiting !== null);
    onCommand = (command) => command.respond(yes(`${command.actor.role}/${command.actor.name}`));

    const { connection } = await add();
    expect(await createClient(connection).request("hello", hello)).toBe("qa/mine");
    (waiting as unknown as Command).respond(yes("granted"));
    expect(await longPoll).toBe("granted");
    for (const each of others)
      expect(await createClient(each).request("hello", hello)).toBe(`${each.role}/${each.name}`);
    expect(changes).toEqual([]);
  });

  test("is there after the broker was started anew", async () => {
    await add();
    await broker.stop();
    broker = await startBroker({
      dir,
      binary: findBroker(process.env).path,
      credentials: ensureCredentials({ dir, agents }),
      port: broker.port,
    });
    await expect(connect("qa", "mine")).resolves.toMatchObject({ name: "mine" });
  });
});

test("one that is revoked is cut off and refused, and others stay", async () => {
  const { credential, connection: revoked } = await add();
  const other = await connect("qa", "qa1");
  let downs = 0;
  other.onDown(() => {
    downs += 1;
  });
  const cut = new Promise<void>((done) => revoked.onDown(done));
  const beganMs = performance.now();
  removeCredential(dir, mine);
  await cut;
  expect(performance.now() - beganMs).toBeLessThan(5_000);
  await expect(connectBus({ url: broker.url, credential })).rejects.toMatchObject({
    code: "CREDENTIAL_REFUSED",
  });
  expect(await createClient(other).request("hello", hello)).toBe("qa/qa1");
  expect(downs).toBe(0);
});
