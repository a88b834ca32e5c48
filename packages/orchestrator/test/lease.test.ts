import { type ClaimAnswer, type CommandData, limit } from "@questbus/protocol";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
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

const statusOf = (rig: Rig, quest: string) => stateOf(rig, quest).assignments.architect.status;
const joined = (incarnation: string) => ({ incarnation, pid: 4_711 });

describe("a claim", () => {
  it("waits for work, and is woken by the command that makes it", async () => {
    const rig = await openRig();
    const waiting = post(rig, agent("architect"), "claim", { waitMs: 20_000 });
    const other = post(rig, agent("qa"), "claim", { waitMs: 20_000 });
    await poke(rig);
    expect(waiting.answers).toEqual([]);
    const quest = await submit(rig);
    expect(dataOf<ClaimAnswer>(await waiting.answer)).toMatchObject({
      status: "granted",
      grant: { assignment: `${quest}.architect`, epoch: 1 },
    });
    expect(other.answers).toEqual([]);
  });

  it("of several that wait one gets the work, and the others wait on", async () => {
    const rig = await openRig();
    const all = ["a", "b", "c"].map((name) =>
      post(rig, agent("architect", name), "claim", { waitMs: 20_000 }),
    );
    await submit(rig);
    await poke(rig);
    await poke(rig);
    expect(all.map((each) => each.answers.length)).toEqual([1, 0, 0]);
  });

  it("ends with nothing when its time is over", async () => {
    const rig = await openRig();
    const waiting = post(rig, agent("architect"), "claim", { waitMs: 500 });
    await pass(rig, 499);
    expect(waiting.answers).toEqual([]);
    await pass(rig, 1);
    expect(dataOf(await waiting.answer)).toEqual({ status: "none" });
  });

  it("that was looked at, and got nothing, ends in its time all the same", async () => {
    const rig = await openRig();
    const asks = (at: number) => post(rig, agent("qa", `q${at}`), "claim", { waitMs: 15_000, asks: 8 });
    const early = [0, 1, 2, 3].map(asks);
    await pass(rig, 10_000);
    post(rig, agent("performance"), "claim", { waitMs: 15_000 });
    const ask: CommandData["ask"] = { role: "qa", phases: ["test"], text: "?", data: null, waitMs: 0 };
    await Promise.all(Array.from({ length: 5 }, () => send(rig, operator, "ask", ask)));
    expect(early.map(({ answers }) => answers.length)).toEqual([1, 1, 1, 0]);
    await pass(rig, 5_000);
    expect(early[3]?.answers.map(dataOf)).toEqual([{ status: "none" }]);
  });

  it("ends by itself: the orchestrator wakes up for it", async () => {
    const rig = await openRig({ nowMs: Date.now });
    const begunMs = performance.now();
    expect(dataOf(await claim(rig, agent("architect"), 40))).toEqual({ status: "none" });
    expect(performance.now() - begunMs).toBeGreaterThanOrEqual(39);
  });

  it("is answered when the orchestrator stops", async () => {
    const rig = await openRig();
    const waiting = post(rig, agent("architect"), "claim", { waitMs: 20_000 });
    await poke(rig);
    await close(rig);
    expect(waiting.answers).toMatchObject([{ ok: true, data: { status: "none" } }]);
  });
});

describe("a lease", () => {
  it("that is not renewed ends, and the task is offered again under the next epoch", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const first = await granted(rig, agent("architect"));
    await pass(rig, limit.leaseMs - 1);
    expect(statusOf(rig, quest)).toBe("leased");
    await pass(rig, 1);
    expect(statusOf(rig, quest)).toBe("offered");
    expect(rows(rig.store, "lease.expired").at(-1)).toMatchObject({
      actor: { role: "orchestrator" },
      body: { agent: "architect", epoch: 1, reason: "the lease was not renewed" },
    });
    const second = await granted(rig, agent("architect", "architect-2"));
    expect(second.epoch).toBe(2);
    expect(second.brief).toEqual(first.brief);
    expect(codeOf(await send(rig, agent("architect"), "report", scriptedReport(first)))).toBe("LEASE_STALE");
    expect(codeOf(await send(rig, agent("architect", "architect-2"), "report", scriptedReport(second)))).toBe(
      "ok",
    );
  });

  it("ends by itself: the orchestrator wakes up for it, and for who waits", async () => {
    const offset = { ms: 0 };
    const rig = await openRig({ nowMs: () => Date.now() + offset.ms });
    const quest = await submit(rig);
    await granted(rig, agent("architect"));
    offset.ms = limit.leaseMs - 60;
    const waiting = post(rig, agent("architect", "architect-2"), "claim", { waitMs: 20_000 });
    expect(dataOf<ClaimAnswer>(await waiting.answer)).toMatchObject({
      status: "granted",
      grant: { epoch: 2 },
    });
    expect(stateOf(rig, quest).assignments.architect.agent).toBe("architect-2");
  });

  it("that is renewed goes on", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const { assignment, epoch } = await granted(rig, agent("architect"));
    for (let renewals = 0; renewals < 3; renewals++) {
      await pass(rig, limit.leaseMs - 1);
      const answer = await send(rig, agent("architect"), "renew", { assignment, epoch });
      expect(dataOf(answer)).toEqual({ leaseMs: limit.leaseMs });
    }
    await pass(rig, limit.leaseMs - 1);
    expect(statusOf(rig, quest)).toBe("leased");
    await pass(rig, 1);
    expect(statusOf(rig, quest)).toBe("offered");
  });

  describe("whose holder says how its work goes on", () => {
    const moves = (count: number) => ({ step: "pair 14 of 90", count });
    /** Renews as a healthy agent does until `untilMs` have passed; gives the code of each answer. */
    async function renewed(
      rig: Rig,
      untilMs: number,
      progressOf: (renewal: number) => object,
    ): Promise<string[]> {
      const { assignment, epoch } = await granted(rig, agent("architect"));
      const codes: string[] = [];
      const everyMs = limit.leaseMs - 1_000;
      for (let atMs = 0; atMs < untilMs; atMs += everyMs) {
        const data = { assignment, epoch, ...progressOf(codes.length) };
        codes.push(codeOf(await send(rig, agent("architect"), "renew", data)));
        await pass(rig, everyMs);
      }
      return codes;
    }
    const longMs = 2 * limit.stillMs;

    it("ends when that stands still, with the step, though it is renewed", async () => {
      const rig = await openRig();
      const quest = await submit(rig);
      const codes = await renewed(rig, longMs, () => ({ progress: moves(7) }));
      const [over] = rows(rig.store, "lease.expired");
      expect(over).toMatchObject({
        quest,
        body: { agent: "architect", epoch: 1, reason: "no progress for 5 min, at: pair 14 of 90" },
      });
      expect(statusOf(rig, quest)).toBe("offered");
      expect(new Set(codes)).toEqual(new Set(["ok", "LEASE_STALE"]));
      const lastMs = codes.lastIndexOf("ok") * (limit.leaseMs - 1_000);
      expect(lastMs).toBeGreaterThan(limit.stillMs);
      expect(lastMs).toBeLessThan(limit.stillMs + 2 * limit.leaseMs);
    });

    it.each([
      ["goes on when it moves", (renewal: number) => ({ progress: moves(renewal) })],
      ["goes on when nothing is said, as by agents of earlier releases", () => ({})],
    ])("%s", async (_, progressOf) => {
      const rig = await openRig();
      const quest = await submit(rig);
      expect(new Set(await renewed(rig, longMs, progressOf))).toEqual(new Set(["ok"]));
      expect(statusOf(rig, quest)).toBe("leased");
      expect(rows(rig.store, "lease.expired")).toEqual([]);
    });

    it("is told to the operator, and leaves no row behind", async () => {
      const rig = await openRig();
      await submit(rig);
      const { assignment, epoch } = await granted(rig, agent("architect"));
      const before = rig.store.head().seq;
      await send(rig, agent("architect"), "renew", { assignment, epoch, progress: moves(7) });
      await pass(rig, 2_000);
      await send(rig, agent("architect"), "renew", { assignment, epoch, progress: moves(7) });
      await pass(rig, 1_000);
      const told = dataOf(await send(rig, operator, "progress", {}));
      expect(told).toEqual({
        held: [
          { assignment, agent: "architect", step: "pair 14 of 90", movedAgoMs: 3_000, heardAgoMs: 1_000 },
        ],
      });
      expect(rig.store.head().seq).toBe(before);
      await pass(rig, limit.leaseMs);
      expect(dataOf(await send(rig, operator, "progress", {}))).toEqual({ held: [] });
      expect(codeOf(await send(rig, agent("qa"), "progress", {}))).toBe("ROLE_FORBIDDEN");
    });
  });

  it("is renewed by its holder only", async () => {
    const rig = await openRig();
    await submit(rig);
    const { assignment, epoch } = await granted(rig, agent("architect"));
    expect(codeOf(await send(rig, agent("architect", "b"), "renew", { assignment, epoch }))).toBe(
      "LEASE_STALE",
    );
    expect(codeOf(await send(rig, agent("architect"), "renew", { assignment, epoch: 2 }))).toBe(
      "LEASE_STALE",
    );
    expect(codeOf(await send(rig, agent("qa"), "renew", { assignment, epoch }))).toBe("ROLE_FORBIDDEN");
  });

  it("has so many notes, a row each, and its next holder as many again", async () => {
    const rig = await openRig();
    await submit(rig);
    const noted = async (count: number): Promise<string[]> => {
      const { assignment, epoch } = await granted(rig, agent("architect"));
      const note = (at: number) =>
        send(rig, agent("architect"), "note", { assignment, epoch, text: `note ${at}` });
      const codes = (await Promise.all(Array.from({ length: count }, (_, at) => note(at)))).map(codeOf);
      await send(rig, agent("architect"), "release", { assignment, epoch, reason: "stopping" });
      return codes.filter((code) => code !== "ok");
    };
    expect(await noted(limit.notesOfLeaseMax + 2)).toEqual(["OVERLOADED", "OVERLOADED"]);
    expect(rows(rig.store, "assignment.noted")).toHaveLength(limit.notesOfLeaseMax);
    expect(await noted(1)).toEqual([]);
  });

  it("that is given back is offered at once, and its timer is gone", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    const { assignment, epoch } = await granted(rig, agent("architect"));
    await send(rig, agent("architect"), "release", { assignment, epoch, reason: "stopping" });
    expect(statusOf(rig, quest)).toBe("offered");
    await granted(rig, agent("architect"));
    await pass(rig, limit.leaseMs - 1);
    expect(statusOf(rig, quest)).toBe("leased");
  });

  it("ends with its report: no timer is left of it", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await step(rig, quest);
    await pass(rig, limit.leaseMs * 2);
    expect(rows(rig.store, "lease.expired")).toEqual([]);
  });
});

describe("hello, from an agent that starts anew", () => {
  it("takes back the lease of the process before it", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await granted(rig, agent("architect"));
    await send(rig, agent("architect"), "hello", joined("second"));
    expect(statusOf(rig, quest)).toBe("offered");
    expect(rows(rig.store).slice(-3)).toMatchObject([
      { type: "agent.joined", quest: null, actor: agent("architect"), body: joined("second") },
      { type: "lease.expired", quest, body: { reason: "the agent started anew" } },
      { type: "breaker.counted", body: { agent: "architect/architect", failures: 1 } },
    ]);
    expect(rig.store.getAgent("architect", "architect")).toMatchObject(joined("second"));
    expect((await granted(rig, agent("architect"))).epoch).toBe(2);
  });

  it("leaves the leases of others alone", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await granted(rig, agent("architect"));
    await send(rig, agent("architect", "architect-2"), "hello", joined("other"));
    await send(rig, agent("qa", "architect"), "hello", joined("namesake"));
    expect(statusOf(rig, quest)).toBe("leased");
  });

  it("drops the claims that the process before it had waiting", async () => {
    const rig = await openRig();
    const lost = post(rig, agent("architect"), "claim", { waitMs: 20_000 });
    await send(rig, agent("architect"), "hello", joined("second"));
    const quest = await submit(rig);
    await poke(rig);
    expect(lost.answers).toEqual([]);
    expect(statusOf(rig, quest)).toBe("offered");
    expect((await granted(rig, agent("architect"))).epoch).toBe(1);
  });
});

describe("the wall-clock budget", () => {
  it("ends the pass when it is used up, and the quest waits for an arbiter", async () => {
    const rig = await openRig();
    const quest = await submit(rig, { budget: { wallClock: "5m" } });
    await until(rig, quest, "produce");
    await pass(rig, 300_000);
    expect(rows(rig.store, "pass.judged")).toHaveLength(1);
    const state = await play(rig, quest);
    expect(state.escalation?.reason).toBe("budget-used-up");
  });

  it("does not count while the quest waits for an arbiter", async () => {
    const rig = await openRig();
    const quest = await submit(rig, { budget: { wallClock: "5m" } });
    await play(rig, quest, [{ gain: 0 }, { gain: 0 }, { gain: 0 }]);
    await pass(rig, 86_400_000);
    expect(stateOf(rig, quest).status).toBe("escalated");
    expect(rig.store.nextTimerMs()).toBeNull();
  });
});

describe("two quests", () => {
  const two = async (rig: Rig) => {
    const first = await submit(rig);
    rig.clock.nowMs += 1;
    return { first, second: await submit(rig, { title: "The second" }) };
  };

  it("the second waits until the first has ended", async () => {
    const rig = await openRig();
    const { first, second } = await two(rig);
    expect(stateOf(rig, second).status).toBe("queued");
    await play(rig, first);
    expect(stateOf(rig, first).status).toBe("accepted");
    expect(stateOf(rig, second).status).toBe("running");
    expect((await play(rig, second)).status).toBe("accepted");
  });

  it("the second begins while the first waits for its arbiter, and a retry waits its turn", async () => {
    const rig = await openRig();
    const { first, second } = await two(rig);
    await play(rig, first, [{ gain: 0 }, { gain: 0 }, { gain: 0 }]);
    expect(stateOf(rig, second).status).toBe("running");
    const escalation = stateOf(rig, first).escalation?.id ?? "";
    const ruling = { escalation, decision: "retry", reason: "once more", guidance: null } as const;
    expect(codeOf(await send(rig, arbiter, "rule", ruling))).toBe("ok");
    expect(stateOf(rig, first).status).toBe("queued");
    await play(rig, second);
    expect(stateOf(rig, first)).toMatchObject({ status: "running", task: "plan" });
    expect(stateOf(rig, first).passes).toHaveLength(4);
    expect((await play(rig, first)).status).toBe("accepted");
  });

  it("the second begins when the first is cancelled", async () => {
    const rig = await openRig();
    const { first, second } = await two(rig);
    await send(rig, operator, "cancel", { quest: first, reason: "x" });
    expect(stateOf(rig, second).status).toBe("running");
  });

  it("begin in the order in which they came, after a restart too", async () => {
    const store = freshStore();
    const rig = await openRig({ store });
    const all = [];
    for (const title of ["one", "two", "three", "four"]) {
      all.push(await submit(rig, { title }));
      rig.clock.nowMs += 1;
    }
    const { dir } = rig;
    await close(rig);
    const again = await openRig({ dir });
    const begun = [];
    for (const quest of all) {
      begun.push(all.find((each) => stateOf(again, each).status === "running"));
      await send(again, operator, "cancel", { quest, reason: "next" });
    }
    expect(begun).toEqual(all);
  });
});

describe("a restart", () => {
  it("goes on with a lease that lives: its holder has a full lease to renew it", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await until(rig, quest, "gate");
    const grant = await granted(rig, agent("performance"));
    const { dir, clock } = rig;
    await close(rig);
    const again = await openRig({ dir });
    again.clock.nowMs = clock.nowMs;
    await pass(again, limit.leaseMs - 1);
    expect(codeOf(await send(again, agent("performance"), "report", scriptedReport(grant)))).toBe("ok");
    expect((await play(again, quest)).status).toBe("accepted");
  });

  it("takes back a lease whose holder is gone", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await granted(rig, agent("architect"));
    const { dir } = rig;
    await close(rig);
    const again = await openRig({ dir });
    await pass(again, limit.leaseMs);
    expect(statusOf(again, quest)).toBe("offered");
    expect((await play(again, quest)).status).toBe("accepted");
  });

  it("remembers what it answered", async () => {
    const rig = await openRig();
    const first = await send(rig, operator, "submit", submission(), "c-before");
    const { dir } = rig;
    await close(rig);
    const again = await openRig({ dir });
    expect(await send(again, operator, "submit", submission(), "c-before")).toEqual(first);
    expect(await send(again, operator, "submit", submission())).toMatchObject({ data: { resumed: true } });
  });

  it("in each phase gives the same end", async () => {
    let rig = await openRig();
    const quest = await submit(rig);
    const scripts = [{ gain: 0 }, { gain: 0.12 }, { gain: 0.15 }];
    while (stateOf(rig, quest).status === "running") {
      await step(rig, quest, scripts);
      if (stateOf(rig, quest).task === null) continue;
      if (!["choose", "review", "settle"].includes(stateOf(rig, quest).task ?? "")) continue;
      const { dir } = rig;
      await close(rig);
      rig = await openRig({ dir });
    }
    expect(stateOf(rig, quest).passes.map((each) => each.verdict?.verdict)).toEqual([
      "NO_EFFECT",
      "KEEP",
      "ACCEPT",
    ]);
    expect(stateOf(rig, quest).status).toBe("accepted");
  });
});
