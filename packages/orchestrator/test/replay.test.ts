import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApprovalAnswer } from "@questbus/protocol";
import { projectionLines, type Store, type StoredAnswer } from "@questbus/store";
import { improving, scriptedReport } from "@questbus/testkit/scripted-report";
import { turnsQuest, workersChange, workersFiles } from "@questbus/testkit/turn-case";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { rememberPast } from "../src/past-answer.ts";
import { checkReplay, openFollower, replayInto } from "../src/replay.ts";
import {
  agent,
  arbiter,
  close,
  codeOf,
  dataOf,
  freshDir,
  freshStore,
  granted,
  openRig,
  operator,
  play,
  type Rig,
  rows,
  send,
  stateOf,
  submit,
  until,
} from "./rig.ts";

/** A state directory in which about everything has happened once; each test gets a copy. */
const lifetime = { dir: "", open: "" };

beforeAll(async () => {
  lifetime.dir = mkdtempSync(join(tmpdir(), "questbus-lifetime-"));
  const rig = await openRig({ dir: lifetime.dir });
  await send(rig, agent("qa"), "hello", { incarnation: "first", pid: 1 });
  const accepted = await submit(rig, improving);
  await play(rig, accepted, [{}, { suite: "red" }, { gain: 0.12 }]);
  const escalated = await submit(rig, { title: "Escalated" });
  await play(rig, escalated, [{ gain: 0 }, { gain: 0.12 }, { worse: 0.5 }]);
  const escalation = stateOf(rig, escalated).escalation?.id ?? "";
  await send(rig, arbiter, "rule", { escalation, decision: "accept", reason: "good enough", guidance: null });
  await play(rig, escalated);
  const cancelled = await submit(rig, { title: "Cancelled" });
  await until(rig, cancelled, "suite");
  await send(rig, operator, "cancel", { quest: cancelled, reason: "x" });
  const open = await submit(rig, { title: "Open" });
  await until(rig, open, "gate");
  lifetime.open = open;
  await close(rig);
});

afterAll(() => rmSync(lifetime.dir, { recursive: true, force: true }));

async function lived(): Promise<{ rig: Rig; open: string }> {
  const dir = freshDir();
  cpSync(lifetime.dir, dir, { recursive: true });
  return { rig: await openRig({ dir }), open: lifetime.open };
}

const replayed = (store: Store): string => checkReplay(store, freshStore()).difference?.code ?? "same";

describe("replaying the journal into an empty store", () => {
  it("gives identical projections", async () => {
    const { rig } = await lived();
    const empty = freshStore();
    expect(checkReplay(rig.store, empty)).toMatchObject({ events: rows(rig.store).length, difference: null });
    const lines = [...projectionLines(empty)];
    expect(lines).toEqual([...projectionLines(rig.store)]);
    expect(lines.length).toBeGreaterThan(20);
  });

  it("gives them at every row of the journal", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    for (let steps = 0; steps < 6; steps++) {
      rig.clock.nowMs += 7;
      await until(
        rig,
        quest,
        ["fitness", "base-suite", "base-measure", "choose", "separate", "prepare"][steps] ?? "",
      );
      expect(replayed(rig.store)).toBe("same");
    }
  });

  it("gives them when the last row of a quest is a refusal", async () => {
    const { rig, open } = await lived();
    rig.clock.nowMs += 1_000;
    await send(rig, agent("performance"), "release", {
      assignment: `${open}.performance`,
      epoch: 99,
      reason: "x",
    });
    expect(rows(rig.store).at(-1)).toMatchObject({ type: "command.refused", quest: open });
    expect(replayed(rig.store)).toBe("same");
  });

  it("gives them when a quest that has ended is asked for something", async () => {
    const { rig } = await lived();
    const [ended] = rows(rig.store, "quest.ended");
    rig.clock.nowMs += 1_000;
    await send(rig, operator, "cancel", { quest: ended?.quest ?? "", reason: "x" });
    expect(rows(rig.store).at(-1)).toMatchObject({ type: "command.refused", body: { code: "QUEST_ENDED" } });
    expect(replayed(rig.store)).toBe("same");
  });

  it("names the first projected row that was changed by hand", async () => {
    const { rig, open } = await lived();
    const row = rig.store.getQuest(open);
    if (!row) throw new TypeError("the quest is gone");
    rig.store.transact((tx) => tx.putQuest({ ...row, title: "Another title" }));
    const { difference } = checkReplay(rig.store, freshStore());
    expect(difference?.code).toBe("REPLAY_DIFFERS");
    expect(difference?.faults[0]?.where).toMatch(/^projection line \d+$/);
  });

  it("notices a projected row that the journal does not give, and one that is missing", async () => {
    const { rig } = await lived();
    rig.store.transact((tx) =>
      tx.putAgent({ role: "ops", name: "zz", incarnation: "never", pid: 1, joinedMs: 1, seq: 1 }),
    );
    expect(replayed(rig.store)).toBe("REPLAY_DIFFERS");
    const bare = freshStore();
    bare.transact((tx) => tx.append(rows(rig.store), { timeMs: 1, command: null }));
    expect(replayed(bare)).toBe("REPLAY_DIFFERS");
  });

  it("of an empty journal is empty", () => {
    expect(replayInto(freshStore(), freshStore())).toEqual({ events: 0, verdicts: 0, faults: [] });
  });
});

/** What was answered to each command that left a row, and what its rows give where the answers are lost. */
function answersIn(store: Store) {
  const into = freshStore();
  openFollower(into).transact((take, tx) => {
    for (const row of rows(store)) rememberPast(tx, row, take(row));
  });
  const ids = [...new Set(rows(store).flatMap(({ command }) => command ?? []))];
  const answersOf = (of: Store) => of.transact((tx) => ids.map((id) => coreOf(tx.answerOf(id))));
  return { stored: answersOf(store), restored: answersOf(into), ids };
}

describe("the answers of a journal", () => {
  it("are what was answered, for every command that left a row", async () => {
    const { rig } = await lived();
    const { stored, restored, ids } = answersIn(rig.store);
    expect(restored).toEqual(stored);
    expect(ids.length).toBeGreaterThan(80);
  });

  it("are what was answered of approvals and of turns", async () => {
    const rig = await openRig();
    const quest = await submit(rig, turnsQuest);
    await until(rig, quest, "prepare");
    const grant = await granted(rig, agent("ops"));
    const { assignment, epoch } = grant;
    for (const verb of ["grant", "deny"] as const) {
      const asked = { assignment, epoch, kind: "mcp", what: `to ${verb}`, why: "it is wanted" } as const;
      const { approval } = dataOf<ApprovalAnswer>(await send(rig, agent("ops"), "approval", asked));
      dataOf(await send(rig, operator, verb, { approval, reason: "so it is" }));
    }
    dataOf(await send(rig, agent("ops"), "report", scriptedReport(grant)));
    const asking = { status: "clarification" as const, files: [], next: "qa" as const, change: null };
    const sure = { files: workersFiles, certainty: 1, sources: ["src/search.js"], next: null };
    const done = { status: "completed" as const, ...sure };
    const turns = [asking, { ...done, change: workersChange }, { ...done, change: { turn: 2 } }];
    for (const [at, answer] of turns.entries()) {
      const who = agent(at === 1 ? "qa" : "performance");
      dataOf(await send(rig, who, "monitor", { waitMs: 0 }));
      dataOf(await send(rig, who, "respond", { quest, turn: at + 1, message: "so it is", ...answer }));
    }
    expect(rows(rig.store, "candidate.supplied")).toHaveLength(1);
    const { stored, restored } = answersIn(rig.store);
    expect(restored).toEqual(stored);
  });

  it("are not of who was refused under an id that says whose it is", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const id = `mcp/operator/${operator.name}/cancel/stop-1`;
    const note = { assignment: `${quest}.qa`, epoch: 1, text: "mine" };
    expect(codeOf(await send(rig, agent("qa"), "note", note, id))).toBe("MESSAGE_INVALID");
    expect(codeOf(await send(rig, operator, "cancel", { quest, reason: "stop" }, id))).toBe("ok");
    const { stored, restored } = answersIn(rig.store);
    expect(restored).toEqual(stored);
  });

  it("are nobody's where the broker's refusals were told: the row names another than who told it", async () => {
    const rig = await openRig();
    const told = { kind: "publish", agent: { role: "qa", name: "qa" }, detail: "x", count: 1 } as const;
    dataOf(await send(rig, operator, "refusals", { refusals: [told] }));
    expect(rows(rig.store, "broker.refused")).toHaveLength(1);
    expect(answersIn(rig.store).restored).toEqual([coreOf(null)]);
  });
});

/** An answer without the number of the last row, and a refusal without what only its moment knew. */
function coreOf(known: StoredAnswer | null): unknown {
  type Told = { ok?: boolean; data?: unknown; faults?: { code: string }[] };
  const { ok, data, faults } = (known?.answer ?? {}) as Told;
  return { actor: known?.actor, ok, data, codes: faults?.map(({ code }) => code) };
}

describe("the verdicts of a journal", () => {
  it("are all what their evidence gives", async () => {
    const { rig } = await lived();
    expect(replayInto(rig.store, freshStore())).toMatchObject({ verdicts: 7, faults: [] });
  });

  it("are named where they are not", async () => {
    const { rig } = await lived();
    const forged = freshStore();
    const events = rows(rig.store).map((event) =>
      event.type === "pass.judged" && event.body.verdict.verdict === "NO_EFFECT"
        ? { ...event, body: { ...event.body, verdict: { ...event.body.verdict, verdict: "KEEP" as const } } }
        : event,
    );
    forged.transact((tx) => tx.append(events, { timeMs: 1, command: null }));
    expect(replayInto(forged, freshStore()).faults).toMatchObject([
      { stored: "KEEP", recomputed: "NO_EFFECT" },
    ]);
  });
});
