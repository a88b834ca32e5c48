import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { journalRows, openMemoryStore, projectionLines, type Store } from "../src/index.ts";
import { questRow, refused } from "./rig.ts";

/** Also what no quest is called, as somebody who changed the database may have put it. */
const quests = ["q-aaaaaaa1", "q-aaaaaaa2", "q-aaaaaaab", "", "\0", "x\0", "é", "\u{1f600}", " ", "0"];

let store: Store;
beforeEach(() => {
  store = openMemoryStore("shares");
  store.transact((tx) => {
    tx.append(
      [...quests, null].map((quest) => refused("no", quest)),
      { timeMs: 1, command: null },
    );
    for (const id of quests) {
      tx.putQuest(questRow({ id, digest: id }));
      tx.putEvidence({ sha256: "a", kind: "diff", quest: id, sizeBytes: 1, seq: 1 });
      tx.putEscalation({ id: `e${id}`, quest: id, reason: "x", status: "open", openedMs: 1, ruling: null });
      const none = { phase: null, task: null, pass: 0, epoch: 0, holder: null };
      tx.putAssignment({ id: `${id}.qa`, quest: id, role: "qa", status: "offered", ...none });
    }
    tx.putAgent({ role: "ops", name: "ops1", incarnation: "a", pid: 1, joinedMs: 1, seq: 1 });
    tx.setCursor("pauses", 1);
  });
});
afterEach(() => store.close());

describe.each([1, 2, 3, 4, 7])("of %i shares", (of) => {
  const shares = Array.from({ length: of }, (_, at) => ({ at, of }));

  test("each row of the journal is in one", () => {
    const found = shares.flatMap((share) => [...journalRows(store, { share })].map(({ seq }) => seq));
    expect(found.sort((a, b) => a - b)).toEqual([...journalRows(store)].map(({ seq }) => seq));
  });

  test("each projected row is in one, that of its quest", () => {
    const found = shares.map((share) => [...projectionLines(store, share)]);
    expect(found.flat().sort()).toEqual([...projectionLines(store)].sort());
    for (const [at, lines] of found.entries()) {
      const of4 = ["quest", "assignment", "escalation", "evidence"].map(
        (table) => lines.filter((line) => line.startsWith(`${table} `)).length,
      );
      const share = { at, of };
      const inJournal = [...journalRows(store, { share })].filter(({ quest }) => quest !== null);
      expect(of4).toEqual(of4.map(() => inJournal.length));
    }
  });
});
