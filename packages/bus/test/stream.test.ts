import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { envelope, type JournalEvent, journalRow } from "@questbus/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type BusConnection, createClient, type DeadMessage, openJournalStream } from "../src/index.ts";
import { eventAt, eventually, openRig, type Rig } from "./rig.ts";

let rig: Rig;
let bus: BusConnection;
beforeEach(async () => {
  rig = await openRig();
  bus = await rig.connect("orchestrator");
});
afterEach(() => rig.close());

const rows = (from: number, to: number): JournalEvent[] =>
  Array.from({ length: to - from + 1 }, (_, at) => eventAt(from + at));

/** The `seq` of every row in the stream, in the stream's order. */
async function stored(): Promise<number[]> {
  const jsm = await jetstreamManager(bus.nats);
  const { state } = await jsm.streams.info("JOURNAL_LOCAL");
  if (state.messages === 0) return [];
  await jsm.consumers.add("JOURNAL_LOCAL", {
    name: "reader",
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
  });
  const consumer = await jetstream(bus.nats).consumers.get("JOURNAL_LOCAL", "reader");
  const batch = await consumer.fetch({ max_messages: state.messages, expires: 5_000 });
  const found: number[] = [];
  for await (const message of batch) found.push(journalRow.parse(envelope.parse(message.json()).data).seq);
  await jsm.consumers.delete("JOURNAL_LOCAL", "reader");
  return found;
}
const numbers = (from: number, to: number): number[] => rows(from, to).map((row) => row.seq);

test("J1: rows are stored in order, beyond one pipeline's length", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 600));
  await stream.publish([]);
  expect(await stored()).toEqual(numbers(1, 600));
});

test("J2: rows that were stored already are not stored twice, whatever part of them", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 10));
  await stream.publish(rows(1, 10));
  await stream.publish(rows(7, 14));
  const other = await openJournalStream(await rig.connect("orchestrator"));
  await other.publish(rows(3, 20));
  await stream.publish(rows(18, 24));
  expect(await stored()).toEqual(numbers(1, 24));
});

test("J2: rows that took the place of others, after a restore to an earlier moment, are stored", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 6));
  const others = rows(4, 5).map((row) => ({ ...row, hash: "f".repeat(64) }));
  await stream.publish(others);
  expect(await stored()).toEqual([...numbers(1, 6), 4, 5]);
});

test("J1: a broker killed in the middle costs no row and no order", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 100));
  const rest = stream.publish(rows(101, 3_000), { retryForMs: 20_000 });
  await rig.restart();
  await rest;
  expect(await stored()).toEqual(numbers(1, 3_000));
});

test("J3: with its data folder deleted, the stream is made anew", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 5));
  await rig.restart(() => rmSync(join(rig.dir, "broker", "js"), { recursive: true }));
  await stream.publish(rows(6, 9), { retryForMs: 20_000 });
  expect(await stored()).toEqual(numbers(6, 9));
});

test("J3: a stream deleted while the broker runs is made anew", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 5));
  await (await jetstreamManager(bus.nats)).streams.delete("JOURNAL_LOCAL");
  await stream.publish(rows(6, 9));
  expect(await stored()).toEqual(numbers(6, 9));
});

test("J3: its data folder deleted under the running broker, rows are still taken, at the latest after its restart", async () => {
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 5));
  rmSync(join(rig.dir, "broker", "js"), { recursive: true });
  await stream.publish(rows(6, 7)).catch(() => {});
  await rig.restart();
  await stream.publish(rows(8, 9), { retryForMs: 20_000 });
  expect((await stored()).slice(-2)).toEqual([8, 9]);
});

test("a data folder that the server refuses is put away", async () => {
  await rig.restart(() => {
    rmSync(join(rig.dir, "broker", "js"), { recursive: true });
    writeFileSync(join(rig.dir, "broker", "js"), "not a folder");
  });
  const stream = await openJournalStream(bus);
  await stream.publish(rows(1, 2));
  expect(await stored()).toEqual([1, 2]);
});

test("without a broker, publishing gives up with BUS_UNAVAILABLE, and works again afterwards", async () => {
  const stream = await openJournalStream(bus);
  await rig.restart(async () => {
    await expect(stream.publish(rows(1, 3), { retryForMs: 100 })).rejects.toMatchObject({
      code: "BUS_UNAVAILABLE",
    });
  });
  await stream.publish(rows(1, 3), { retryForMs: 20_000 });
  expect(await stored()).toEqual([1, 2, 3]);
});

test("a dead letter is kept with its reasons", async () => {
  const stream = await openJournalStream(bus);
  const dead: DeadMessage = {
    subject: "local.cmd.qa.qa1.claim",
    actor: { role: "qa", name: "qa1" },
    code: "MESSAGE_INVALID",
    faults: ["data.waitMs: Invalid input"],
    sha256: "0".repeat(64),
    excerpt: "{}",
  };
  await stream.publishDead({ ...dead, timeMs: 1 });
  const message = await (await jetstreamManager(bus.nats)).streams.getMessage("DEAD_LOCAL", { seq: 1 });
  expect(message?.subject).toBe("local.dead.message_invalid");
  expect(envelope.parse(message?.json()).data).toMatchObject(dead);
});

test("rows outside of quests travel in pages, and each watcher gets each of them once, in order", async () => {
  const stream = await openJournalStream(bus);
  const mixed = rows(1, 300).map(
    (row): JournalEvent => (row.seq % 100 === 0 ? row : { ...row, quest: null }),
  );
  const seen: number[] = [];
  const client = createClient(await rig.connect("me"));
  await client.watchEvents({}, ({ seq }) => seen.push(seq));
  await stream.publish(mixed.slice(0, 150));
  await stream.publish(mixed.slice(120));
  await eventually(() => seen.length >= 300);
  expect(seen).toEqual(numbers(1, 300));
  const { state } = await (await jetstreamManager(bus.nats)).streams.info("JOURNAL_LOCAL");
  expect(state.messages).toBeLessThan(12);
});
