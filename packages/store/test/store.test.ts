import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type NewEvent, QuestbusError } from "@questbus/protocol";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { actorText, openStore, projectionLines, type Store, verifyJournal } from "../src/index.ts";
import { migrationsIn } from "../src/migration.ts";
import { fill, filled, newDir, orchestrator, quest, questRow, refused } from "./rig.ts";

let dir: string;
let remove: () => void;
let store: Store | null;
const open = (): Store => {
  store = openStore({ dir, mode: "write", nowMs: () => 5 });
  return store;
};
beforeEach(() => {
  ({ dir, remove } = newDir());
  store = null;
});
afterEach(() => {
  store?.close();
  remove();
});

/** Changes the closed database behind the store's back. */
function meddle(sql: string): void {
  const db = new Database(join(dir, "questbus.db"));
  db.exec(sql);
  db.close();
}
const code = (action: () => unknown): string => {
  try {
    action();
    return "none";
  } catch (error) {
    return error instanceof QuestbusError ? error.code : String(error);
  }
};

describe("opening", () => {
  test("a new state directory is private and holds an empty journal", () => {
    dir = join(dir, "state");
    const { head, installation } = open();
    expect(head()).toMatchObject({ seq: 0 });
    expect(installation).toMatch(/^[0-9a-f]{16}$/);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const name of ["questbus.db", "questbus.db-wal", "orchestrator.lock"]) {
      expect(statSync(join(dir, name)).mode & 0o777, name).toBe(0o600);
    }
  });

  test("the installation's id stays", () => {
    const first = open().installation;
    store?.close();
    expect(open().installation).toBe(first);
  });

  test("S1: a second writer in this process is refused with the next step, a reader is not", () => {
    open();
    expect(code(() => openStore({ dir, mode: "write" }))).toBe("STATE_LOCKED");
    openStore({ dir, mode: "read" }).close();
    store?.close();
    open();
  });

  test("nothing there to read: STATE_MISSING, and nothing is made", () => {
    expect(code(() => openStore({ dir, mode: "read" }))).toBe("STATE_MISSING");
    writeFileSync(join(dir, "questbus.db"), "");
    expect(code(() => openStore({ dir, mode: "read" }))).toBe("STATE_MISSING");
    expect(existsSync(join(dir, "orchestrator.lock"))).toBe(false);
  });

  test.each(["read", "write"] as const)("a newer state is refused (%s), and left as it is", (mode) => {
    filled(dir, 1);
    meddle("PRAGMA user_version = 99");
    expect(code(() => openStore({ dir, mode } as { dir: string; mode: "read" }))).toBe("STATE_NEWER");
    meddle(`PRAGMA user_version = ${migrationsIn().length}`);
    expect(open().head().seq).toBe(1);
  });

  test.each(["read", "write"] as const)("a migration that was changed after it was applied (%s)", (mode) => {
    filled(dir, 1);
    meddle("UPDATE migration SET checksum = 'x' WHERE version = 2");
    expect(code(() => openStore({ dir, mode } as { dir: string; mode: "read" }))).toBe("STATE_BROKEN");
  });

  test.each(["read", "write"] as const)("what is no database, or another program's (%s)", (mode) => {
    const opening = () => openStore({ dir, mode } as { dir: string; mode: "read" });
    writeFileSync(
      join(dir, "questbus.db"),
      "not a database, but long enough to be read as one. ".repeat(100),
    );
    expect(code(opening)).toBe("STATE_BROKEN");
    writeFileSync(join(dir, "questbus.db"), "");
    meddle("CREATE TABLE somebody_elses (x)");
    expect(code(opening)).toBe("STATE_BROKEN");
  });

  test("an older state is brought up to date by a writer; a reader says what to do", () => {
    filled(dir, 1);
    meddle(
      `DROP TABLE timer; DROP TABLE cursor; DROP TABLE ask; DROP TABLE dead_letter;
       DROP TABLE memory_text; DROP TABLE memory; DELETE FROM migration WHERE version >= 3; PRAGMA user_version = 2`,
    );
    expect(code(() => openStore({ dir, mode: "read" }))).toBe("STATE_MISSING");
    expect(open().nextTimerMs()).toBeNull();
    expect(store?.head().seq).toBe(1);
  });

  test.each([
    ["its last row removed", "DELETE FROM journal WHERE seq = 3"],
    ["its head removed", "DELETE FROM head"],
    ["its head moved", "UPDATE head SET seq = 2"],
  ])("a journal with %s is not continued", (_what, sql) => {
    filled(dir, 3);
    meddle(sql);
    expect(code(open)).toBe("AUDIT_BROKEN");
    const reader = openStore({ dir, mode: "read" });
    expect(verifyJournal(reader).ok).toBe(false);
    reader.close();
  });
});

describe("damage is found when the writer opens, and the way out is named", () => {
  const opening = (): QuestbusError => {
    try {
      open();
    } catch (error) {
      if (error instanceof QuestbusError) return error;
    }
    throw new Error("it opened");
  };
  /** Changes the page of the file in which `text` stands last. */
  const onPageOf = (text: string, change: (page: Buffer, at: number) => void): void => {
    const path = join(dir, "questbus.db");
    const bytes = readFileSync(path);
    const at = bytes.lastIndexOf(text);
    const from = at - (at % 4_096);
    change(bytes.subarray(from, from + 4_096), at - from);
    writeFileSync(path, bytes);
  };

  test("a torn page, far from the end of the journal: STATE_BROKEN", () => {
    filled(dir, 2_000);
    onPageOf('"message 17"', (page) => page.fill(0, 0, 512));
    const error = opening();
    expect(error.code).toBe("STATE_BROKEN");
    expect(error.faults[0]?.next).toContain("questbus backup restore");
  });

  test("one flipped bit in a recent row, which SQLite itself cannot see: AUDIT_BROKEN", () => {
    filled(dir, 2_000);
    onPageOf('"message 1700"', (page, at) => page.writeUInt8(page.readUInt8(at + 3) ^ 1, at + 3));
    const error = opening();
    expect(error.code).toBe("AUDIT_BROKEN");
    expect(error.message).toContain("row 1700");
    expect(error.faults[0]?.next).toContain("questbus backup restore");
  });

  test("every pragma is as it was asked for, also after another program opened the file", () => {
    filled(dir, 1);
    meddle("PRAGMA journal_mode = DELETE");
    open();
    expect(existsSync(join(dir, "questbus.db-wal"))).toBe(true);
  });
});

describe("transactions", () => {
  test("J1 J3: rows follow each other, and are read as they were returned", () => {
    const { transact, readJournal, head, installation } = open();
    const events: NewEvent[] = [refused("é\u0000\u2028 \u{1f600}"), refused("two", null)];
    const rows = transact((tx) => tx.append(events, { timeMs: 7, command: "c-1" }));
    expect(rows).toMatchObject([
      { seq: 1, id: `${installation}-1`, timeMs: 7, command: "c-1", quest, body: events[0]?.body },
      { seq: 2, id: `${installation}-2`, quest: null, actor: { role: "qa", name: "qa1" } },
    ]);
    expect(readJournal({ limit: 10 })).toEqual(rows);
    expect(head()).toEqual({ seq: 2, hash: rows[1]?.hash });
  });

  test("the journal is read in pages, by quest and by type", () => {
    const { readJournal, transact } = open();
    fill(store as Store, 10);
    transact((tx) =>
      tx.append([{ type: "quest.started", quest, actor: orchestrator, body: { deadlineMs: 1 } }], {
        timeMs: 1,
        command: null,
      }),
    );
    const seqs = (query: Parameters<Store["readJournal"]>[0]) => readJournal(query).map((row) => row.seq);
    expect(seqs({ limit: 3 })).toEqual([1, 2, 3]);
    expect(seqs({ afterSeq: 8, limit: 100 })).toEqual([9, 10, 11]);
    expect(seqs({ quest, limit: 100 })).toEqual([2, 3, 5, 6, 8, 9, 11]);
    expect(seqs({ type: "quest.started", limit: 100 })).toEqual([11]);
    expect(seqs({ quest, type: "command.refused", afterSeq: 5, limit: 2 })).toEqual([6, 8]);
  });

  test("S3: a transaction that throws leaves nothing", () => {
    const { transact, head, getQuest, getCursor } = open();
    const before = head();
    const failing = () =>
      transact((tx) => {
        tx.append([refused("gone")], { timeMs: 1, command: null });
        tx.putQuest(questRow());
        tx.setCursor("x", 5);
        throw new Error("no");
      });
    expect(failing).toThrow("no");
    expect([head(), getQuest(quest), getCursor("x")]).toEqual([before, null, 0]);
    fill(store as Store, 2);
    expect(verifyJournal(store as Store)).toEqual({ ok: true, length: 2, head: head().hash });
  });

  test("a body that is no JSON is refused before it is stored", () => {
    const { transact, head } = open();
    const bad = (body: unknown) => () =>
      transact((tx) => tx.append([{ ...refused(""), body } as NewEvent], { timeMs: 1, command: null }));
    expect(bad({ x: Number.NaN })).toThrow();
    expect(bad({ x: "\ud800" })).toThrow();
    expect(bad(undefined)).toThrow();
    expect(head().seq).toBe(0);
  });

  test("answers are remembered by command, with who asked", () => {
    const { transact, answerOf } = open();
    const answer = { ok: true, seq: 3, data: { quest } };
    transact((tx) => tx.rememberAnswer("c-1", orchestrator, answer, 3));
    expect(answerOf("c-1")).toEqual({ actor: actorText(orchestrator), answer, seq: 3 });
    expect(answerOf("c-2")).toBeNull();
    expect(() => transact((tx) => tx.rememberAnswer("c-1", orchestrator, answer, 4))).toThrow();
    transact((tx) => tx.forgetAnswers(3, 10));
    expect(answerOf("c-1")).not.toBeNull();
    transact((tx) => tx.forgetAnswers(4, 10));
    expect(answerOf("c-1")).toBeNull();
  });

  test("timers fall due in order; setting one again moves it", () => {
    const { transact, dueTimers, nextTimerMs } = open();
    expect(nextTimerMs()).toBeNull();
    const timer = (id: string, dueAtMs: number) => ({ id, kind: "lease", subject: id, dueAtMs });
    transact((tx) => {
      for (const each of [timer("c", 30), timer("a", 10), timer("b", 10)]) tx.setTimer(each);
    });
    expect(nextTimerMs()).toBe(10);
    expect(dueTimers(9, 10)).toEqual([]);
    expect(dueTimers(30, 10).map((each) => each.id)).toEqual(["a", "b", "c"]);
    expect(dueTimers(30, 1)).toEqual([timer("a", 10)]);
    transact((tx) => {
      tx.setTimer(timer("a", 40));
      tx.deleteTimer("b");
      tx.deleteTimer("unknown");
    });
    expect(dueTimers(100, 10).map((each) => each.id)).toEqual(["c", "a"]);
  });

  test("a cursor is 0 until it is set", () => {
    const { transact, getCursor } = open();
    expect(getCursor("stream")).toBe(0);
    transact((tx) => tx.setCursor("stream", 4));
    transact((tx) => tx.setCursor("stream", 9));
    expect(getCursor("stream")).toBe(9);
  });
});

describe("reading beside the writer", () => {
  test("a reader sees what is committed, and only that; a snapshot does not move", () => {
    const writer = open();
    fill(writer, 1);
    const reader = openStore({ dir, mode: "read" });
    writer.transact((tx) => {
      tx.append([refused("not yet")], { timeMs: 1, command: null });
      expect(tx.head().seq).toBe(2);
      expect(reader.head().seq).toBe(1);
    });
    expect(reader.head().seq).toBe(2);
    reader.snapshot(() => {
      expect(reader.head().seq).toBe(2);
      fill(writer, 3);
      expect(reader.head().seq).toBe(2);
      expect(reader.readJournal({ limit: 10 })).toHaveLength(2);
    });
    expect(reader.head().seq).toBe(5);
    expect(verifyJournal(reader)).toMatchObject({ ok: true, length: 5 });
    reader.close();
  });

  test("a reader can open what a killed writer left, and cannot write", () => {
    filled(dir, 2);
    const reader = openStore({ dir, mode: "read" });
    expect(reader.head().seq).toBe(2);
    expect("transact" in reader).toBe(false);
    expect([...projectionLines(reader)]).toEqual([]);
    reader.close();
  });
});
