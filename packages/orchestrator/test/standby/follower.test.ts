import type { JournalEvent } from "@questbus/protocol";
import { openStore, type Store } from "@questbus/store";
import { afterEach, expect, test } from "vitest";
import { openFollowing } from "../../src/standby/follower.ts";
import { freshDir, rows, silent } from "../rig.ts";

const stores: Store[] = [];
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
});

/** Stores of one installation: equal rows have equal hashes. */
function storeWith(...names: string[]): Store {
  const store = openStore({ dir: freshDir(), mode: "write", installation: "00112233aabbccdd" });
  stores.push(store);
  for (const node of names)
    store.transact((tx) =>
      tx.append(
        [
          {
            type: "leader.began",
            quest: null,
            actor: { role: "orchestrator", name: node },
            body: { node, epoch: 1 },
          },
        ],
        { timeMs: 1, command: null },
      ),
    );
  return store;
}

const batchOf = (held: readonly JournalEvent[]) => ({
  ...{ node: "node-1", epoch: 1, publishedSeq: 0, rows: [...held], answers: [], forgotten: null },
});

test("F2: rows that were there already when the stream brought them are never taken away either", () => {
  const store = storeWith("one", "two", "three");
  store.transact((tx) => tx.setCursor("batch-held", 1));
  const following = openFollowing(store, silent);
  following.take(batchOf(rows(store)), 7);
  following.flush();
  const before = rows(store);
  following.take(batchOf(rows(storeWith("one", "two", "other"))), 8);
  expect(() => following.flush()).toThrow(expect.objectContaining({ code: "STANDBY_APART" }));
  expect(rows(store)).toEqual(before);
});
