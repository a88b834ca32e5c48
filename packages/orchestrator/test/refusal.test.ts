import { type EventBody, limit } from "@questbus/protocol";
import { expect, test } from "vitest";
import {
  agent,
  claim,
  codeOf,
  dataOf,
  granted,
  openRig,
  operator,
  pass,
  post,
  rows,
  send,
  stateOf,
  submit,
} from "./rig.ts";

const mine = agent("architect", "mine");

test("a claim that an agent waits with is withdrawn when it leaves, and what it holds is given back: nothing is said against it", async () => {
  const rig = await openRig();
  const waiting = post(rig, mine, "claim", { waitMs: 20_000 });
  expect(dataOf(await send(rig, mine, "leave", {}))).toEqual({});
  expect(dataOf(await waiting.answer)).toEqual({ status: "none" });
  const quest = await submit(rig);
  expect(stateOf(rig, quest).assignments.architect).toMatchObject({ status: "offered" });
  await granted(rig, mine);
  await send(rig, mine, "leave", {});
  expect(stateOf(rig, quest).assignments.architect).toMatchObject({ status: "offered", epoch: 1 });
  expect(rows(rig.store, "agent.left").map(({ actor }) => actor)).toEqual([mine, mine]);
  expect(rows(rig.store, "breaker.counted")).toEqual([]);
});

test("what a revoked agent holds and waits for is taken back at once, and recorded", async () => {
  const rig = await openRig();
  const quest = await submit(rig);
  await granted(rig, mine);
  expect(dataOf(await send(rig, operator, "revoke", { role: "architect", name: "mine" }))).toEqual({});
  expect(stateOf(rig, quest).assignments.architect).toMatchObject({ status: "offered" });
  expect(rows(rig.store, "agent.revoked")).toMatchObject([
    { actor: operator, body: { agent: "architect/mine" } },
  ]);
  expect(rows(rig.store, "lease.expired")).toMatchObject([
    { body: { reason: "its credential was revoked" } },
  ]);
  const waiting = post(rig, agent("qa", "mine"), "claim", { waitMs: 20_000 });
  await send(rig, operator, "revoke", { role: "qa", name: "mine" });
  expect(dataOf(await waiting.answer)).toEqual({ status: "none" });
  expect(dataOf(await send(rig, operator, "revoke", { role: "worker", name: "mine" }))).toEqual({});
});

test("only an operator revokes, and who may not takes nobody's claim away", async () => {
  const rig = await openRig();
  const waiting = post(rig, agent("qa"), "claim", { waitMs: 20_000 });
  expect(codeOf(await send(rig, mine, "revoke", { role: "qa", name: "qa" }))).toBe("ROLE_FORBIDDEN");
  expect(waiting.answers).toEqual([]);
});

test("the first refusals of a sender are recorded, those beyond counted: at once, then once a minute", async () => {
  const rig = await openRig();
  const release = { assignment: "q-00000000.architect", epoch: 1, reason: "mine" };
  for (let at = 0; at < limit.refusalsKeptMax + 5; at += 1) await send(rig, mine, "release", release);
  expect(rows(rig.store, "command.refused")).toHaveLength(limit.refusalsKeptMax);
  await pass(rig, limit.refusalsWindowMs);
  const counts = rows(rig.store, "refusals.counted").map(({ body }) => body as EventBody["refusals.counted"]);
  expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(5);
  expect(counts[0]).toMatchObject({ verb: "release", code: "QUEST_NOT_FOUND" });
  await send(rig, agent("ops"), "release", release);
  expect(rows(rig.store, "command.refused")).toHaveLength(limit.refusalsKeptMax + 1);
});

test("the first refusal of a sender that is only counted puts no timer to sleep", async () => {
  const timers = new Set<() => void>();
  const rig = await openRig({
    after: (_, work) => {
      timers.add(work);
      return () => void timers.delete(work);
    },
  });
  await submit(rig);
  await granted(rig, mine);
  const release = { assignment: "q-00000000.architect", epoch: 1, reason: "mine" };
  for (let at = 0; at <= limit.refusalsKeptMax; at += 1) await send(rig, mine, "release", release);
  rig.clock.nowMs += limit.leaseMs + 1;
  for (const work of [...timers]) work();
  await new Promise((done) => setImmediate(done));
  expect(rows(rig.store, "lease.expired")).toHaveLength(1);
  expect(rows(rig.store, "refusals.counted")).toHaveLength(1);
});

test("a command for which there is no room is recorded, too", async () => {
  const rig = await openRig();
  const sent = Array.from({ length: limit.queueOfSenderMax + 3 }, () =>
    post(rig, mine, "claim", { waitMs: 0 }),
  );
  expect(codeOf(await (sent.at(-1) as (typeof sent)[number]).answer)).toBe("OVERLOADED");
  await claim(rig, agent("ops"));
  expect(rows(rig.store, "command.refused").map(({ body }) => (body as { code: string }).code)).toEqual(
    Array(3).fill("OVERLOADED"),
  );
});

test("a renewal of what another agent holds is recorded; one that comes too late is not", async () => {
  const rig = await openRig();
  await submit(rig);
  const { assignment, epoch } = await granted(rig, agent("architect"));
  expect(codeOf(await send(rig, mine, "renew", { assignment, epoch }))).toBe("LEASE_STALE");
  expect(rows(rig.store, "command.refused")).toMatchObject([{ actor: mine, body: { verb: "renew" } }]);
  await send(rig, agent("architect"), "release", { assignment, epoch, reason: "done" });
  await send(rig, agent("architect"), "renew", { assignment, epoch });
  expect(rows(rig.store, "command.refused")).toHaveLength(1);
});

test("a command under another sender's id is refused and recorded", async () => {
  const rig = await openRig();
  await send(rig, agent("qa"), "hello", { incarnation: "one", pid: 1 }, "the-same");
  expect(codeOf(await send(rig, mine, "hello", { incarnation: "one", pid: 1 }, "the-same"))).toBe(
    "MESSAGE_INVALID",
  );
  expect(rows(rig.store, "command.refused")).toMatchObject([{ actor: mine, body: { verb: "hello" } }]);
});

test("what the broker refused is recorded as its sender's, without the secrets in it", async () => {
  const rig = await openRig();
  const token = `ghp_${"a1B2".repeat(9)}`;
  const refusals = [
    {
      agent: { role: "qa", name: "mine" } as const,
      kind: "publish" as const,
      detail: `x.${token}`,
      count: 1,
    },
    { agent: null, kind: "credential" as const, detail: "no credential", count: 7 },
  ];
  await send(rig, operator, "refusals", { refusals });
  expect(rows(rig.store, "broker.refused")).toMatchObject([
    { actor: { role: "qa", name: "mine" }, body: { kind: "publish", detail: "x.[redacted: GitHub token]" } },
    { actor: { role: "orchestrator" }, body: { kind: "credential", count: 7 } },
  ]);
});
