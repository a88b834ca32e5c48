import type { ClaimAnswer, PauseAnswer, PauseScope } from "@questbus/protocol";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { rememberPast } from "../src/past-answer.ts";
import { stackPauses } from "../src/pause-desk.ts";
import { checkReplay, cutBack, openFollower } from "../src/replay.ts";
import {
  agent,
  arbiter,
  claim,
  close,
  codeOf,
  dataOf,
  freshStore,
  granted,
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
  step,
  submit,
  until,
} from "./rig.ts";

/** Pauses on a real store: who gets the machine, what waits, and what a restart finds. */

const pause = async (rig: Rig, scope: PauseScope, why = "maintenance"): Promise<PauseAnswer> =>
  dataOf(await send(rig, operator, "pause", { scope, why }));
const resume = async (rig: Rig, scope: PauseScope): Promise<PauseAnswer> =>
  dataOf(await send(rig, operator, "resume", { scope }));
const claimed = async (rig: Rig, role: Parameters<typeof agent>[0]): Promise<string> =>
  dataOf<ClaimAnswer>(await claim(rig, agent(role))).status;
const none = {
  change: { patch: "--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-x\n+y\n" },
  name: "idea",
  note: null,
};

describe("a paused quest", () => {
  it("gives the machine to the next, and waits for that one when it goes on", async () => {
    const rig = await openRig();
    const one = await submit(rig, { title: "one" });
    const two = await submit(rig, { title: "two" });
    await until(rig, one, "gate");
    const grant = await granted(rig, agent("performance"));
    await pause(rig, one);
    await poke(rig);
    expect(stateOf(rig, two).status, "what is held has the machine").toBe("queued");
    dataOf(await send(rig, agent("performance"), "report", scriptedReport(grant)));
    expect(stateOf(rig, one)).toMatchObject({ task: "guard", assignments: { ops: { status: "offered" } } });
    expect(stateOf(rig, two).status).toBe("running");
    await resume(rig, one);
    expect(stateOf(rig, one).halted, "the other one measures").toBeDefined();
    expect(await claimed(rig, "ops")).toBe("none");
    await until(rig, two, "gate");
    await play(rig, two);
    expect(stateOf(rig, two).status).toBe("accepted");
    expect((await play(rig, one)).status).toBe("accepted");
  });

  it("grants nothing to a claim that waits, and grants it at once when the quest goes on", async () => {
    const rig = await openRig();
    const one = await submit(rig);
    await pause(rig, one);
    const waiting = post(rig, agent("architect"), "claim", { waitMs: 20_000 });
    await poke(rig);
    expect(waiting.answers).toEqual([]);
    await resume(rig, one);
    expect(dataOf<ClaimAnswer>(await waiting.answer)).toMatchObject({
      status: "granted",
      grant: { brief: { quest: one, task: "plan" } },
    });
  });

  it("says what is so already, and refuses what is not there or has ended", async () => {
    const rig = await openRig();
    const one = await submit(rig);
    expect(await resume(rig, one)).toEqual({ scope: one, paused: false, changed: false, pause: null });
    const first = await pause(rig, one, "first");
    expect(first).toMatchObject({ paused: true, changed: true, pause: { why: "first", by: "olga" } });
    expect(await pause(rig, one, "second")).toEqual({ ...first, changed: false });
    expect(rows(rig.store, "quest.paused")).toHaveLength(1);
    expect(codeOf(await send(rig, operator, "pause", { scope: "q-00000000", why: "x" }))).toBe(
      "QUEST_NOT_FOUND",
    );
    dataOf(await send(rig, operator, "cancel", { quest: one, reason: "enough" }));
    expect(codeOf(await send(rig, operator, "pause", { scope: one, why: "x" }))).toBe("QUEST_ENDED");
    expect(codeOf(await send(rig, operator, "resume", { scope: one }))).toBe("QUEST_ENDED");
    expect(codeOf(await send(rig, arbiter, "pause", { scope: "all", why: "x" }))).toBe("ROLE_FORBIDDEN");
  });

  it("does not run out of time, also over a restart", async () => {
    const rig = await openRig();
    const one = await submit(rig, { budget: { wallClock: "10m" } });
    await until(rig, one, "gate");
    await pause(rig, one);
    await pass(rig, 3_600_000);
    await close(rig);
    const again = await openRig({ dir: rig.dir, nowMs: () => rig.clock.nowMs });
    await poke(again);
    expect(stateOf(again, one)).toMatchObject({ pause: { why: "maintenance" }, task: "gate" });
    await resume(again, one);
    expect(again.store.nextTimerMs()).toBe(stateOf(again, one).deadlineMs);
    expect((await play(again, one)).status).toBe("accepted");
    expect(checkReplay(again.store, freshStore()).difference).toBeNull();
    await close(again);
  });

  it("is asked of no program", async () => {
    const rig = await openRig();
    const one = await submit(rig, { fixers: [{ worker: true }] });
    await play(rig, one);
    const worker = { role: "worker" as const, name: "wanda" };
    const asks = async (): Promise<unknown> => dataOf(await send(rig, worker, "requests", { waitMs: 0 }));
    expect(await asks()).toMatchObject({ status: "open" });
    await pause(rig, one);
    expect(await asks()).toEqual({ status: "none" });
    await resume(rig, one);
    expect(await asks()).toMatchObject({ status: "open" });
  });
});

describe("a paused role", () => {
  it("gets no assignment and no ask; other roles work up to it, and no other quest is begun", async () => {
    const rig = await openRig();
    const one = await submit(rig, { title: "one" });
    const two = await submit(rig, { title: "two" });
    await pause(rig, "qa");
    await step(rig, one);
    await step(rig, one);
    expect(stateOf(rig, one)).toMatchObject({ task: "base-suite", halted: {} });
    const ask = {
      role: "qa" as const,
      phases: ["test" as const],
      text: "is it green?",
      data: null,
      waitMs: 0,
    };
    expect(dataOf(await send(rig, operator, "ask", ask))).toMatchObject({ status: "pending" });
    const waiting = post(rig, agent("qa"), "claim", { waitMs: 20_000, asks: 4 });
    await poke(rig);
    expect([waiting.answers, stateOf(rig, two).status]).toEqual([[], "queued"]);
    await resume(rig, "qa");
    expect(dataOf<ClaimAnswer>(await waiting.answer)).toMatchObject({
      grant: { brief: { task: "base-suite" } },
    });
    expect(dataOf(await send(rig, agent("qa"), "claim", { waitMs: 0, asks: 4 }))).toMatchObject({
      status: "asked",
    });
  });
});

describe("everything", () => {
  it("stands over a restart and goes on; the replay and the store agree on what is paused", async () => {
    const rig = await openRig();
    const one = await submit(rig, { title: "one" });
    await until(rig, one, "gate");
    await pause(rig, "all", "the machine is moved");
    await pause(rig, "ops");
    await resume(rig, "ops");
    await submit(rig, { title: "two" });
    await close(rig);
    const again = await openRig({ dir: rig.dir });
    expect(stackPauses(again.store)).toMatchObject([
      { scope: "all", why: "the machine is moved", by: "olga" },
    ]);
    expect(await claimed(again, "performance")).toBe("none");
    const empty = freshStore();
    expect(checkReplay(again.store, empty).difference).toBeNull();
    expect(empty.getCursor("pauses")).toBe(rows(again.store, "stack.resumed").at(-1)?.seq);
    await resume(again, "all");
    expect(await claimed(again, "performance")).toBe("granted");
    await close(again);
  });
});

describe("what a standby and a restore make of it", () => {
  it("rows that were taken away take their pauses with them", async () => {
    const rig = await openRig();
    await submit(rig);
    const before = rig.store.head().seq;
    await pause(rig, "all");
    cutBack(rig.store, before);
    expect([stackPauses(rig.store), checkReplay(rig.store, freshStore()).difference]).toEqual([[], null]);
  });

  it("a command that comes again where its answer is lost is answered from its row", async () => {
    const rig = await openRig();
    const one = await submit(rig);
    const commands = [
      ["pause", { scope: one, why: "later" }],
      ["resume", { scope: one }],
      ["pause", { scope: "qa", why: "later" }],
      ["resume", { scope: "qa" }],
    ] as const;
    const answers = [];
    for (const [at, [verb, data]] of commands.entries())
      answers.push(
        await send(rig, operator, verb, data as { scope: PauseScope; why: string }, `c-again-${at}`),
      );
    const copy = freshStore();
    openFollower(copy).transact((take, tx) => {
      for (const row of rows(rig.store)) {
        tx.append([row], { timeMs: row.timeMs, command: row.command });
        rememberPast(tx, row, take(row));
      }
    });
    expect(commands.map((_, at) => copy.answerOf(`c-again-${at}`)?.answer)).toMatchObject(
      answers.map((answer) => ({ ...answer, seq: expect.any(Number) })),
    );
  });
});

describe("safe mode", () => {
  it("refuses what would begin something, keeps what is reported, and lets arbiters rule and operators cancel", async () => {
    const rig = await openRig();
    const stuck = await submit(rig, { title: "stuck", budget: { passes: 1 } });
    await play(rig, stuck, [{ gain: 0 }]);
    const document = { title: "one", fixers: [{ human: true }] };
    const one = await submit(rig, document);
    const grant = await granted(rig, agent("architect"));
    await pause(rig, "safe-mode", "incident");
    const ask = {
      role: "qa" as const,
      phases: ["test" as const],
      text: "is it green?",
      data: null,
      waitMs: 0,
    };
    expect(
      await Promise.all([
        send(rig, operator, "submit", submission({ title: "two" })),
        send(rig, operator, "supply", { quest: one, ...none }),
        send(rig, operator, "ask", ask),
      ]).then((answers) => answers.map(codeOf)),
    ).toEqual(["SAFE_MODE", "SAFE_MODE", "SAFE_MODE"]);
    expect(dataOf(await send(rig, operator, "submit", submission(document))), "it is there").toMatchObject({
      resumed: true,
    });
    dataOf(await send(rig, agent("architect"), "report", scriptedReport(grant)));
    expect(await claimed(rig, "ops")).toBe("none");
    const escalation = stateOf(rig, stuck).escalation?.id ?? "";
    const ruling = { escalation, decision: "abandon" as const, reason: "no use", guidance: null };
    dataOf(await send(rig, arbiter, "rule", ruling));
    expect((await play(rig, stuck)).status).toBe("abandoned");
    await resume(rig, "safe-mode");
    expect(await claimed(rig, "ops")).toBe("granted");
    dataOf(await send(rig, operator, "cancel", { quest: one, reason: "enough" }));
  });

  it("what it refused is carried out afterwards, sent again as the same command", async () => {
    const rig = await openRig();
    await pause(rig, "safe-mode");
    const later = () => send(rig, operator, "submit", submission({ title: "later" }), "c-later");
    expect([codeOf(await later()), codeOf(await later())]).toEqual(["SAFE_MODE", "SAFE_MODE"]);
    await resume(rig, "safe-mode");
    expect(dataOf(await later())).toMatchObject({ resumed: false });
  });

  it("answers an ask that was stored before, when it comes again", async () => {
    const rig = await openRig();
    const ask = {
      role: "qa" as const,
      phases: ["test" as const],
      text: "is it green?",
      data: null,
      waitMs: 0,
    };
    const id = "c-ask";
    const first = dataOf(await send(rig, operator, "ask", ask, id));
    await pause(rig, "safe-mode");
    expect(dataOf(await send(rig, operator, "ask", ask, id))).toEqual(first);
  });
});
