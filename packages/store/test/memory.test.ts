import type { Memory } from "@questbus/protocol";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openMemoryStore, openStore, type Store } from "../src/index.ts";
import { newDir } from "./rig.ts";

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

const project = "/srv/a";
const memory = (part: Partial<Memory> & { seq: number }): Memory => ({
  kind: "pattern",
  project,
  quest: null,
  role: "qa",
  name: "qa",
  text: "the suite compares dates",
  tags: [],
  about: null,
  suspected: [],
  keptMs: 1,
  uses: 0,
  successes: 0,
  ...part,
});
const add = (...rows: Memory[]) =>
  store.transact((tx) => {
    for (const row of rows) tx.addMemory(row);
  });
const found = (query: Partial<Parameters<Store["findMemories"]>[0]>) =>
  store.findMemories({ match: null, project: null, limit: 10, ...query }).map(({ seq }) => seq);

describe("finding", () => {
  test("by any of the words, in text and tags, by their stem and without accents; the best fit first", () => {
    add(
      memory({ seq: 1, text: "Sorting is done twice", tags: ["src/sort.mjs"] }),
      memory({ seq: 2, text: "Postings are rebuilt" }),
      memory({ seq: 3, text: "sorted postings: sort, sort and sort again" }),
      memory({ seq: 4, text: "Größe des Caches" }),
    );
    expect(found({ match: '"sort"' })).toEqual([3, 1]);
    expect(found({ match: '"posting" OR "rebuild"' })).toEqual([2, 3]);
    expect(found({ match: '"große"' })).toEqual([4]);
    expect(found({ match: '"mjs"' })).toEqual([1]);
    expect(found({ match: '"nothing"' })).toEqual([]);
    expect(store.findMemories({ match: '"sort"', project: null, limit: 1 })[0]?.relevance).toBeGreaterThan(0);
    expect(found({})).toEqual([4, 3, 2, 1]);
  });

  test("of a project those of none are found too; of a kind; the harmless; not what a quest itself taught", () => {
    const quest = "q-aaaaaaaa";
    add(
      memory({ seq: 1 }),
      memory({ seq: 2, project: "/srv/b" }),
      memory({ seq: 3, project: null, kind: "team" }),
      memory({ seq: 4, suspected: ["role"] }),
      memory({ seq: 5, role: "orchestrator", quest }),
      memory({ seq: 6, quest }),
    );
    const match = '"suite"';
    expect(found({ match, project }).sort()).toEqual([1, 3, 4, 5, 6]);
    expect(found({ match, project, harmless: true }).sort()).toEqual([1, 3, 5, 6]);
    expect(found({ match, project, notOf: quest }).sort()).toEqual([1, 3, 4, 6]);
    expect(found({ match, kind: "team" })).toEqual([3]);
    expect(found({ match, project: "/srv/b" }).sort()).toEqual([2, 3]);
    expect(store.countMemoriesOfQuest(quest, "qa")).toBe(1);
    expect(store.memoriesOfRole(project, "qa").map(({ seq }) => seq)).toEqual([1, 4, 6]);
  });

  test("whatever words it is asked for, it answers", () => {
    add(memory({ seq: 1, text: "a b c and or not near" }));
    const word = fc.stringMatching(/^[\p{L}\p{N}]{1,20}$/u);
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 8 }), (words) => {
        const match = words.map((each) => `"${each}"`).join(" OR ");
        expect(store.findMemories({ match, project: null, limit: 5 }).length).toBeLessThanOrEqual(1);
      }),
    );
    for (const each of ["AND", "OR", "NOT", "NEAR", "ǅ", "٣", "𐐷"])
      expect(() => found({ match: `"${each}" OR "c"` })).not.toThrow();
  });
});

test("what was forgotten is not found by its words; what is about the same, or says the same, is", () => {
  add(memory({ seq: 1 }), memory({ seq: 2, text: "other", about: "tree" }));
  expect(store.sameMemory(memory({ seq: 9 }))).toBe(1);
  expect(store.sameMemory(memory({ seq: 9, text: "new", about: "tree" }))).toBe(2);
  expect(store.sameMemory(memory({ seq: 9, kind: "error" }))).toBeNull();
  expect(store.sameMemory(memory({ seq: 9, project: null }))).toBeNull();
  store.transact((tx) => {
    tx.countMemoryUse(1, true);
    tx.countMemoryUse(1, false);
    tx.removeMemory(2);
    // Of one that was forgotten meanwhile nothing is counted.
    tx.countMemoryUse(2, true);
  });
  expect(store.getMemories([2, 1])).toMatchObject([{ seq: 1, uses: 2, successes: 1 }]);
  expect(found({ match: '"other"' })).toEqual([]);
  expect(store.getMemory(2)).toBeNull();
});

test("a store in memory that is used again knows nothing of the words of the one before", () => {
  for (const words of [[1], []]) {
    const memoryStore = openMemoryStore("x");
    expect(memoryStore.findMemories({ match: '"suite"', project: null, limit: 5 })).toEqual([]);
    memoryStore.transact((tx) => {
      for (const seq of words) tx.addMemory(memory({ seq }));
    });
    memoryStore.close();
  }
});
