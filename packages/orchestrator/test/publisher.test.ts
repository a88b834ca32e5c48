import { systemTime } from "@questbus/bus";
import { limit } from "@questbus/protocol";
import { describe, expect, it, vi } from "vitest";
import { openPublisher } from "../src/publisher.ts";
import { agent, close, fakeStream, freshStore, openRig, play, rows, send, silent, submit } from "./rig.ts";

const cursor = "journal-stream";
const event = (pid: number) =>
  ({ type: "agent.joined", quest: null, actor: agent("qa"), body: { incarnation: "i", pid } }) as const;

function rig() {
  const store = freshStore();
  const stream = fakeStream();
  const publisher = openPublisher({ store, stream, log: silent, time: systemTime });
  const append = (count: number): void => {
    const events = Array.from({ length: count }, (_, at) => event(at + 1));
    store.transact((tx) => tx.append(events, { timeMs: 1, command: null }));
  };
  return { store, stream, publisher, append, seqs: () => stream.rows.map((row) => row.seq) };
}

const count = (upTo: number): number[] => Array.from({ length: upTo }, (_, at) => at + 1);

describe("the journal stream", () => {
  it("gets every row once, in order, page by page", async () => {
    const { store, publisher, append, seqs } = rig();
    const many = limit.journalPageMax * 2 + 3;
    append(many);
    publisher.kick();
    await publisher.settled();
    expect(seqs()).toEqual(count(many));
    expect(store.getCursor(cursor)).toBe(many);
  });

  it("moves its cursor only after the stream has the rows", async () => {
    const { store, stream, publisher, append } = rig();
    const { promise, resolve } = Promise.withResolvers<void>();
    stream.before = () => promise;
    append(2);
    publisher.kick();
    await new Promise(setImmediate);
    expect(store.getCursor(cursor)).toBe(0);
    resolve();
    await publisher.settled();
    expect(store.getCursor(cursor)).toBe(2);
  });

  it("gets rows again after a failure, at the next kick, and none is left out", async () => {
    const { store, stream, publisher, append, seqs } = rig();
    stream.before = () => Promise.reject(new Error("the broker is gone"));
    append(2);
    publisher.kick();
    await publisher.settled();
    expect(store.getCursor(cursor)).toBe(0);
    stream.before = () => {};
    append(1);
    publisher.kick();
    await publisher.settled();
    expect(seqs()).toEqual([1, 2, 3]);
  });

  it("takes rows that come while it publishes, without a second run beside the first", async () => {
    const { stream, publisher, append, seqs } = rig();
    let running = 0;
    let most = 0;
    stream.before = async () => {
      most = Math.max(most, ++running);
      await new Promise(setImmediate);
      running -= 1;
    };
    for (let kicks = 0; kicks < 5; kicks++) {
      append(1);
      publisher.kick();
      await new Promise(setImmediate);
    }
    await publisher.settled();
    expect(seqs()).toEqual(count(5));
    expect(most).toBe(1);
  });

  it("moves its cursor once for many commits, and at once after as many rows as a watcher can drop", async () => {
    const store = freshStore();
    const due: (() => void)[] = [];
    const after = (_: number, work: () => void) => {
      due.push(work);
      return () => {};
    };
    const publisher = openPublisher({
      store,
      stream: fakeStream(),
      log: silent,
      time: { ...systemTime, after },
    });
    const publish = async (rowsMore: number): Promise<number> => {
      const events = Array.from({ length: rowsMore }, (_, at) => event(at + 1));
      store.transact((tx) => tx.append(events, { timeMs: 1, command: null }));
      publisher.kick();
      await new Promise(setImmediate);
      return store.getCursor(cursor);
    };
    expect([await publish(1), await publish(1)]).toEqual([0, 0]);
    expect(due).toHaveLength(1);
    expect(await publish(1_000)).toBe(1_002);
    expect(await publish(1)).toBe(1_002);
    due.at(-1)?.();
    expect(store.getCursor(cursor)).toBe(1_003);
  });

  it("publishes what a row of before was, when the cursor could not be moved", async () => {
    const { store, stream, append, seqs } = rig();
    append(1);
    const full = vi.fn(() => {
      throw new Error("disk full");
    });
    const publisher = openPublisher({
      store: { ...store, transact: full },
      stream,
      log: silent,
      time: systemTime,
    });
    publisher.kick();
    await publisher.settled();
    expect(full).toHaveBeenCalled();
    const healthy = openPublisher({ store, stream, log: silent, time: systemTime });
    healthy.kick();
    await healthy.settled();
    expect(seqs()).toEqual([1, 1]);
    expect(store.getCursor(cursor)).toBe(1);
  });
});

describe("an orchestrator and its stream", () => {
  it("publishes exactly its journal", async () => {
    const running = await openRig();
    await play(running, await submit(running), [{ gain: 0 }]);
    const expected = rows(running.store);
    await running.orchestrator.stop();
    expect(running.stream.rows).toEqual(expected);
  });

  it("answers whether or not the broker takes the rows", async () => {
    const running = await openRig();
    running.stream.before = () => Promise.reject(new Error("no broker"));
    await submit(running);
    expect(running.stream.rows).toEqual([]);
    running.stream.before = () => {};
    await send(running, agent("qa"), "hello", { incarnation: "i", pid: 1 });
    await running.orchestrator.stop();
    expect(running.stream.rows).toEqual(rows(running.store));
  });

  it("publishes after a restart what the one before could not", async () => {
    const running = await openRig();
    running.stream.before = () => Promise.reject(new Error("no broker"));
    await submit(running);
    const { dir } = running;
    await close(running);
    const again = await openRig({ dir });
    await again.orchestrator.stop();
    expect(again.stream.rows.map((row) => row.seq)).toEqual([1, 2, 3, 4]);
  });
});
