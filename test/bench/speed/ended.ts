import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openFollower } from "@questbus/orchestrator";
import type { JournalEvent, NewEvent } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import { benchCache } from "../peers/program.ts";

const recordedFile = join(import.meta.dirname, "../../replay/fixtures/schema-3/journal.jsonl");
const perTransaction = 5_000;
/** The publisher's place in the journal: rows before it went to a stream that is gone. */
const published = "journal-stream";

/** A recorded quest, and its end: the operator took it back while it waited. */
function oneQuest(recorded: JournalEvent, number: number): NewEvent[] {
  const quest = `q-${number.toString(36).padStart(8, "0")}`;
  const { actor, body } = recorded as JournalEvent & { type: "quest.submitted" };
  const digest = number.toString(16).padStart(64, "0");
  return [
    { type: "quest.submitted", quest, actor, body: { ...body, digest } } as NewEvent,
    {
      type: "quest.ended",
      quest,
      actor,
      body: { ending: "cancelled", reason: "taken back by the operator", fault: null },
    } as NewEvent,
  ];
}

export const endedDir = (count: number): string => join(benchCache(), `ended-${count}`);

/**
 * A state directory with so many ended quests, as the product's own journal and projections write them. It is made once,
 * which takes some minutes, and kept under the user's cache; who uses it may add to it.
 */
export function endedQuests(count: number, note: (text: string) => void): string {
  const dir = endedDir(count);
  const ready = join(dir, "ready");
  if (existsSync(ready)) return dir;
  rmSync(dir, { recursive: true, force: true });
  const recorded = readFileSync(recordedFile, "utf8")
    .split("\n")
    .find((line) => line.includes('"quest.submitted"'));
  const submitted = JSON.parse(recorded ?? "") as JournalEvent;
  const store = openStore({ dir, mode: "write" });
  const follower = openFollower(store);
  const sinceMs = Date.now() - 2 * count;
  for (let from = 0; from < count; from += perTransaction) {
    follower.transact((take, tx) => {
      for (let number = from; number < Math.min(from + perTransaction, count); number += 1) {
        const context = { timeMs: sinceMs + number, command: `made-${number}` };
        for (const row of tx.append(oneQuest(submitted, number), context)) take(row);
      }
      tx.setCursor(published, tx.head().seq);
    });
    if (from % 100_000 === 0) note(`  ${from} of ${count} ended quests are made`);
  }
  store.close();
  writeFileSync(ready, "");
  return dir;
}
