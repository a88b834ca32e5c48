import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
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
function jumpingTime(fromMs: number): Time & { setBack(ms: number): void } {
  let nowMs = fromMs;
  return {
    setBack(ms) {
      nowMs -= ms;
    },
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

/**
 * Runs the schedule from a time on until it has come to the end of `tries`; a try whose word is "fails" makes none, and after
 * one whose word is "set back" the clock is set back by half a day.
 */
async function run(
  fromMs: number,
  tries: readonly ("made" | "set back" | "fails")[],
  dir = join(state, "backups"),
): Promise<string[]> {
  const time = jumpingTime(fromMs);
  const stopping = new AbortController();
  const atMs: number[] = [];
  const create = async (): Promise<boolean> => {
    const word = tries[atMs.length];
    atMs.push(time.nowMs());
    if (word !== "fails") {
      const made = await createBackup(state, dir, { nowMs: time.nowMs });
      utimesSync(join(made.dir, "manifest.json"), time.nowMs() / 1_000, time.nowMs() / 1_000);
      forgetBackups(made, 2);
    }
    if (word === "set back") time.setBack(12 * everyMs);
    if (atMs.length === tries.length) stopping.abort();
    return word !== "fails";
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

test("after the clock was set back they go on, an interval after it was", async () => {
  expect(await run(startMs, ["made", "set back", "made", "made"])).toEqual([
    "13:00:00",
    "14:00:00",
    "03:00:00",
    "04:00:00",
  ]);
});

test("a folder that cannot be read is tried, as one without a backup is", async () => {
  const file = join(state, "plain-file");
  writeFileSync(file, "");
  expect(await run(startMs, ["fails", "fails"], file)).toEqual(["13:00:00", "13:00:05"]);
});

test("the process of one ends when it is made, though its stack lives: the next one waits for that", async () => {
  const program = join(import.meta.dirname, "../src/main.ts");
  const child = fork(program, ["backup", "create", "--state", state], { execArgv: [], silent: true });
  expect(await once(child, "exit")).toEqual([0, null]);
});
