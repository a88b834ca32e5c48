import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalText } from "@questbus/protocol";
import Database from "better-sqlite3";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openStore, type Verification, verifyJournal } from "../src/index.ts";
import { filled, newDir } from "./rig.ts";

/** Tests of the journal's verification: real files, changed behind the store's back. */

const length = 22;
let dir: string;
let remove: () => void;
let copies = 0;
beforeAll(() => {
  ({ dir, remove } = newDir());
  filled(join(dir, "whole"), length);
});
afterAll(() => remove());

function copy(): string {
  copies += 1;
  const to = join(dir, `copy-${copies}`);
  mkdirSync(to);
  copyFileSync(join(dir, "whole", "questbus.db"), join(to, "questbus.db"));
  return to;
}

function verified(at: string): Verification {
  const store = openStore({ dir: at, mode: "read" });
  const result = verifyJournal(store);
  store.close();
  return result;
}

/** What verification says after `change` was done to a copy. */
function after(change: (db: Database.Database) => void): Verification {
  const at = copy();
  const db = new Database(join(at, "questbus.db"));
  change(db);
  db.close();
  return verified(at);
}
type Texts = Record<"id" | "body" | "hash", string>;
const words = (result: Verification): string[] => (result.ok ? [] : result.faults.map((fault) => fault.what));
const rowsNamed = (result: Verification): number[] =>
  result.ok ? [] : result.faults.map((fault) => fault.seq);

test("an untouched journal is in order", () => {
  expect(verified(join(dir, "whole"))).toMatchObject({ ok: true, length });
});

test("the chain can be recomputed by anyone, from this description", () => {
  const store = openStore({ dir: join(dir, "whole"), mode: "read" });
  const sha = (...parts: (string | Uint8Array)[]): Buffer => {
    const hash = createHash("sha256");
    for (const part of parts) hash.update(part);
    return hash.digest();
  };
  let hash = sha(`questbus:${store.installation}`);
  for (const { hash: stored, ...row } of store.readJournal({ limit: 100 })) {
    hash = sha(Uint8Array.of(0), canonicalText(row), hash);
    expect(stored).toBe(hash.toString("hex"));
  }
  expect(store.head()).toEqual({ seq: length, hash: hash.toString("hex") });
  store.close();
});

describe("V1: a changed byte is found, and its row is named, and no other", () => {
  const flip = (text: string, at: number): string =>
    text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 16) + text.slice(at + 1);
  const texts = ["id", "type", "quest", "actor_role", "actor_name", "command", "body", "hash"];

  test.each(texts)("column %s, each of its characters", (column) => {
    const at = copy();
    const db = new Database(join(at, "questbus.db"));
    // Row 17 has a quest and a command.
    const value = db.prepare(`SELECT ${column} FROM journal WHERE seq = 17`).pluck().get() as string;
    expect(value.length).toBeGreaterThan(0);
    for (let place = 0; place < value.length; place += 1) {
      db.prepare(`UPDATE journal SET ${column} = ? WHERE seq = 17`).run(flip(value, place));
      expect(rowsNamed(verified(at)), `character ${place}`).toEqual([17]);
    }
    db.prepare(`UPDATE journal SET ${column} = ? WHERE seq = 17`).run(value);
    db.close();
    expect(verified(at).ok).toBe(true);
  });

  test.each([
    ["quest", "NULL"],
    ["command", "NULL"],
    ["quest", "''"],
    ["command", "''"],
    ["time_ms", "time_ms + 1"],
    ["time_ms", "-time_ms"],
    ["body", "body || ' '"],
    ["body", "'{}'"],
    ["body", "'{'"],
    ["body", "CAST(x'22ff22' AS TEXT)"],
    ["hash", "upper(hash)"],
    ["hash", "''"],
  ])("column %s set to %s", (column, value) => {
    const result = after((db) => void db.exec(`UPDATE journal SET ${column} = ${value} WHERE seq = 17`));
    expect(rowsNamed(result)).toEqual([17]);
  });

  test("a row with its hash recomputed breaks the chain at the next one", () => {
    const result = after((db) => {
      db.exec("UPDATE journal SET time_ms = time_ms + 1 WHERE seq = 17");
      db.exec("UPDATE journal SET hash = replace(hash, 'a', 'b') WHERE seq = 17");
    });
    expect(rowsNamed(result)).toEqual([17, 18]);
  });

  test("the words for a changed content", () => {
    const result = after(
      (db) => void db.exec("UPDATE journal SET body = replace(body, '17', '71') WHERE seq = 17"),
    );
    expect(words(result)).toEqual(["row 17: its content does not match its hash"]);
  });

  test("every byte of a row in the file itself", () => {
    const at = copy();
    const path = join(at, "questbus.db");
    const db = new Database(path, { readonly: true });
    const { id, body, hash } = db.prepare("SELECT id, body, hash FROM journal WHERE seq = 17").get() as Texts;
    db.close();
    const bytes = readFileSync(path);
    // The record's values stand in the order of the columns: id first, body and hash last. The file also holds
    // copies that are no longer part of the table, left over where a page was split.
    const named = [];
    for (let from = bytes.indexOf(body + hash); from >= 0; from = bytes.indexOf(body + hash, from + 1)) {
      const end = from + body.length + hash.length;
      for (let place = bytes.lastIndexOf(id, from); place < end; place += 1) {
        const changed = Buffer.from(bytes);
        changed[place] = (changed[place] ?? 0) ^ 0x04;
        writeFileSync(path, changed);
        named.push({ from, row: rowsNamed(verified(at)).join() });
      }
    }
    const copies = Map.groupBy(named, ({ from }) => from);
    const live = [...copies.values()].filter((all) => all.every(({ row }) => row === "17"));
    const dead = [...copies.values()].filter((all) => all.every(({ row }) => row === ""));
    expect(live.map((all) => all.length > 150)).toEqual([true]);
    expect(live.length + dead.length).toBe(copies.size);
  });
});

test("a page of the file that cannot be read is told with the row it begins at", () => {
  const at = copy();
  const path = join(at, "questbus.db");
  const bytes = readFileSync(path);
  const row = bytes.lastIndexOf('"message 17"');
  bytes.fill(0xff, row - (row % 4096), row - (row % 4096) + 4096);
  writeFileSync(path, bytes);
  expect(words(verified(at)).join()).toMatch(/row \d+ cannot be read/);
});

describe("V2: rows removed, put in, moved", () => {
  test.each([
    ["the first", "seq = 1", "row 1 is missing", 1],
    ["one in the middle", "seq = 17", "row 17 is missing", 17],
    ["several", "seq BETWEEN 5 AND 8", "rows 5 to 8 are missing", 5],
    ["the last", "seq = 22", "row 22 is missing at the end", 22],
    ["the last ones", "seq >= 20", "rows 20 to 22 are missing at the end", 20],
    ["all", "true", "rows 1 to 22 are missing at the end", 1],
  ])("%s removed", (_what, where, what, seq) => {
    const result = after((db) => void db.exec(`DELETE FROM journal WHERE ${where}`));
    expect(result).toEqual({ ok: false, faults: [{ seq, what }], more: 0 });
  });

  const insert = (seq: string, id: string): string =>
    `INSERT INTO journal SELECT ${seq}, ${id}, time_ms, type, quest, actor_role, actor_name, command, body, hash
     FROM journal WHERE seq = 17`;

  test.each([
    ["before the first", "0", 0],
    ["after the last", "23", 23],
    ["far away", "1000", 1000],
  ])("one put in %s", (_what, seq, named) => {
    expect(rowsNamed(after((db) => void db.exec(insert(seq, "'x'"))))).toEqual([named]);
  });

  test("one put in between, the later ones renumbered", () => {
    const result = after((db) => {
      db.exec("UPDATE journal SET seq = -seq WHERE seq >= 10");
      db.exec("UPDATE journal SET seq = 1 - seq WHERE seq < 0");
      db.exec(insert("10", "'x'"));
      db.exec("UPDATE head SET seq = 23");
    });
    expect(rowsNamed(result)[0]).toBe(10);
  });

  test("one moved to the end is named as missing and as put in", () => {
    expect(words(after((db) => void db.exec("UPDATE journal SET seq = 900 WHERE seq = 17")))).toEqual([
      "row 17 is missing",
      "row 900 does not belong there: it was put in, or moved",
    ]);
  });

  test("two exchanged", () => {
    const result = after((db) => {
      db.exec("UPDATE journal SET seq = -1 WHERE seq = 6; UPDATE journal SET seq = 6 WHERE seq = 7");
      db.exec("UPDATE journal SET seq = 7 WHERE seq = -1");
    });
    expect(rowsNamed(result)).toEqual(expect.arrayContaining([6, 7]));
  });

  test("rows behind the head, their chain in order, are named", () => {
    const before = "SELECT 21, hash FROM journal WHERE seq = 21";
    const result = after((db) => void db.exec(`UPDATE head SET (seq, hash) = (${before})`));
    expect(rowsNamed(result)).toEqual([22]);
  });

  test.each([
    ["its hash changed", "UPDATE head SET hash = replace(hash, substr(hash, 1, 1), 'x')", 22],
    ["its number raised", "UPDATE head SET seq = 23", 23],
    ["its number lowered", "UPDATE head SET seq = 20", 21],
    ["its row removed", "DELETE FROM head", 22],
  ])("the head: %s", (_what, sql, named) => {
    expect(rowsNamed(after((db) => void db.exec(sql)))).toContain(named);
  });

  test("another installation's id is seen at the first row", () => {
    expect(rowsNamed(after((db) => void db.exec("UPDATE installation SET id = '0123456789abcdef'")))[0]).toBe(
      1,
    );
  });
});

test("any single change of any row is named", () => {
  const at = copy();
  const db = new Database(join(at, "questbus.db"));
  const columns = ["id", "time_ms", "type", "quest", "actor_role", "actor_name", "command", "body", "hash"];
  const change = fc.record({
    seq: fc.integer({ min: 1, max: length }),
    column: fc.constantFrom("removed", "seq", ...columns),
    text: fc.string({ unit: "binary" }),
    number: fc.integer({ min: length + 1 }),
  });
  const apply = ({
    seq,
    column,
    text,
    number,
  }: {
    seq: number;
    column: string;
    text: string;
    number: number;
  }) => {
    if (column === "removed") return db.prepare("DELETE FROM journal WHERE seq = ?").run(seq);
    const value = column === "seq" || column === "time_ms" ? number : text;
    return db.prepare(`UPDATE journal SET ${column} = ? WHERE seq = ?`).run(value, seq);
  };
  fc.assert(
    fc.property(change, (given) => {
      const store = openStore({ dir: at, mode: "read" });
      db.exec("SAVEPOINT before_change");
      try {
        apply(given);
        db.exec("RELEASE before_change");
        expect(rowsNamed(verifyJournal(store))).toContain(given.seq);
      } finally {
        store.close();
        db.exec("DELETE FROM journal");
        db.prepare("ATTACH ? AS whole").run(join(dir, "whole", "questbus.db"));
        db.exec("INSERT INTO journal SELECT * FROM whole.journal; DETACH whole");
      }
    }),
    { numRuns: 150 },
  );
  expect(verified(at).ok).toBe(true);
  db.close();
});

test("a journal of faults is told in bounds", () => {
  const at = join(dir, "long");
  filled(at, 150);
  const db = new Database(join(at, "questbus.db"));
  db.exec("UPDATE journal SET time_ms = 0");
  db.close();
  const result = verified(at);
  expect(result).toMatchObject({ ok: false, more: 50 });
  expect(rowsNamed(result)).toHaveLength(100);
});
