import { randomBytes } from "node:crypto";
import type { Batch } from "@questbus/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openJoin, partsOf } from "../src/batch-stream.ts";
import {
  type BatchStream,
  type BusConnection,
  Fenced,
  openBatchStream,
  openLeaderLease,
} from "../src/index.ts";
import { eventAt, eventually, openRig, type Rig } from "./rig.ts";

const batchOf = (node: string, epoch: number, from: number, to: number = from): Batch => ({
  node,
  epoch,
  publishedSeq: 0,
  rows: Array.from({ length: to - from + 1 }, (_, at) => eventAt(from + at)),
  answers: [],
  forgotten: null,
});

describe("parts of a batch", () => {
  test("come together again, whatever their size", () => {
    for (let size = 1; size <= 40; size += 1) {
      const bytes = randomBytes(39);
      const join = openJoin();
      const parts = partsOf(bytes, size);
      const whole = parts.map((part, at) => join(`${at + 1}/${parts.length}`, part));
      expect(whole.slice(0, -1).every((each) => each === null)).toBe(true);
      expect(Buffer.from(whole.at(-1) ?? []).equals(bytes)).toBe(true);
    }
  });

  test("that nobody finished are dropped by the batch that comes behind them", () => {
    const join = openJoin();
    const given = [
      ["1/3", "lost "],
      ["2/3", "lost "],
      ["1/2", "a"],
      ["2/2", "b"],
      ["3/3", "late"],
      ["1/1", "c"],
    ] as const;
    const found = given.map(([part, text]) => join(part, Buffer.from(text)));
    expect(found.map((each) => each && Buffer.from(each).toString())).toEqual([
      null,
      null,
      null,
      "ab",
      null,
      "c",
    ]);
  });
});

describe("on a broker", () => {
  let rig: Rig;
  let bus: BusConnection;
  let stream: BatchStream;
  beforeEach(async () => {
    rig = await openRig();
    bus = await rig.connect("orchestrator");
    stream = await openBatchStream(bus, { replicas: 1 });
  });
  afterEach(() => rig.close());

  test("T1: of two leaders at one place one gets its batch in; T3: a repetition is stored once", async () => {
    const first = await stream.append(batchOf("a", 1, 1, 2), 0);
    const outcomes = await Promise.allSettled([
      stream.append(batchOf("a", 1, 3), first),
      stream.append(batchOf("b", 2, 3), first),
    ]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const refused = outcomes.find((each) => each.status === "rejected");
    expect(refused?.reason).toBeInstanceOf(Fenced);
    const winner = outcomes[0]?.status === "fulfilled" ? "a" : "b";
    expect(await stream.append(batchOf(winner, winner === "a" ? 1 : 2, 3), first)).toBe(first + 1);
    expect(await stream.ends()).toEqual({ first: 1, last: 2 });
  });

  test("a reader gets what was there and what comes, a large batch whole", async () => {
    const large = batchOf("a", 1, 1, 8_000);
    const at = await stream.append(large, 0);
    expect(at).toBeGreaterThan(1);
    const seen: number[] = [];
    const stop = await stream.read(0, {
      onMessage: (what) => void seen.push(what?.rows.length ?? 0),
      onBroken: (error) => {
        throw error;
      },
    });
    await stream.append(batchOf("a", 1, 8_001), at);
    await eventually(() => seen.length > at);
    await stop();
    expect(seen).toEqual([...Array.from({ length: at - 1 }, () => 0), 8_000, 1]);
  });

  test("L1, L2: the lease is one node's until it is not renewed, and each tenure has a larger epoch", async () => {
    const [a, b] = await Promise.all(["a", "b"].map((node) => openLeaderLease(bus, { node, replicas: 1 })));
    const epoch = (await a?.take()) as number;
    expect(await b?.take()).toBeNull();
    expect(await a?.renew()).toBe(true);
    expect(await b?.take()).toBeNull();
    await a?.release();
    const next = (await b?.take()) as number;
    expect(next).toBeGreaterThan(epoch);
    expect(await a?.renew()).toBe(false);
    let later: number | null = null;
    while (later === null) later = (await a?.take()) as number | null;
    expect(later).toBeGreaterThan(next);
    expect(await b?.renew()).toBe(false);
  });
});
