import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Backup,
  createBackup,
  findBackup,
  segmentRows,
  surveyBackups,
  verifyBackup,
} from "../src/index.ts";
import { filled, newDir } from "./rig.ts";

/** What is said of a backup is of the one that was named, and of all of it: real files. */

let dir: string;
let remove: () => void;
let made: Backup;
const backups = (): string => join(dir, "backups");
beforeAll(async () => {
  ({ dir, remove } = newDir());
  filled(join(dir, "state"), 20);
  made = await createBackup(join(dir, "state"), backups());
});
afterAll(() => remove());

const thrown = async (action: () => unknown): Promise<unknown> => {
  try {
    return await action();
  } catch (error) {
    return error;
  }
};

test("a path is not taken for the backup of that name elsewhere", async () => {
  expect(findBackup(backups(), made.name).dir).toBe(made.dir);
  expect(findBackup("/nowhere", made.dir).dir).toBe(made.dir);
  expect(findBackup("/nowhere", join(made.dir, "manifest.json")).dir).toBe(made.dir);
  const copy = join(dir, "copies", made.name);
  expect(await thrown(() => findBackup(backups(), copy))).toMatchObject({
    code: "BACKUP_MISSING",
    faults: [{ where: copy }],
  });
});

test("a name is one of the folder that was named before it is a folder here", () => {
  const copies = join(dir, "other");
  cpSync(backups(), copies, { recursive: true });
  const before = process.cwd();
  try {
    process.chdir(backups());
    expect(findBackup(copies, made.name).dir).toBe(join(copies, made.name));
    expect(findBackup("/nowhere", made.name).dir).toContain(join("backups", made.name));
  } finally {
    process.chdir(before);
  }
});

test.each([
  ["how many rows", { seq: 400 }],
  ["which row is the last", { hash: "0".repeat(64) }],
])("a manifest that says otherwise %s is no whole backup", async (_, head) => {
  const told = { ...made, head: { ...made.head, ...head } };
  expect(await thrown(() => verifyBackup(made))).toBeUndefined();
  expect(await thrown(() => verifyBackup(told))).toMatchObject({
    code: "BACKUP_BROKEN",
    faults: [{ where: join(made.dir, "manifest.json") }],
  });
});

test("a folder without a manifest is told as what it is", () => {
  mkdirSync(join(dir, "bare", "b-junk"), { recursive: true });
  expect(surveyBackups(join(dir, "bare")).broken).toMatchObject([
    { name: "b-junk", broken: "b-junk is no backup: it has no manifest.json" },
  ]);
});

test("what is wrong with the copy is told of the state: the copy is gone", async () => {
  const state = join(dir, "altered");
  cpSync(join(dir, "state"), state, { recursive: true });
  const db = new Database(join(state, "questbus.db"));
  db.exec("UPDATE journal SET time_ms = time_ms + 1 WHERE seq = 7");
  db.close();
  const error = await thrown(() => createBackup(state, join(dir, "never")));
  expect(error).toMatchObject({ code: "AUDIT_BROKEN", faults: [{ where: state }] });
  expect(existsSync(state)).toBe(true);
});

test("a line that cannot be read comes with the last moment that can be restored", async () => {
  const segments = join(dir, "segments");
  mkdirSync(segments);
  const lines = [
    { seq: 1, timeMs: 1_000 },
    { seq: 2, timeMs: 3_000 },
  ].map((row) => JSON.stringify(row));
  const file = join(segments, "000000000000001.jsonl");
  writeFileSync(file, `${[...lines, "garbage"].join("\n")}\n`);
  expect(readFileSync(file, "utf8")).toContain("garbage");
  expect(await thrown(() => [...segmentRows(segments, 0)])).toMatchObject({
    code: "BACKUP_BROKEN",
    faults: [{ where: `${file}:3`, next: expect.stringContaining("--at 1970-01-01T00:00:02.999Z") }],
  });
});
