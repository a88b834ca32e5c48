import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkReplay } from "@questbus/orchestrator";
import { eventBody, journalRow } from "@questbus/protocol";
import { journalRows, openStore, verifyJournal } from "@questbus/store";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

/** What earlier releases wrote, recorded by `test/replay/record.ts`, is opened, brought up to date and replayed. */
const fixtures = join(import.meta.dirname, "fixtures");
const migrations = join(import.meta.dirname, "../../packages/store/migrations");
const recorded = readdirSync(fixtures);

test("the schema of this release is recorded", () => {
  expect(recorded).toContain(`schema-${readdirSync(migrations).length}`);
});

describe.each(recorded)("%s", (name) => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "questbus-fixture-"));
    mkdirSync(join(dir, "state"));
    const db = new Database(join(dir, "state", "questbus.db"));
    // The rows stand in the order of the tables, not of their references.
    db.pragma("foreign_keys = OFF");
    db.exec(readFileSync(join(fixtures, name, "questbus.sql"), "utf8"));
    db.close();
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test("its database is brought up to date; its chain holds, and its replay gives the stored state", () => {
    const store = openStore({ dir: join(dir, "state"), mode: "write" });
    const empty = openStore({ dir: join(dir, "empty"), mode: "write" });
    const { seq } = store.head();
    expect(seq).toBeGreaterThan(100);
    expect(verifyJournal(store)).toMatchObject({ ok: true, length: seq });
    expect(checkReplay(store, empty)).toMatchObject({ events: seq, faults: [], difference: null });
    const open = store.listQuests({ status: ["queued", "running", "escalated"], limit: 100 });
    expect(open.length).toBeGreaterThan(0);
    expect(store.unfinishedQuests()).toEqual(open.toReversed().map(({ id }) => store.getQuestState(id)));
    expect([...journalRows(store)].map((row) => JSON.stringify(row))).toEqual(
      readFileSync(join(fixtures, name, "journal.jsonl"), "utf8")
        .trim()
        .split("\n"),
    );
    store.close();
    empty.close();
  });

  test("every message of it fits the contracts of today", () => {
    const messages = readFileSync(join(fixtures, name, "journal.jsonl"), "utf8")
      .trim()
      .split("\n");
    for (const message of messages) {
      const row = journalRow.parse(JSON.parse(message));
      eventBody[row.type].parse(row.body);
    }
  });
});
