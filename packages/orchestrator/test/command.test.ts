import { refuseBeyond } from "@questbus/core";
import { type ClaimAnswer, limit, QuestbusError } from "@questbus/protocol";
import type { Store, StoreWrites } from "@questbus/store";
import { until as eventually } from "@questbus/testkit";
import { scriptedReport, sha, submission } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { replayInto } from "../src/replay.ts";
import {
  agent,
  arbiter,
  claim,
  codeOf,
  dataOf,
  freshStore,
  granted,
  openRig,
  operator,
  poke,
  post,
  rows,
  send,
  stateOf,
  step,
  submit,
  until,
} from "./rig.ts";

describe("I1: nobody is answered before the commit", () => {
  it("an answer finds its rows in the store, and names the last of them", async () => {
    const store = freshStore();
    const rig = await openRig({ store });
    const answered: number[] = [];
    const respond = (): void => void answered.push(store.head().seq);
    rig.handlers.onCommand({
      id: "c",
      actor: operator,
      verb: "submit",
      data: submission(),
      traceparent: null,
      respond,
    });
    expect(answered).toEqual([]);
    await poke(rig);
    const types = rows(store).map((row) => row.type);
    expect(types).toEqual(["quest.submitted", "quest.started", "pass.started", "assignment.offered"]);
    expect(answered).toEqual([4]);
    const [submitted] = rows(store, "quest.submitted");
    expect(submitted).toMatchObject({ command: "c", actor: operator });
  });

  it("when the store fails nobody is told that it worked, and memory is as it was", async () => {
    const { store, fail } = failing();
    const rig = await openRig({ store });
    const quest = await submit(rig);
    const before = stateOf(rig, quest);
    const seq = store.head().seq;
    fail.transactions = 1;
    const all = await Promise.all([
      send(rig, operator, "cancel", { quest, reason: "no" }),
      send(rig, operator, "submit", submission({ title: "Another" })),
      claim(rig, agent("architect")),
    ]);
    expect(all.map(codeOf)).toEqual(["DISK_FULL", "DISK_FULL", "DISK_FULL"]);
    expect(store.head().seq).toBe(seq);
    const grant = await granted(rig, agent("architect"));
    expect(grant).toMatchObject({ assignment: `${quest}.architect`, epoch: 1 });
    expect(stateOf(rig, quest).passes).toEqual(before.passes);
  });

  it("a transaction that could not even begin takes nothing back of the one before", async () => {
    const { store, fail } = failing();
    const rig = await openRig({ store });
    await submit(rig);
    const grant = await granted(rig, agent("architect"));
    fail.begins = 1;
    expect(codeOf(await claim(rig, agent("qa")))).toBe("DISK_FULL");
    const { assignment, epoch } = grant;
    expect(codeOf(await send(rig, agent("architect"), "renew", { assignment, epoch }))).toBe("ok");
  });

  it("a failure in the middle of a command leaves nothing of it, and is no refusal", async () => {
    const { store, fail } = failing();
    const rig = await openRig({ store });
    const quest = await submit(rig);
    const seq = store.head().seq;
    fail.appends = 1;
    expect(codeOf(await claim(rig, agent("architect")))).toBe("DISK_FULL");
    expect(store.head().seq).toBe(seq);
    expect(rows(store, "command.refused")).toEqual([]);
    expect(stateOf(rig, quest).assignments.architect.status).toBe("offered");
  });

  it("a claim is answered once, also when the store fails while it is parked", async () => {
    const { store, fail } = failing();
    const rig = await openRig({ store });
    fail.transactions = 1;
    const parked = post(rig, agent("architect"), "claim", { waitMs: 5_000 });
    expect(codeOf(await parked.answer)).toBe("DISK_FULL");
    const quest = await submit(rig);
    await poke(rig);
    expect(parked.answers).toHaveLength(1);
    expect(stateOf(rig, quest).assignments.architect.status).toBe("offered");
  });

  it("a command that breaks the program takes no other with it", async () => {
    const { store, fail } = failing();
    const rig = await openRig({ store });
    const quest = await submit(rig);
    fail.breaks = "release";
    const all = await Promise.all([
      claim(rig, agent("architect")),
      send(rig, agent("qa"), "release", { assignment: "q-00000000.qa", epoch: 1, reason: "release" }),
      send(rig, operator, "submit", submission({ title: "Another" })),
    ]);
    expect(all.map(codeOf)).toEqual(["ok", "INTERNAL", "ok"]);
    expect(stateOf(rig, quest).assignments.architect.status).toBe("leased");
  });
});

describe("I2: a command id seen before gets its stored answer", () => {
  it("a submission that comes again makes no second quest", async () => {
    const rig = await openRig();
    const first = await send(rig, operator, "submit", submission(), "same");
    const again = await send(rig, operator, "submit", submission(), "same");
    expect(again).toEqual(first);
    expect(rows(rig.store, "quest.submitted")).toHaveLength(1);
  });

  it("a grant that comes again is the same grant", async () => {
    const rig = await openRig();
    await submit(rig);
    const first = await claim(rig, agent("architect"), 0, "c-same");
    const again = await claim(rig, agent("architect"), 0, "c-same");
    expect(again).toEqual(first);
    expect(rows(rig.store, "assignment.claimed")).toHaveLength(1);
  });

  it("a claim that found nothing is tried anew under its id", async () => {
    const rig = await openRig();
    expect(dataOf(await claim(rig, agent("architect"), 0, "c-none"))).toEqual({ status: "none" });
    await submit(rig);
    expect(dataOf<ClaimAnswer>(await claim(rig, agent("architect"), 0, "c-none")).status).toBe("granted");
  });

  it("a refusal that comes again is the same refusal, journaled once", async () => {
    const rig = await openRig();
    const data = { quest: "q-00000000", reason: "no" };
    const first = await send(rig, operator, "cancel", data, "c-refused");
    expect(codeOf(first)).toBe("QUEST_NOT_FOUND");
    expect(await send(rig, operator, "cancel", data, "c-refused")).toEqual(first);
    expect(rows(rig.store, "command.refused")).toHaveLength(1);
  });

  it("in one batch too", async () => {
    const rig = await openRig();
    const [first, again] = await Promise.all([
      send(rig, operator, "submit", submission(), "c-twice"),
      send(rig, operator, "submit", submission(), "c-twice"),
    ]);
    expect(again).toEqual(first);
    expect(rows(rig.store, "quest.submitted")).toHaveLength(1);
  });

  it("an id that says whose it is is nobody else's: a key that can be guessed is not taken before its owner", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const id = `mcp/operator/${operator.name}/cancel/stop-1`;
    const note = { assignment: `${quest}.qa`, epoch: 1, text: "mine" };
    for (let time = 0; time < 2; time += 1)
      expect(codeOf(await send(rig, agent("qa"), "note", note, id))).toBe("MESSAGE_INVALID");
    expect(codeOf(await send(rig, operator, "cancel", { quest, reason: "stop" }, id))).toBe("ok");
  });

  it("an id of another sender is refused, and tells nothing of the answer", async () => {
    const rig = await openRig();
    await send(rig, operator, "submit", submission(), "c-mine");
    const foreign = await send(rig, { role: "operator", name: "otto" }, "submit", submission(), "c-mine");
    expect(codeOf(foreign)).toBe("MESSAGE_INVALID");
    expect(JSON.stringify(foreign)).not.toContain("q-");
  });
});

describe("I3: a command that is refused changes nothing but the record of its refusal", () => {
  it("a stale report is in the journal with its code", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const grant = await granted(rig, agent("architect"));
    const before = stateOf(rig, quest);
    const report = { ...scriptedReport(grant), epoch: 7 };
    expect(codeOf(await send(rig, agent("architect"), "report", report, "c-stale"))).toBe("LEASE_STALE");
    expect(stateOf(rig, quest)).toEqual(before);
    expect(rows(rig.store).at(-1)).toMatchObject({
      type: "command.refused",
      quest,
      command: "c-stale",
      actor: agent("architect"),
      body: { verb: "report", code: "LEASE_STALE" },
    });
  });

  it("a fourth pass under a valid lease is in the journal with its code", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const failed = [{ gain: 0 }, { gain: 0 }];
    while (stateOf(rig, quest).passes.length < 3) await step(rig, quest, failed);
    const grant = await granted(rig, agent("architect"));
    const report = { ...scriptedReport(grant), pass: 4 };
    expect(codeOf(await send(rig, agent("architect"), "report", report))).toBe("PASS_LIMIT");
    expect(rows(rig.store, "command.refused").at(-1)).toMatchObject({
      quest,
      body: { code: "PASS_LIMIT" },
    });
    expect(codeOf(await send(rig, agent("architect"), "report", scriptedReport(grant)))).toBe("ok");
  });

  it.each([
    ["qa may not cancel", agent("qa"), "cancel", { quest: "q-00000000", reason: "x" }],
    [
      "operator may not rule",
      operator,
      "rule",
      { escalation: "e-00000000", decision: "revert", reason: "x", guidance: null },
    ],
    ["arbiter may not claim", arbiter, "claim", { waitMs: 0 }],
    ["ops may not submit", agent("ops"), "submit", submission()],
  ] as const)("%s, whatever the broker let through", async (_, actor, verb, data) => {
    const rig = await openRig();
    expect(codeOf(await send(rig, actor, verb, data))).toBe("ROLE_FORBIDDEN");
    expect(rows(rig.store)).toMatchObject([
      { type: "command.refused", body: { verb, code: "ROLE_FORBIDDEN" } },
    ]);
  });

  it("what is not there has its own code", async () => {
    const rig = await openRig();
    const lease = { assignment: "q-00000000.qa", epoch: 1 };
    expect(codeOf(await send(rig, operator, "cancel", { quest: "q-00000000", reason: "x" }))).toBe(
      "QUEST_NOT_FOUND",
    );
    expect(codeOf(await send(rig, agent("qa"), "release", { ...lease, reason: "x" }))).toBe(
      "QUEST_NOT_FOUND",
    );
    expect(codeOf(await send(rig, agent("qa"), "renew", lease))).toBe("QUEST_NOT_FOUND");
    const ruling = { escalation: "e-00000000", decision: "revert", reason: "x", guidance: null } as const;
    expect(codeOf(await send(rig, arbiter, "rule", ruling))).toBe("ESCALATION_NOT_FOUND");
    // A renewal says nothing worth keeping, refused or not.
    expect(rows(rig.store, "command.refused").map((row) => (row.body as { verb: string }).verb)).toEqual([
      "cancel",
      "release",
      "rule",
    ]);
  });

  it("a refused command in a batch leaves the others alone", async () => {
    const rig = await openRig();
    const all = await Promise.all([
      send(rig, operator, "cancel", { quest: "q-00000000", reason: "x" }),
      send(rig, operator, "submit", submission()),
      send(rig, operator, "submit", { ...submission({ title: "Broken" }), resolved: [] }),
      claim(rig, agent("ops")),
    ]);
    expect(all.map(codeOf)).toEqual(["QUEST_NOT_FOUND", "ok", "MESSAGE_INVALID", "ok"]);
  });
});

describe("while the store fails", () => {
  it("what is due is tried again after a pause, not at once and for ever", async () => {
    const { store, fail } = failing();
    const armed = new Map<number, () => void>();
    const after = (ms: number, work: () => void): (() => void) => {
      armed.set(ms, work);
      return () => void armed.delete(ms);
    };
    const rig = await openRig({ store, after });
    await submit(rig);
    await granted(rig, agent("architect"));
    fail.transactions = Number.POSITIVE_INFINITY;
    rig.clock.nowMs += limit.leaseMs;
    await poke(rig);
    await eventually("a pause", () => armed.has(1_001));
    fail.transactions = 0;
    armed.get(1_001)?.();
    await eventually("the lease to expire", () => rows(store, "lease.expired").length === 1);
  });
});

describe("I4: the queue is bounded", () => {
  it("beyond it a caller is told to come back, and those before are all answered", async () => {
    const rig = await openRig();
    const lease = { assignment: "q-00000000.qa", epoch: 1 };
    const ofOne = (name: string) =>
      Array.from({ length: limit.queueOfSenderMax }, () => post(rig, agent("qa", name), "renew", lease));
    const tooMany = [{ ok: false, retryable: true, faults: [{ code: "OVERLOADED" }] }];
    const many = ofOne("storm");
    // One sender's storm leaves room for the others.
    expect(post(rig, agent("qa", "storm"), "renew", lease).answers).toMatchObject(tooMany);
    while (many.length < limit.queueCommandsMax) many.push(...ofOne(`qa-${many.length}`));
    expect(post(rig, agent("qa"), "renew", lease).answers).toMatchObject(tooMany);
    await Promise.all(many.map((each) => each.answer));
    const again = [post(rig, agent("qa"), "renew", lease), post(rig, agent("qa", "storm"), "renew", lease)];
    expect((await Promise.all(again.map((each) => each.answer))).map(codeOf)).toEqual([
      "QUEST_NOT_FOUND",
      "QUEST_NOT_FOUND",
    ]);
  });

  it("so are the quests that have not ended, and the callers that wait for asks", async () => {
    expect(() => refuseBeyond(limit.questsOpenMax - 1)).not.toThrow();
    expect(() => refuseBeyond(limit.questsOpenMax)).toThrow(
      expect.objectContaining({ code: "OVERLOADED", retryable: true }),
    );
    const rig = await openRig();
    const ask = { role: "qa", phases: ["test"], text: "?", data: null, waitMs: 20_000 } as const;
    const waiting = [];
    while (waiting.length < limit.answersWaitingMax) {
      const some = Array.from({ length: 2_000 }, () =>
        post(rig, operator, "ask", { ...ask, phases: [...ask.phases] }, "one-ask"),
      );
      await poke(rig);
      waiting.push(...some);
    }
    const over = await send(rig, operator, "ask", { ...ask, phases: [...ask.phases] }, "one-ask");
    expect(dataOf(over)).toMatchObject({ status: "pending" });
    expect(waiting.filter((each) => each.answers.length > 0)).toEqual([]);
  });

  it("a submit for which there was no room is taken under the same id when there is", async () => {
    const rig = await openRig();
    const all = Array.from({ length: limit.questsOpenMax }, (_, at) =>
      post(rig, operator, "submit", submission({ title: `${at}` })),
    );
    const late = () => send(rig, operator, "submit", submission({ title: "late" }), "c-late");
    expect(codeOf(await late())).toBe("OVERLOADED");
    const { quest } = dataOf<{ quest: string }>(await (all.at(-1) as (typeof all)[0]).answer);
    await send(rig, operator, "cancel", { quest, reason: "room" });
    const taken = await late();
    expect(codeOf(taken)).toBe("ok");
    expect(await late()).toEqual(taken);
  });

  it("an agent waits once: its newer claim ends the one before, a repetition takes its place", async () => {
    const rig = await openRig();
    const older = post(rig, agent("qa"), "claim", { waitMs: 20_000 }, "c-older");
    const newer = post(rig, agent("qa"), "claim", { waitMs: 20_000 }, "c-newer");
    const other = post(rig, agent("qa", "qa-2"), "claim", { waitMs: 20_000 });
    expect(dataOf(await older.answer)).toEqual({ status: "none" });
    const repeated = post(rig, agent("qa"), "claim", { waitMs: 20_000 }, "c-newer");
    await poke(rig);
    expect([newer, other, repeated].map((each) => each.answers.length)).toEqual([0, 0, 0]);
  });
});

describe("submitting", () => {
  it("the same unfinished quest again answers with its id", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const again = await send(rig, operator, "submit", submission());
    expect(dataOf(again)).toEqual({ quest, resumed: true });
    expect(rows(rig.store, "quest.submitted")).toHaveLength(1);
  });

  it("the same after it has ended is a new quest", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await send(rig, operator, "cancel", { quest, reason: "x" });
    expect(await submit(rig)).not.toBe(quest);
  });
});

describe("a message that could not be read", () => {
  it("is kept in the journal and on the stream, with its reason", async () => {
    const rig = await openRig();
    const dead = {
      subject: "local.cmd.qa.qa.report",
      actor: agent("qa"),
      code: "MESSAGE_INVALID" as const,
      faults: ["data.epoch: expected a number"],
      sha256: sha("dead"),
      excerpt: "{}",
    };
    rig.handlers.onDead(dead);
    expect(rows(rig.store, "message.dead")).toMatchObject([
      {
        quest: null,
        actor: agent("qa"),
        command: null,
        body: { code: "MESSAGE_INVALID", faults: dead.faults },
      },
    ]);
    await poke(rig);
    expect(rig.stream.dead).toEqual([{ ...dead, timeMs: rig.clock.nowMs }]);
    rig.handlers.onDead({ ...dead, actor: null });
    expect(rows(rig.store, "message.dead").at(-1)?.actor).toEqual({
      role: "orchestrator",
      name: "orchestrator",
    });
  });

  it("is still answered for when it cannot be stored", async () => {
    const { store, fail } = failing();
    const rig = await openRig({ store });
    fail.transactions = 1;
    const dead = {
      subject: "x",
      actor: null,
      code: "MESSAGE_INVALID" as const,
      faults: [],
      sha256: sha("x"),
      excerpt: "",
    };
    expect(() => rig.handlers.onDead(dead)).not.toThrow();
    await until(rig, await submit(rig), "fitness");
    expect(rows(rig.store, "message.dead")).toEqual([]);
  });
});

/** A real store that fails when it is told to. */
function failing() {
  const real = freshStore();
  const fail = { begins: 0, transactions: 0, appends: 0, breaks: null as string | null };
  const full = () => new QuestbusError({ code: "DISK_FULL", message: "the disk is full" });
  const writes = (tx: StoreWrites): StoreWrites => ({
    ...tx,
    append(events, context) {
      if (fail.appends-- > 0) throw full();
      fail.appends = Math.max(0, fail.appends);
      const [first] = events;
      if (first?.type === "command.refused" && first.body.verb === fail.breaks)
        throw new TypeError("a mistake of ours");
      return tx.append(events, context);
    },
  });
  const store: Store = {
    ...real,
    transact(action) {
      if (fail.begins > 0) {
        fail.begins -= 1;
        throw full();
      }
      return real.transact((tx) => {
        const result = action(writes(tx));
        if (fail.transactions > 0) {
          fail.transactions -= 1;
          throw full();
        }
        return result;
      });
    },
  };
  return { store, fail };
}

describe("a secret in a report", () => {
  const seed = `SU${"AC4X7PQ2".repeat(7)}`;

  it("is kept neither in it nor in what follows from it, so that the verdict can be recomputed", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await until(rig, quest, "review");
    const grant = await granted(rig, agent("architect"));
    const signOff = { vote: "no" as const, reasons: [`it holds ${seed}`] };
    dataOf(await send(rig, agent("architect"), "report", { ...scriptedReport(grant), signOff }));
    await until(rig, quest, "plan");
    expect(rows(rig.store, "pass.judged")[0]?.body).toMatchObject({
      verdict: { reasons: ["architect says no: it holds [redacted: nkey seed]"] },
    });
    expect(JSON.stringify(rows(rig.store))).not.toContain(seed);
    expect(replayInto(rig.store, freshStore()).faults).toEqual([]);
  });
});
