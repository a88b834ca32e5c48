import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { type Answer, limit, wrap } from "@questbus/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Command,
  connectBus,
  createClient,
  type DeadMessage,
  openJournalStream,
  serveCommands,
} from "../src/index.ts";
import { eventAt, eventually, openRig, type Rig } from "./rig.ts";

/** Tests of the broker's accounts: what a valid credential must not be able to do. */

const okay: Answer = { ok: true, seq: 1, data: "done" };
const hello = (id: string): string =>
  JSON.stringify(wrap("command.hello", { id, source: "test", timeMs: 0 }, { incarnation: "one", pid: 1 }));

let rig: Rig;
let orchestrator: NatsConnection;
let qa: NatsConnection;
const seen: Command[] = [];
const dead: DeadMessage[] = [];
const subjects: string[] = [];

beforeAll(async () => {
  rig = await openRig();
  const bus = await rig.connect("orchestrator");
  orchestrator = bus.nats;
  await openJournalStream(bus);
  await serveCommands(bus, {
    onCommand(command) {
      seen.push(command);
      command.respond(okay);
    },
    onDead: (each) => void dead.push(each),
  });
  orchestrator.subscribe(">", { callback: (_error, message) => void subjects.push(message.subject) });
  await orchestrator.flush();
  qa = (await rig.connect("qa1")).nats;
});
afterAll(() => rig.close());

describe("A1: a user publishes its own commands only", () => {
  test.each([
    ["another role's command", "local.ops.ops1.hello"],
    ["another agent of its own role", "local.qa.qa2.hello"],
    ["the orchestrator's own subject of its command", "local.cmd.qa.qa1.hello"],
    ["another role's command on the orchestrator's subject", "local.cmd.ops.ops1.hello"],
    ["a verb that its role has not", "local.qa.qa1.rule"],
    ["an event", "local.event.q-aaaaaaaa.quest.ended"],
    ["a dead letter", "local.dead.message_invalid"],
    ["the JetStream API", "$JS.API.STREAM.PURGE.JOURNAL_LOCAL"],
    ["the system account's subjects", "$SYS.REQ.SERVER.PING"],
  ])("%s is refused", async (_what, subject) => {
    const before = seen.length + dead.length;
    await expect(qa.request(subject, hello("forged"), { timeout: 2_000 })).rejects.toThrow(
      /permissions violation/i,
    );
    expect(seen.length + dead.length).toBe(before);
  });

  test("its own command arrives with the role and name of its credential", async () => {
    const answer = await qa.request("local.qa.qa1.hello", hello("own"), { timeout: 2_000 });
    expect(answer.json()).toEqual(okay);
    expect(seen.at(-1)).toMatchObject({ id: "own", verb: "hello", actor: { role: "qa", name: "qa1" } });
  });

  test.each([
    "local.worker.hand.claim",
    "local.worker.hand.cancel",
    "local.operator.me.supply",
    "local.cmd.operator.me.supply",
  ])("a worker may ask for requests and supply, and not publish %s", async (subject) => {
    const { nats } = await rig.connect("hand");
    await expect(nats.request(subject, hello("forged"), { timeout: 2_000 })).rejects.toThrow(
      /permissions violation/i,
    );
  });

  test("a client of a role without the verb is told so, without waiting", async () => {
    const client = createClient(await rig.connect("operator"));
    const ruling = { escalation: "e-aaaaaaaa", decision: "accept", reason: "mine", guidance: null } as const;
    await expect(client.request("rule", ruling)).rejects.toMatchObject({ code: "ROLE_FORBIDDEN" });
  });
});

describe("A2: a forged reply subject leads nowhere", () => {
  test.each([
    ["another role's command", "local.cmd.ops.ops1.report"],
    ["another role's command as that role sends it", "local.ops.ops1.report"],
    ["the purge of the journal stream", "$JS.API.STREAM.PURGE.JOURNAL_LOCAL"],
    ["an event", "local.event.q-aaaaaaaa.quest.ended"],
  ])("%s", async (_what, reply) => {
    const at = subjects.length;
    const count = seen.length;
    qa.publish("local.qa.qa1.hello", hello("forged-reply"), { reply });
    await eventually(() => seen.length > count);
    // A second command behind it: what the answer to the first caused would have come before this one.
    await qa.request("local.qa.qa1.hello", hello("after"), { timeout: 2_000 });
    const arrived = subjects.slice(at).filter((subject) => !subject.startsWith("_"));
    expect(arrived).toEqual(["local.cmd.qa.qa1.hello", "local.cmd.qa.qa1.hello"]);
  });

  test("the journal stream still holds its rows", async () => {
    const bus = await rig.connect("orchestrator");
    const stream = await openJournalStream(bus);
    await stream.publish([eventAt(1), eventAt(2)]);
    const at = seen.length;
    qa.publish("local.qa.qa1.hello", hello("purge"), { reply: "$JS.API.STREAM.PURGE.JOURNAL_LOCAL" });
    await eventually(() => seen.length > at);
    const info = await (await jetstreamManager(bus.nats)).streams.info("JOURNAL_LOCAL");
    expect(info.state.messages).toBe(2);
  });
});

describe("A3: a user hears its own inbox and the events, nothing else", () => {
  test.each(["local.cmd.>", "local.qa.>", "local.dead.>", "_INBOX_qa-qa2.>", "_INBOX.>", ">", "$JS.>"])(
    "%s is refused",
    async (subject) => {
      const refused = new Promise<Error | undefined>((resolve) => {
        qa.subscribe(subject, { callback: (error) => resolve(error ?? undefined) });
      });
      expect(String(await refused)).toMatch(/permissions violation/i);
    },
  );

  test("JetStream is not there for a role", async () => {
    await expect(jetstreamManager(qa, { timeout: 1_000 })).rejects.toThrow();
    await expect(jetstream(qa, { timeout: 1_000 }).publish("local.event.stack.x", "{}")).rejects.toThrow();
  });

  test("nobody gets in without a credential, or with a foreign one", async () => {
    await expect(connect({ servers: rig.broker.url, reconnect: false })).rejects.toThrow(/authorization/i);
    const other = await openRig();
    const foreign = other.credentialOf("orchestrator");
    await other.close();
    await expect(connectBus({ url: rig.broker.url, credential: foreign })).rejects.toMatchObject({
      code: "CREDENTIAL_REFUSED",
    });
  });
});

test("the broker takes messages of the protocol's size", () => {
  expect(orchestrator.info?.max_payload).toBeGreaterThanOrEqual(limit.messageBytesMax);
});
