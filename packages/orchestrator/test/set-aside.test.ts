import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { backupsDir, checkpointsDir, openStore, setAsideLater } from "@questbus/store";
import { until } from "@questbus/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openArchive } from "../src/archive.ts";
import { restoreState } from "../src/restore.ts";

/** What a restore gives up is set aside, whatever comes between, or nothing is changed. */

vi.mock("@questbus/store", async (original) => {
  const real = await original<typeof import("@questbus/store")>();
  return { ...real, setAsideLater: vi.fn(real.setAsideLater) };
});

let dir: string;
const head = (): number => {
  const store = openStore({ dir, mode: "read" });
  const { seq } = store.head();
  store.close();
  return seq;
};
const asidesIn = (folder: string) => readdirSync(folder).filter((name) => /^\.?before-restore/.test(name));

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "questbus-set-aside-"));
  const store = openStore({ dir, mode: "write" });
  const actor = { role: "qa", name: "qa" } as const;
  const body = { verb: "report", code: "LEASE_STALE", message: "late" } as const;
  for (let timeMs = 1; timeMs <= 10; timeMs += 1)
    store.transact((tx) =>
      tx.append([{ type: "command.refused", quest: null, actor, body }], { timeMs, command: null }),
    );
  store.close();
  const archive = openArchive({
    stateDir: dir,
    backups: backupsDir(dir),
    checkpoints: [checkpointsDir(dir)],
  });
  archive.advance();
  archive.close();
});
afterEach(() => rmSync(dir, { recursive: true }));

const restored = (atMs?: number) =>
  restoreState({ from: backupsDir(dir), atMs }, dir, { setsAside: [backupsDir(dir)] }, () => 5);

test("where what is given up cannot be set aside, nothing is changed", async () => {
  writeFileSync(join(backupsDir(dir), "before-restore-5"), "");
  await expect(restored(5)).rejects.toMatchObject({ code: "FILE_UNUSABLE" });
  expect([head(), asidesIn(dir)]).toEqual([10, []]);
});

/** As a kill does, behind the swap. */
async function endBehindSwap(): Promise<void> {
  vi.mocked(setAsideLater).mockImplementationOnce(() => {
    throw new Error("killed");
  });
  await expect(restored(5)).rejects.toThrow("killed");
  expect([head(), asidesIn(backupsDir(dir))]).toEqual([5, []]);
}

test("a restore that ended behind its swap is finished by the next one, which finds nothing later", async () => {
  await endBehindSwap();
  await expect(restored()).rejects.toMatchObject({ code: "BACKUP_MISSING" });
  expect([head(), asidesIn(dir), asidesIn(backupsDir(dir))]).toEqual([
    5,
    ["before-restore-5"],
    ["before-restore-5"],
  ]);
});

test("and by a start", async () => {
  await endBehindSwap();
  const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const child = fork(program, ["--state", dir, "--space", "local"], { stdio: "ignore", execArgv: [] });
  const ended = once(child, "exit");
  await until("it is set aside", () => asidesIn(backupsDir(dir)).length === 1);
  child.disconnect();
  await ended;
  expect(asidesIn(dir)).toEqual(["before-restore-5"]);
}, 60_000);
