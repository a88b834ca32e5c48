import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBackup, openStore, usableBackups } from "@questbus/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { restoreBackup } from "../src/command-backup.ts";

let dir: string;
let state: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "questbus-restore-"));
  state = join(dir, "state");
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A backup of the state, after one more row. */
function backUp(timeMs: number) {
  const store = openStore({ dir: state, mode: "write" });
  const actor = { role: "qa", name: "qa" } as const;
  const body = { verb: "report", code: "LEASE_STALE", message: "late" } as const;
  store.transact((tx) =>
    tx.append([{ type: "command.refused", quest: null, actor, body }], { timeMs, command: null }),
  );
  store.close();
  return createBackup(state, join(state, "backups"), { nowMs: () => timeMs });
}

test("restored from another folder, the state's own has nothing later to restore from any more", async () => {
  const own = join(state, "backups");
  const { name } = await backUp(1);
  const later = await backUp(2);
  const other = join(dir, "other");
  cpSync(own, other, { recursive: true });
  await restoreBackup(name, { from: other }, { state, json: true, signal: new AbortController().signal });
  expect(usableBackups(own).map((each) => each.name)).toEqual([name]);
  const [aside = ""] = readdirSync(own).filter((each) => each.startsWith("before-restore-"));
  expect(readdirSync(join(own, aside))).toEqual([later.name]);
});
