import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type AssignmentRow, openStore, projectionLines, type Store } from "../src/index.ts";
import { newDir, quest, questRow } from "./rig.ts";

let store: Store;
let remove: () => void;
beforeEach(() => {
  const made = newDir();
  remove = made.remove;
  store = openStore({ dir: made.dir, mode: "write" });
});
afterEach(() => {
  store.close();
  remove();
});

const assignment = (row: Partial<AssignmentRow> = {}): AssignmentRow => ({
  id: `${quest}.qa`,
  quest,
  role: "qa",
  status: "offered",
  phase: "test",
  task: "base-suite",
  pass: 1,
  epoch: 0,
  holder: null,
  ...row,
});

describe("quests", () => {
  test("a put row is read back, and a second put replaces it", () => {
    store.transact((tx) => tx.putQuest(questRow({ state: { b: [1, null], a: "é" } })));
    expect(store.getQuest(quest)).toEqual(questRow({ state: { a: "é", b: [1, null] } }));
    store.transact((tx) => tx.putQuest(questRow({ status: "accepted", state: null, updatedMs: 9 })));
    expect(store.getQuest(quest)).toMatchObject({ status: "accepted", state: null, updatedMs: 9 });
    expect(store.getQuestState("q-unknown0")).toBeNull();
  });

  test("they are listed newest first, in pages, by status", () => {
    const ids = ["q-aaaaaaa1", "q-aaaaaaa2", "q-aaaaaaa3", "q-aaaaaaa4"];
    store.transact((tx) => {
      for (const [at, id] of ids.entries()) {
        // Two of them of the same millisecond: a page must not lose one.
        tx.putQuest(
          questRow({ id, createdMs: at === 2 ? 1 : at, status: at === 0 ? "accepted" : "running" }),
        );
      }
    });
    const list = (query: Parameters<Store["listQuests"]>[0]) =>
      store.listQuests(query).map((each) => each.id.at(-1));
    expect(list({ limit: 10 })).toEqual(["4", "3", "2", "1"]);
    expect(list({ limit: 2 })).toEqual(["4", "3"]);
    expect(list({ limit: 2, before: "q-aaaaaaa3" })).toEqual(["2", "1"]);
    expect(list({ limit: 9, status: "accepted" })).toEqual(["1"]);
    expect(list({ limit: 9, status: ["accepted", "running"], before: "q-aaaaaaa2" })).toEqual(["1"]);
    expect(list({ limit: 9, status: [] })).toEqual([]);
    expect("state" in (store.listQuests({ limit: 1 })[0] ?? {})).toBe(false);
  });

  test("P2: a digest finds the unfinished quest only", () => {
    const digest = "e".repeat(64);
    store.transact((tx) => tx.putQuest(questRow({ digest, status: "cancelled" })));
    expect(store.questByDigest(digest)).toBeNull();
    store.transact((tx) => tx.putQuest(questRow({ id: "q-bbbbbbbb", digest, status: "escalated" })));
    expect(store.questByDigest(digest)?.id).toBe("q-bbbbbbbb");
  });
});

test("assignments are listed by quest age, quest, role and status", () => {
  store.transact((tx) => {
    tx.putAssignment(assignment());
    tx.putQuest(questRow({ createdMs: 2 }));
    tx.putAssignment(assignment({ id: "q-bbbbbbbb.qa", quest: "q-bbbbbbbb" }));
    tx.putAssignment(
      assignment({
        id: "q-bbbbbbbb.ops",
        quest: "q-bbbbbbbb",
        role: "ops",
        status: "claimed",
        holder: "ops1",
      }),
    );
    tx.putQuest(questRow({ id: "q-bbbbbbbb", createdMs: 1 }));
  });
  const list = (query?: Parameters<Store["listAssignments"]>[0]) =>
    store.listAssignments(query).map((each) => each.id);
  expect(list()).toEqual(["q-bbbbbbbb.ops", "q-bbbbbbbb.qa", `${quest}.qa`]);
  expect(list({ role: "qa", status: "offered" })).toEqual(["q-bbbbbbbb.qa", `${quest}.qa`]);
  expect(list({ quest: "q-bbbbbbbb", status: ["claimed"] })).toEqual(["q-bbbbbbbb.ops"]);
  expect(store.getAssignment(`${quest}.qa`)).toEqual(assignment());
  store.transact((tx) => tx.putAssignment(assignment({ phase: null, task: null, status: "done", epoch: 3 })));
  expect(store.getAssignment(`${quest}.qa`)).toMatchObject({
    phase: null,
    task: null,
    status: "done",
    epoch: 3,
  });
});

test("a row of no quest is refused at the end of the transaction", () => {
  expect(() => store.transact((tx) => tx.putAssignment(assignment()))).toThrow(/FOREIGN KEY/);
  expect(store.listAssignments()).toEqual([]);
});

test("P2: unfinished quests are those that have not ended, oldest first", () => {
  const rows = [
    ["q-dddddddd", "running", 4],
    ["q-cccccccc", "accepted", 3],
    ["q-bbbbbbbb", "escalated", 2],
    ["q-aaaaaaaa", "queued", 1],
  ] as const;
  store.transact((tx) => {
    for (const [id, status, createdMs] of rows) {
      tx.putQuest(questRow({ id, status, createdMs, state: { id } }));
      const held = { running: "leased", accepted: "done", escalated: "waiting", queued: "waiting" }[status];
      tx.putAssignment(assignment({ id: `${id}.qa`, quest: id, status: held }));
    }
  });
  expect(store.unfinishedQuests()).toEqual([
    { id: "q-aaaaaaaa" },
    { id: "q-bbbbbbbb" },
    { id: "q-dddddddd" },
  ]);
});

test("escalations, evidence and agents", () => {
  const escalation = {
    id: "e-aaaaaaaa",
    quest,
    reason: "conflict",
    status: "open",
    openedMs: 4,
    ruling: null,
  };
  const evidence = { sha256: "a".repeat(64), kind: "samples", quest, sizeBytes: 3, seq: 2 };
  const agent = { role: "qa", name: "qa1", incarnation: "one", pid: 7, joinedMs: 5, seq: 1 } as const;
  store.transact((tx) => {
    tx.putQuest(questRow());
    tx.putEscalation(escalation);
    tx.putEvidence(evidence);
    tx.putEvidence({ ...evidence, seq: 9 });
    tx.putEvidence({ ...evidence, kind: "diff", seq: 1 });
    tx.putAgent(agent);
    tx.putAgent({ ...agent, incarnation: "two" });
  });
  expect(store.listEscalations({ status: "open", quest })).toEqual([escalation]);
  store.transact((tx) =>
    tx.putEscalation({ ...escalation, status: "ruled", ruling: { decision: "accept" } }),
  );
  expect(store.listEscalations({ status: "open" })).toEqual([]);
  expect(store.getEscalation("e-aaaaaaaa")?.ruling).toEqual({ decision: "accept" });
  expect(store.getEscalation("e-unknown0")).toBeNull();
  expect(store.listEvidence(quest)).toEqual([{ ...evidence, kind: "diff", seq: 1 }, evidence]);
  expect(store.listAgents()).toEqual([{ ...agent, incarnation: "two" }]);
  expect(store.getAgent("qa", "qa2")).toBeNull();
});

test("P1: the dump is the same whatever the order of the puts, and differs with any row", () => {
  const puts: ((tx: Parameters<Parameters<Store["transact"]>[0]>[0]) => void)[] = [
    (tx) => tx.putQuest(questRow()),
    (tx) => tx.putQuest(questRow({ id: "q-bbbbbbbb" })),
    (tx) => tx.putAssignment(assignment()),
    (tx) => tx.putEvidence({ sha256: "a".repeat(64), kind: "diff", quest, sizeBytes: 1, seq: 1 }),
    (tx) => tx.putAgent({ role: "qa", name: "qa1", incarnation: "one", pid: 7, joinedMs: 5, seq: 1 }),
    (tx) =>
      tx.putEscalation({
        id: "e-aaaaaaaa",
        quest,
        reason: "conflict",
        status: "open",
        openedMs: 4,
        ruling: null,
      }),
  ];
  store.transact((tx) => {
    for (const put of puts) put(tx);
  });
  const made = newDir();
  const other = openStore({ dir: made.dir, mode: "write" });
  other.transact((tx) => {
    for (const put of puts.toReversed()) put(tx);
  });
  const dump = [...projectionLines(store)];
  expect([...projectionLines(other)]).toEqual(dump);
  expect(dump.map((line) => line.split(" ")[0])).toEqual([
    "quest",
    "quest",
    "assignment",
    "escalation",
    "evidence",
    "agent",
  ]);
  other.transact((tx) => tx.putAssignment(assignment({ epoch: 1 })));
  expect([...projectionLines(other)]).not.toEqual(dump);
  other.close();
  made.remove();
});
