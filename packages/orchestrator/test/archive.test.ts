import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lastOfSegments, openStore, readCheckpoints, segmentsIn, verifierKeyIn } from "@questbus/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openArchive } from "../src/archive.ts";
import { restoreState } from "../src/restore.ts";

/** What is kept outside of the database goes on, whatever became of what was kept before: real files. */

let dir: string;
let stateDir: string;
const backups = (): string => join(dir, "backups");
const checkpoints = (): string => join(dir, "checkpoints");
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "questbus-archive-"));
  stateDir = join(dir, "state");
});
afterEach(() => rmSync(dir, { recursive: true }));

const openHere = () => openArchive({ stateDir, backups: backups(), checkpoints: [checkpoints()] });

function commit(rows: number): void {
  const store = openStore({ dir: stateDir, mode: "write" });
  const actor = { role: "qa", name: "qa" } as const;
  const body = { verb: "report", code: "LEASE_STALE", message: "late" } as const;
  for (let at = 0; at < rows; at += 1)
    store.transact((tx) =>
      tx.append([{ type: "command.refused", quest: null, actor, body }], { timeMs: at, command: null }),
    );
  store.close();
}

/** Commits rows, and carries them over as a stack does that ends. */
function live(rows: number): void {
  commit(rows);
  const archive = openHere();
  archive.advance();
  archive.checkpoint();
  archive.close();
}

test("segments whose end is damaged are set aside, and begin anew with the first row", () => {
  live(10);
  const path = join(segmentsIn(backups()), "000000000000001.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").replace(/"hash":"(\w+)"\}\n$/, '"hash":"$1"!\n'));
  live(5);
  expect(lastOfSegments(segmentsIn(backups()))).toMatchObject({ seq: 15 });
  expect(readFileSync(path, "utf8").split("\n")).toHaveLength(16);
  expect(readdirSync(backups())).toHaveLength(2);
});

test("a key that was lost is followed by another one, and what both signed is checked", () => {
  live(10);
  rmSync(join(stateDir, "credentials"), { recursive: true });
  live(10);
  const lines = verifierKeyIn(checkpoints()) ?? "";
  expect(lines.split("\n")).toHaveLength(2);
  const store = openStore({ dir: stateDir, mode: "read" });
  const read = (keys: string) => readCheckpoints(checkpoints(), keys, store.installation);
  expect(read(lines)).toMatchObject({ signed: [{ seq: 10 }, { seq: 20 }], unsigned: [] });
  expect(read(lines.split("\n")[0] ?? "").unsigned).toHaveLength(1);
  store.close();
});

test("what a restore left that was killed is removed by the next one", async () => {
  live(10);
  mkdirSync(join(stateDir, ".before-restore-1"));
  await restoreState({ from: backups() }, stateDir, { setsAside: [backups()] });
  expect(readdirSync(stateDir).filter((name) => name.startsWith(".before"))).toEqual([]);
});

test.each<[string, (key: string) => void]>([
  ["garbage", (key) => writeFileSync(key, "no key")],
  ["a directory", (key) => mkdirSync(key)],
])("a key that is %s is told, and the segments go on; without it another one is made, unasked", (_, put) => {
  live(10);
  const key = join(stateDir, "credentials/checkpoint-key.pem");
  rmSync(key);
  put(key);
  commit(5);
  const archive = openHere();
  for (const seq of [15, 20]) {
    expect(() => archive.advance()).toThrow(expect.objectContaining({ code: "FILE_UNUSABLE" }));
    expect(lastOfSegments(segmentsIn(backups()))).toMatchObject({ seq });
    commit(5);
  }
  rmSync(key, { recursive: true });
  archive.advance();
  archive.checkpoint();
  archive.close();
  expect(readdirSync(checkpoints())).toContain("000000000000025.checkpoint");
});

test("altered segments without any backup advise none", async () => {
  live(3);
  const path = join(segmentsIn(backups()), "000000000000001.jsonl");
  writeFileSync(path, readFileSync(path, "utf8").replace("late", "soon"));
  const restored = restoreState({ from: backups() }, join(dir, "other"), { setsAside: [] });
  const next = expect.stringContaining("--at TIME");
  await expect(restored).rejects.toMatchObject({ faults: [{ code: "BACKUP_BROKEN", next }] });
});
