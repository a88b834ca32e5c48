import {
  type CommandData,
  limit,
  type MonitorAnswer,
  type ReadAnswer,
  type TurnGrant,
} from "@questbus/protocol";
import { turnsQuest } from "@questbus/testkit/turn-case";
import { describe, expect, it } from "vitest";
import { checkReplay } from "../src/replay.ts";
import {
  agent,
  close,
  codeOf,
  dataOf,
  freshStore,
  openRig,
  operator,
  pass,
  play,
  poke,
  post,
  type Rig,
  rows,
  send,
  stateOf,
  submit,
} from "./rig.ts";

/** Conversations at the desk: who waits for a turn is told of it, in time, and a turn outlives a restart. */

const lead = agent("performance", "lead");
const reader = agent("qa", "reader");
const minuteMs = 60_000;

/** A quest of which the leader has its first turn offered. */
async function opened(rig: Rig, turns: object = {}): Promise<string> {
  const [{ turns: given }] = turnsQuest.fixers as [{ turns: object }];
  const quest = await submit(rig, { ...turnsQuest, fixers: [{ turns: { ...given, ...turns } }] });
  await play(rig, quest);
  return quest;
}

const monitor = (rig: Rig, who = lead, waitMs = 0, quest?: string): ReturnType<typeof post> =>
  post(rig, who, "monitor", { waitMs, ...(quest ? { quest } : {}) });
const told = async (rig: Rig, who = lead): Promise<MonitorAnswer> => dataOf(await monitor(rig, who).answer);
async function taken(rig: Rig, who = lead): Promise<TurnGrant> {
  const answer = await told(rig, who);
  if (answer.status === "yours") return answer.turn;
  throw new TypeError(`not yet: ${JSON.stringify(answer)}`);
}
const give = (rig: Rig, quest: string, turn: number, message = "which files?") =>
  send(rig, lead, "respond", {
    quest,
    turn,
    status: "clarification",
    message,
    files: [],
    next: "qa",
    change: null,
  });

const workers: Omit<CommandData["respond"], "quest" | "turn"> = {
  status: "blocked",
  message: "no idea",
  files: [],
  next: null,
  change: null,
};

describe("an agent that monitors", () => {
  it("is told as soon as the turn is its own, of a quest that it names or of any", async () => {
    const rig = await openRig();
    const first = monitor(rig, lead, 120_000);
    const quest = await opened(rig);
    expect(dataOf(await first.answer)).toMatchObject({
      status: "yours",
      turn: { quest, turn: 1, part: "leader", agent: "lead", leftMs: 5 * minuteMs },
    });
    const worker = monitor(rig, reader, 120_000, quest);
    await poke(rig);
    expect(worker.answers).toEqual([]);
    dataOf(await give(rig, quest, 1));
    expect(dataOf(await worker.answer)).toMatchObject({ status: "yours", turn: { turn: 2, part: "worker" } });
    expect(await told(rig, reader), "and again, until it answers").toMatchObject({ turn: { turn: 2 } });
    expect(rows(rig.store, "turn.taken")).toHaveLength(2);
  });

  it("is told whose turn it is when its time is over, and that the quest has ended when it has", async () => {
    const rig = await openRig();
    const quest = await opened(rig);
    await taken(rig);
    const standing = { quest, pass: 1, turn: 1, role: "performance", agent: "lead", paused: false };
    expect(await told(rig, reader)).toEqual({ status: "waiting", turns: [standing] });
    const long = monitor(rig, reader, 120_000);
    await pass(rig, 119_000);
    expect(long.answers).toEqual([]);
    await pass(rig, 1_001);
    expect(dataOf(await long.answer)).toEqual({ status: "waiting", turns: [standing] });
    const named = monitor(rig, reader, 120_000, quest);
    dataOf(await send(rig, operator, "cancel", { quest, reason: "enough" }));
    expect(dataOf(await named.answer)).toEqual({ status: "ended", quest, ending: "cancelled" });
    expect(await told(rig, reader)).toEqual({ status: "waiting", turns: [] });
  });

  it("waits once, beside its claim; one of another agent is not ended by it", async () => {
    const rig = await openRig();
    const claims = post(rig, reader, "claim", { waitMs: 20_000 });
    const [one, other] = [monitor(rig, reader, 120_000), monitor(rig, agent("qa", "other"), 120_000)];
    const two = monitor(rig, reader, 120_000);
    expect(dataOf(await one.answer)).toEqual({ status: "waiting", turns: [] });
    expect([claims.answers, two.answers, other.answers]).toEqual([[], [], []]);
    await close(rig);
    expect(dataOf(await two.answer)).toEqual({ status: "waiting", turns: [] });
  });

  it("no longer waits once it has left or was revoked, and the turn goes to another of its role", async () => {
    const rig = await openRig();
    const quest = await opened(rig);
    await taken(rig);
    const [one, gone] = [monitor(rig, reader, 120_000), monitor(rig, agent("qa", "gone"), 120_000)];
    await poke(rig);
    dataOf(await send(rig, reader, "leave", {}));
    dataOf(await send(rig, operator, "revoke", { role: "qa", name: "gone" }));
    for (const each of [one, gone]) expect(dataOf(await each.answer)).toMatchObject({ status: "waiting" });
    const two = monitor(rig, agent("qa", "two"), 120_000);
    dataOf(await give(rig, quest, 1));
    expect(dataOf(await two.answer)).toMatchObject({ status: "yours", turn: { turn: 2, agent: "two" } });
    expect(rows(rig.store, "turn.taken").at(-1)).toMatchObject({ actor: agent("qa", "two") });
  });

  it("and takes no part is refused where it names the quest", async () => {
    const rig = await openRig();
    const quest = await opened(rig);
    expect(codeOf(await monitor(rig, agent("ops"), 0, quest).answer)).toBe("NOT_A_PARTICIPANT");
    expect(await told(rig, agent("ops"))).toEqual({ status: "waiting", turns: [] });
  });
});

describe("a turn", () => {
  it("that nobody answers goes back to the leader when its time is over, and never hangs the quest", async () => {
    const rig = await openRig();
    const quest = await opened(rig, { turnWithin: "2m" });
    await taken(rig);
    dataOf(await give(rig, quest, 1));
    const waiting = monitor(rig, lead, 120_000);
    await pass(rig, 2 * minuteMs + 1);
    expect(dataOf(await waiting.answer)).toMatchObject({ status: "yours", turn: { turn: 3 } });
    for (let turn = 3; turn < 5; turn++) await pass(rig, 2 * minuteMs + 1);
    expect(stateOf(rig, quest).passes[0]).toMatchObject({ crash: { code: "TURN_MISSED" } });
    expect(rows(rig.store, "turn.breached").map(({ body }) => body)).toMatchObject([
      { by: "qa", turn: 2 },
      { by: "performance/lead", turn: 3 },
      { by: "performance", turn: 4 },
    ]);
  });

  it("outlives the orchestrator, with its agent; who has it gets time to say so", async () => {
    const rig = await openRig();
    const quest = await opened(rig);
    await taken(rig);
    await close(rig);
    const again = await openRig({ dir: rig.dir, nowMs: () => 1_000_000 + 6 * minuteMs });
    await poke(again);
    expect(rows(again.store, "turn.breached")).toEqual([]);
    expect(codeOf(await give(again, quest, 1))).toBe("ok");
    await close(again);
  });

  it("is its agent's no longer when that leaves or is revoked: another of its role has it, and nobody broke a rule", async () => {
    const rig = await openRig();
    const quest = await opened(rig, { turnsMax: 8 });
    await taken(rig);
    dataOf(await give(rig, quest, 1));
    await taken(rig, reader);
    dataOf(await send(rig, reader, "respond", { ...workers, quest, turn: 2 }));
    dataOf(await send(rig, reader, "leave", {}));
    await taken(rig);
    dataOf(await give(rig, quest, 3));
    const two = agent("qa", "two");
    expect(await taken(rig, two)).toMatchObject({ turn: 4, agent: "two" });
    const three = monitor(rig, agent("qa", "three"), 120_000);
    await poke(rig);
    expect(three.answers).toEqual([]);
    dataOf(await send(rig, operator, "revoke", { role: "qa", name: "two" }));
    expect(dataOf(await three.answer)).toMatchObject({ status: "yours", turn: { turn: 4, agent: "three" } });
    expect(rows(rig.store, "turn.breached")).toEqual([]);
    expect(checkReplay(rig.store, freshStore()).difference).toBeNull();
  });

  it("is held by a pause: it may be answered, the next one is given out after resume, with its whole time", async () => {
    const rig = await openRig();
    const quest = await opened(rig, { onBreach: "pause" });
    await taken(rig);
    const bad = `{"data":{"quest":"${quest}","turn":1`;
    rig.handlers.onDead({
      ...{ subject: "local.cmd.qa.reader.respond", actor: reader, code: "MESSAGE_INVALID" },
      ...{ faults: ["message: not JSON"], sha256: "a".repeat(64), excerpt: bad },
    });
    await poke(rig);
    expect(stateOf(rig, quest).pause).toMatchObject({ why: expect.stringContaining("MESSAGE_INVALID") });
    expect(stateOf(rig, quest).halted).toBeDefined();
    expect(await taken(rig), "it has it still").toMatchObject({ turn: 1 });
    expect(codeOf(await give(rig, quest, 1))).toBe("ok");
    expect(await told(rig, reader)).toMatchObject({ status: "waiting", turns: [{ turn: 2, paused: true }] });
    const early = await send(rig, reader, "respond", { ...workers, quest, turn: 2 });
    expect(codeOf(early)).toBe("TURN_NOT_TAKEN");
    await pass(rig, 60 * minuteMs);
    expect(rows(rig.store, "turn.breached")).toHaveLength(1);
    const waiting = monitor(rig, reader, 120_000);
    dataOf(await send(rig, operator, "resume", { scope: quest }));
    expect(dataOf(await waiting.answer)).toMatchObject({ status: "yours", turn: { leftMs: 5 * minuteMs } });
  });
});

describe("an answer that cannot be read", () => {
  it("is a breach also of an agent of which no more dead letters are kept", async () => {
    const rig = await openRig();
    const quest = await opened(rig, { onBreach: "cancel" });
    const unreadable = (verb: string, excerpt: string): void =>
      rig.handlers.onDead({
        ...{ subject: `local.cmd.qa.reader.${verb}`, actor: reader, code: "MESSAGE_INVALID", excerpt },
        ...{ faults: ["message: not JSON"], sha256: "a".repeat(64) },
      });
    for (let at = 0; at < limit.deadLettersMax + 5; at++) unreadable("claim", "{");
    const { length } = rows(rig.store);
    unreadable("respond", '{"data":{"quest":"q-00000000"');
    expect(rows(rig.store), "of no quest: only counted").toHaveLength(length);
    unreadable("respond", `{"data":{"quest":"${quest}","turn":1`);
    await poke(rig);
    expect(rows(rig.store, "message.dead")).toHaveLength(limit.deadLettersMax);
    expect(stateOf(rig, quest)).toMatchObject({
      status: "cancelled",
      ending: { reason: expect.stringContaining("MESSAGE_INVALID") },
    });
    expect(checkReplay(rig.store, freshStore()).difference).toBeNull();
  });
});

describe("a conversation", () => {
  it("is read in pages, by those who take part, and is the same in a replay of the journal", async () => {
    const rig = await openRig();
    const quest = await opened(rig, { turnsMax: 40 });
    for (let turn = 1; turn < 12; turn += 2) {
      await taken(rig);
      dataOf(await give(rig, quest, turn, `question ${turn}`));
      await taken(rig, reader);
      dataOf(await send(rig, reader, "respond", { ...workers, quest, turn: turn + 1 }));
    }
    const seen: number[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page: ReadAnswer = dataOf(await send(rig, reader, "read", { quest, after, limit: 5 }));
      expect(page.entries.length).toBeLessThanOrEqual(5);
      seen.push(...page.entries.map(({ turn }) => turn));
      after = page.next;
    }
    expect(seen).toEqual(Array.from({ length: 12 }, (_, at) => at + 1));
    expect(codeOf(await send(rig, agent("ops"), "read", { quest, after: 0, limit: 5 }))).toBe(
      "NOT_A_PARTICIPANT",
    );
    expect(checkReplay(rig.store, freshStore()).difference).toBeNull();
  });
});
