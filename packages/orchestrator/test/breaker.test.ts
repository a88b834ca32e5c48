import { type ClaimAnswer, limit } from "@questbus/protocol";
import { scriptedReport } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { readBreakers } from "../src/breaker-desk.ts";
import {
  agent,
  claim,
  close,
  codeOf,
  dataOf,
  freshDir,
  granted,
  openRig,
  operator,
  pass,
  poke,
  post,
  type Rig,
  rows,
  send,
  stateOf,
  submit,
} from "./rig.ts";

const sick = agent("architect");
const healthy = agent("architect", "spare");

const statusOf = async (rig: Rig, who = sick): Promise<string> =>
  dataOf<ClaimAnswer>(await claim(rig, who)).status;

/** Takes what is offered, and lets the lease run out. */
async function lose(rig: Rig): Promise<void> {
  await granted(rig, sick);
  await pass(rig, limit.leaseMs);
}

async function opened(rig: Rig): Promise<string> {
  const quest = await submit(rig);
  for (let failures = 0; failures < limit.breakerFailuresMax; failures += 1) await lose(rig);
  return quest;
}

const typesOf = (rig: Rig): string[] =>
  rows(rig.store).flatMap(({ type }) => (type.startsWith("breaker.") ? [type.slice(8)] : []));

describe("an agent whose work ends badly three times in a row", () => {
  it("is offered nothing for a pause, while another of its role is", async () => {
    const rig = await openRig();
    const quest = await opened(rig);
    expect(typesOf(rig)).toEqual(["counted", "counted", "opened"]);
    expect(await statusOf(rig)).toBe("none");
    const waiting = post(rig, sick, "claim", { waitMs: 20_000 });
    expect(await statusOf(rig, healthy)).toBe("granted");
    expect(stateOf(rig, quest).assignments.architect.agent).toBe("spare");
    expect(waiting.answers).toEqual([]);
  });

  it("is woken up for its trial, and a good end closes the breaker", async () => {
    const rig = await openRig();
    await opened(rig);
    const waiting = post(rig, sick, "claim", { waitMs: 20_000 });
    await pass(rig, limit.breakerPauseMs - 1);
    expect(waiting.answers).toEqual([]);
    await pass(rig, 1);
    const answer = dataOf<ClaimAnswer>(await waiting.answer);
    if (answer.status !== "granted") throw new TypeError("nothing on trial");
    expect(codeOf(await send(rig, sick, "report", scriptedReport(answer.grant)))).toBe("ok");
    expect(typesOf(rig).at(-1)).toBe("closed");
    expect(readBreakers(rig.store).size).toBe(0);
  });

  it("wakes up by itself: the orchestrator's timer looks at breakers too", async () => {
    const offset = { ms: 0 };
    const rig = await openRig({ nowMs: () => Date.now() + offset.ms });
    await submit(rig);
    for (let failures = 0; failures < limit.breakerFailuresMax; failures += 1) {
      await granted(rig, sick);
      offset.ms += limit.leaseMs + 1;
      await poke(rig);
    }
    offset.ms += limit.breakerPauseMs - 60;
    const waiting = post(rig, sick, "claim", { waitMs: 20_000 });
    expect(dataOf<ClaimAnswer>(await waiting.answer).status).toBe("granted");
  });

  it("and fails its trial waits twice as long; its pause is never longer than the most", async () => {
    const rig = await openRig();
    await opened(rig);
    await pass(rig, limit.breakerPauseMs);
    await lose(rig);
    expect(rows(rig.store, "breaker.opened").map((row) => (row.body as { pauseMs: number }).pauseMs)).toEqual(
      [limit.breakerPauseMs, 2 * limit.breakerPauseMs],
    );
    expect(await statusOf(rig)).toBe("none");
    await pass(rig, 2 * limit.breakerPauseMs);
    expect(await statusOf(rig)).toBe("granted");
  });

  it("waits on after a restart of the orchestrator: the breaker is read from the journal", async () => {
    const dir = freshDir();
    const first = await openRig({ dir });
    await opened(first);
    const { nowMs } = first.clock;
    const before = readBreakers(first.store);
    await close(first);
    const rig = await openRig({ dir });
    rig.clock.nowMs = nowMs;
    expect(readBreakers(rig.store)).toEqual(before);
    expect(await statusOf(rig)).toBe("none");
    await pass(rig, limit.breakerPauseMs);
    expect(await statusOf(rig)).toBe("granted");
  });

  it("takes one ask at a time on its trial, and as many as ever after it", async () => {
    const rig = await openRig();
    await opened(rig);
    for (let asked = 0; asked < 5; asked += 1)
      await send(rig, operator, "ask", {
        role: "architect",
        phases: ["test"],
        text: `${asked}`,
        data: null,
        waitMs: 0,
      });
    const take = async () => {
      const answer = dataOf<ClaimAnswer>(await send(rig, sick, "claim", { waitMs: 0, asks: 4 }));
      return answer.status === "asked" ? answer.asks : [];
    };
    // The quest's own task goes to another, so that asks are what is left.
    await granted(rig, healthy);
    expect(await take()).toEqual([]);
    await pass(rig, limit.breakerPauseMs);
    const [trial, ...more] = await take();
    expect(more).toEqual([]);
    expect(await take()).toEqual([]);
    const { assignment = "", epoch = 0 } = trial ?? {};
    const outcome = { assignment, epoch, phase: "test" as const, result: 1, fault: null };
    expect(codeOf(await send(rig, sick, "report", { task: "ask", asks: [outcome] }))).toBe("ok");
    expect(await take()).toHaveLength(4);
  });
});

it("asks that run out count once for each holder, whatever their number", async () => {
  const rig = await openRig();
  for (let asked = 0; asked < 6; asked += 1)
    await send(rig, operator, "ask", {
      role: "qa",
      phases: ["test"],
      text: `${asked}`,
      data: null,
      waitMs: 0,
    });
  expect(codeOf(await send(rig, agent("qa"), "claim", { waitMs: 0, asks: 6 }))).toBe("ok");
  await pass(rig, limit.leaseMs);
  expect(rows(rig.store, "breaker.counted")).toMatchObject([{ body: { agent: "qa/qa", failures: 1 } }]);
});

it("a transaction that fails takes its bad ends back", async () => {
  const rig = await openRig();
  await submit(rig);
  await granted(rig, sick);
  const { transact } = rig.store;
  rig.store.transact = (work) =>
    transact((tx) => {
      work(tx);
      throw new Error("the disk");
    });
  await pass(rig, limit.leaseMs);
  rig.store.transact = transact;
  await poke(rig);
  expect(typesOf(rig)).toEqual(["counted"]);
  expect(readBreakers(rig.store).get("architect/architect")?.failures).toBe(1);
});
