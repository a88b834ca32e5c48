import type { BusClient } from "@questbus/bus";
import { limit, QuestbusError } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { openLeases } from "../src/mcp/leases.ts";

const held = { assignment: "q-aaaaaaaa.qa", epoch: 2, holdMs: limit.heldMs, grant: null };

/** A bus that keeps what it is sent, and a clock that the test moves. */
function rig(refuse: (verb: string) => QuestbusError | null = () => null) {
  const sent: string[] = [];
  const due: { atMs: number; work(): void }[] = [];
  let nowMs = 0;
  const client = {
    async request(verb: string) {
      sent.push(verb);
      const refused = refuse(verb);
      if (refused) throw refused;
      return { status: "none" };
    },
  } as unknown as BusClient;
  const leases = openLeases(async () => client, {
    nowMs: () => nowMs,
    steadyMs: () => nowMs,
    soon: (work) => work(),
    after(ms, work) {
      const each = { atMs: nowMs + ms, work };
      due.push(each);
      return () => void due.splice(due.indexOf(each), 1);
    },
  });
  return {
    leases,
    sent,
    async pass(ms: number) {
      for (const untilMs = nowMs + ms; nowMs < untilMs; ) {
        nowMs += limit.renewEveryMs;
        for (const each of due.filter(({ atMs }) => atMs <= nowMs)) {
          due.splice(due.indexOf(each), 1);
          each.work();
        }
        await new Promise(setImmediate);
      }
    },
    idle: () => due.length === 0,
  };
}

const stale = new QuestbusError({ code: "LEASE_STALE", message: "offered anew" });

describe("leases that are kept for a client", () => {
  test("L1: renewed until it has not spoken for as long as it asked for, and no longer", async () => {
    const { leases, sent, pass, idle } = rig();
    leases.keep({ ...held, holdMs: 30_000 });
    await pass(27_000);
    const before = sent.length;
    expect(before).toBeGreaterThanOrEqual(9);
    expect(leases.touch(held.assignment, held.epoch)).toMatchObject({ holdMs: 30_000 });
    await pass(27_000);
    expect(sent.length).toBeGreaterThan(before + 7);
    await pass(30_000);
    const after = sent.length;
    await pass(60_000);
    expect(sent.length).toBe(after);
    expect(idle()).toBe(true);
    expect(leases.touch(held.assignment, held.epoch)).toBe(null);
  });

  test("L2: reported or lost, it is renewed no more; a bus that is away is no word on it", async () => {
    const { leases, sent, pass } = rig();
    leases.keep(held);
    leases.forget(held.assignment, held.epoch);
    await pass(30_000);
    expect(sent).toEqual([]);

    const gone = rig(() => stale);
    gone.leases.keep(held);
    await gone.pass(30_000);
    expect(gone.sent).toEqual(["renew"]);

    const away = rig(() => new QuestbusError({ code: "BUS_UNAVAILABLE", message: "away" }));
    away.leases.keep(held);
    await away.pass(30_000);
    expect(away.sent.length).toBeGreaterThan(5);
  });

  test("L3: an orderly end gives back what is held, and a refusal of that is no fault", async () => {
    const { leases, sent, idle } = rig(() => stale);
    leases.keep(held);
    leases.keep({ ...held, epoch: 3 });
    await leases.close();
    expect(sent).toEqual(["release", "release"]);
    expect(idle()).toBe(true);
  });

  test("L3: the end waits for the calls that withdraw, and gives back what they were granted meanwhile", async () => {
    const { leases, sent, idle } = rig();
    const { promise, resolve } = Promise.withResolvers<void>();
    leases.awaiting(promise);
    const closing = leases.close();
    leases.keep(held);
    resolve();
    await closing;
    expect(sent).toEqual(["release"]);
    expect(idle()).toBe(true);
  });
});
