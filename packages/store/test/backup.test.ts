import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type Backup,
  createBackup,
  forgetBackups,
  openSegments,
  openStore,
  segmentsIn,
  setAsideLater,
  setAsideName,
  usableBackups,
  verifyBackup,
} from "../src/index.ts";
import { fill, filled, newDir } from "./rig.ts";

/** Backups: which come to their end, which stay, and which are restored from; real files. */

let dir: string;
let remove: () => void;
let state: string;
let backups: string;
beforeEach(() => {
  ({ dir, remove } = newDir());
  state = join(dir, "state");
  backups = join(dir, "backups");
  filled(state, 20);
});
afterEach(() => remove());

function append(count: number): void {
  const store = openStore({ dir: state, mode: "write" });
  fill(store, count);
  store.close();
}

const madeAt = (hour: number, from = state): Promise<Backup> =>
  createBackup(from, backups, { nowMs: () => hour * 3_600_000 });

/** Every row in a segment of its own. */
function writeSegments(): void {
  const segments = openSegments(segmentsIn(backups), 1);
  const store = openStore({ dir: state, mode: "read" });
  for (const line of store.readLines(0, 1_000)) segments.append([line]);
  store.close();
  segments.close();
}

test("one that is aborted ends, and leaves nothing", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(createBackup(state, backups, { signal })).rejects.toThrow("enough");
  expect(readdirSync(backups)).toEqual([]);
});

test("one that has no room is not begun: DISK_FULL", async () => {
  // Sparse: a database of eight TiB by its length.
  truncateSync(join(state, "questbus.db"), 2 ** 43);
  await expect(createBackup(state, backups)).rejects.toMatchObject({ code: "DISK_FULL" });
  expect(readdirSync(backups)).toEqual([]);
});

test("a state that an earlier release wrote is backed up and verified as it is", async () => {
  const old = join(dir, "old");
  mkdirSync(old);
  const db = new Database(join(old, "questbus.db"));
  // The rows stand in the order of the tables, not of their references.
  db.pragma("foreign_keys = OFF");
  db.pragma("synchronous = OFF");
  db.exec(
    readFileSync(join(import.meta.dirname, "../../../test/replay/fixtures/schema-3/questbus.sql"), "utf8"),
  );
  db.close();
  const backup = await createBackup(old, backups);
  expect(backup.schema).toBe(3);
  await verifyBackup(backup);
});

describe("of all but the newest", () => {
  test("those of another installation in the same folder stay, and the segments with them", async () => {
    const other = await madeAt(1);
    writeSegments();
    const another = join(dir, "another");
    filled(another, 3);
    await madeAt(2, another);
    const { name } = await madeAt(3, another);
    forgetBackups(await madeAt(4, another), 2);
    const left = readdirSync(backups).filter((each) => each.startsWith("b-"));
    expect(left).toHaveLength(3);
    expect(left).toEqual(expect.arrayContaining([other.name, name]));
    expect(readdirSync(segmentsIn(backups))).toHaveLength(20);
    expect(usableBackups(backups).map((each) => each.head.seq)).toEqual([3, 3]);
  });

  test("the one that segments which were set aside go on from stays", async () => {
    const base = await madeAt(1);
    append(5);
    writeSegments();
    const aside = setAsideLater(backups, base.head.seq, setAsideName(2 * 3_600_000));
    const old = await madeAt(3);
    append(1);
    expect(forgetBackups(await madeAt(4), 1)).toEqual([old.name]);
    expect(usableBackups(aside?.dir ?? "").map(({ name }) => name)).toEqual([base.name]);
  });

  test("what a clock that was set back made last is the newest, and the segments go on from each that stays", async () => {
    await madeAt(9);
    append(10);
    await madeAt(12);
    append(10);
    const last = await madeAt(10);
    writeSegments();
    forgetBackups(last, 2);
    expect(usableBackups(backups).map(({ head }) => head.seq)).toEqual([30, 40]);
    expect(readdirSync(segmentsIn(backups))[0]).toBe("000000000000031.jsonl");
  });
});

test("segments whose last line is damaged are set aside by a restore, not stumbled over", () => {
  writeSegments();
  const last = join(segmentsIn(backups), "000000000000020.jsonl");
  writeFileSync(last, readFileSync(last, "utf8").replace('"seq":', '"seq"='));
  expect(setAsideLater(backups, 10, "aside")).toMatchObject({ segments: true });
  expect(readdirSync(backups)).toEqual(["aside"]);
});
