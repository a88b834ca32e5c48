import type { Actor, RequestsAnswer } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import {
  close,
  codeOf,
  dataOf,
  openRig,
  operator,
  play,
  post,
  type Rig,
  rows,
  send,
  stateOf,
  step,
  submit,
  until,
} from "./rig.ts";

/** Quests that stand still until somebody supplies a candidate. */

const worker: Actor = { role: "worker", name: "wanda" };
const asking = (title: string) => ({ title, fixers: [{ worker: true }] });
const patch = {
  name: "idea",
  note: null,
  change: { patch: "--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-x\n+y\n" },
};

const requests = async (rig: Rig): Promise<RequestsAnswer> =>
  dataOf(await send(rig, worker, "requests", { waitMs: 0 }));
const supply = (rig: Rig, quest: string) => send(rig, worker, "supply", { quest, ...patch });

describe("a quest that waits for a candidate", () => {
  it("lets another quest measure, and goes on when that one has ended", async () => {
    const rig = await openRig();
    const one = await submit(rig, asking("one"));
    await play(rig, one);
    expect(stateOf(rig, one)).toMatchObject({ status: "running", task: null });
    const two = await submit(rig);
    expect(stateOf(rig, two).status).toBe("running");
    dataOf(await supply(rig, one));
    await until(rig, two, "gate");
    expect(stateOf(rig, one).task, "the machine is not free").toBeNull();
    await play(rig, two);
    expect(stateOf(rig, two).status).toBe("accepted");
    expect(stateOf(rig, one).task).toBe("produce");
    expect((await play(rig, one)).status).toBe("accepted");
  });

  it("gets it as it was supplied, also where something in it looks like a secret", async () => {
    const rig = await openRig();
    const quest = await submit(rig, asking("one"));
    await play(rig, quest);
    const change = {
      patch:
        "--- a/src/a\n+++ b/src/a\n@@ -1 +1 @@\n-postgres://app:hunter2@db\n+postgres://app:hunter3@db\n",
    };
    const note = "for postgres://app:hunter2@db";
    dataOf(await send(rig, worker, "supply", { quest, name: "idea", note, change }));
    expect(rows(rig.store, "candidate.supplied")[0]?.body).toMatchObject({
      supplied: { note: "for postgres://app:[redacted: password]@db", change },
    });
  });

  it("goes on after a restart with what was supplied", async () => {
    const rig = await openRig();
    const one = await submit(rig, asking("one"));
    await play(rig, one);
    const two = await submit(rig);
    await step(rig, two);
    dataOf(await supply(rig, one));
    await close(rig);
    const again = await openRig({ dir: rig.dir });
    await play(again, two);
    expect((await play(again, one)).status).toBe("accepted");
    await close(again);
  });
});

describe("a program that asks what is wanted", () => {
  it("is told of each pass that waits, as soon as it does, and of none that was supplied", async () => {
    const rig = await openRig();
    expect(await requests(rig)).toEqual({ status: "none" });
    const parked = post(rig, worker, "requests", { waitMs: 20_000 });
    const one = await submit(rig, asking("one"));
    await play(rig, one);
    const told = dataOf<RequestsAnswer>(await parked.answer);
    expect(told).toMatchObject({
      status: "open",
      requests: [{ quest: one, pass: 1, brief: { title: "one" } }],
    });
    dataOf(await supply(rig, one));
    expect(await requests(rig)).toEqual({ status: "none" });
    expect(rows(rig.store, "candidate.supplied")).toMatchObject([{ quest: one, actor: worker }]);
  });

  it("may ask and supply, and nothing else; nobody else may ask", async () => {
    const rig = await openRig();
    const one = await submit(rig, asking("one"));
    expect(codeOf(await send(rig, worker, "claim", { waitMs: 0 }))).toBe("ROLE_FORBIDDEN");
    expect(codeOf(await send(rig, worker, "cancel", { quest: one, reason: "mine" }))).toBe("ROLE_FORBIDDEN");
    expect(codeOf(await send(rig, operator, "requests", { waitMs: 0 }))).toBe("ROLE_FORBIDDEN");
    expect(codeOf(await supply(rig, one))).toBe("CANDIDATE_NOT_AWAITED");
    expect(codeOf(await supply(rig, "q-00000000"))).toBe("QUEST_NOT_FOUND");
    expect(rows(rig.store, "command.refused")).toHaveLength(5);
  });
});
