import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Time } from "@questbus/bus";
import { createBackup, forgetBackups, openStore, usableBackups } from "@questbus/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keepBackups } from "../src/backup-schedule.ts";

const everyMs = 3_600_000;
const startMs = Date.parse("2026-11-21T12:00:00Z");

let state: string;
beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), "questbus-schedule-"));
  openStore({ dir: state, mode: "write" }).close();
});
afterEach(() => rmSync(state, { recursive: true }));

/** A clock that jumps to whatever is waited for. */
function jumpingTime(fromMs: number): Time {
  let nowMs = fromMs;
  return {
    nowMs: () => nowMs,
    steadyMs: () => nowMs,
    soon: setImmediate,
    after(ms, work) {
      const waiting = setImmediate(() => {
        nowMs += ms;
        work();
      });
      return () => clearImmediate(waiting);
    },
  };
}

/** Runs the schedule from a time on until it has come to the end of `tries`; a try whose word is "fails" makes none. */
async function run(fromMs: number, tries: readonly ("made" | "fails")[]): Promise<string[]> {
  const dir = join(state, "backups");
  const time = jumpingTime(fromMs);
  const stopping = new AbortController();
  const atMs: number[] = [];
  const create = async (): Promise<void> => {
    const word = tries[atMs.length];
    atMs.push(time.nowMs());
    if (word === "made") {
      const made = await createBackup(state, dir, { nowMs: time.nowMs });
      utimesSync(join(made.dir, "manifest.json"), time.nowMs() / 1_000, time.nowMs() / 1_000);
      forgetBackups(dir, 2);
    }
    if (atMs.length === tries.length) stopping.abort();
  };
  await keepBackups({ backups: { dir, everyMs, keep: 2 }, create, time, signal: stopping.signal });
  return atMs.map((ms) => new Date(ms).toISOString().slice(11, 19));
}

test("one an hour after the start and after each, and the newest two stay", async () => {
  expect(await run(startMs, ["made", "made", "made", "made"])).toEqual([
    "13:00:00",
    "14:00:00",
    "15:00:00",
    "16:00:00",
  ]);
  const left = usableBackups(join(state, "backups")).map(({ timeMs }) => new Date(timeMs).getUTCHours());
  expect(left).toEqual([15, 16]);
});

test("one that failed is tried again after a rest, and a stack that starts anew waits a whole interval", async () => {
  expect(await run(startMs, ["fails", "fails", "made"])).toEqual(["13:00:00", "13:00:05", "13:00:10"]);
  expect(await run(startMs + 5 * everyMs, ["made"])).toEqual(["18:00:00"]);
});
