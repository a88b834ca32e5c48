/**
 * `node test/bench/journal.ts [--mb 200] [--state DIR] [--json]`: how fast the journal is verified and replayed. Makes a
 * database of that size out of the recorded one, its quests again and again under other names; with `--state` it is left
 * there, for `questbus backup create --state DIR` and the others.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { auditReplay, openFollower } from "@questbus/orchestrator";
import type { JournalEvent } from "@questbus/protocol";
import { openStore, type Store, verifyJournal } from "@questbus/store";

const { values } = parseArgs({
  options: {
    mb: { type: "string", default: "200" },
    state: { type: "string" },
    json: { type: "boolean", default: false },
  },
});
const recorded = readFileSync(join(import.meta.dirname, "../replay/fixtures/schema-3/journal.jsonl"), "utf8");
const names = [...new Set(recorded.match(/\b[qe]-[a-z0-9]{8}\b/g))];
const tmp = mkdtempSync(join(tmpdir(), "questbus-journal-"));
const stateDir = values.state ?? join(tmp, "state");

/** The recorded events with every quest and escalation under another name. */
function round(number: number): JournalEvent[] {
  let text = recorded;
  for (const name of names) {
    text = text.replaceAll(name, `${name.slice(0, 5)}${number.toString(36).padStart(5, "0")}`);
  }
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

function grow(store: Store, bytes: number): void {
  const follower = openFollower(store);
  for (let number = 0; statSync(join(stateDir, "questbus.db")).size < bytes; number += 20) {
    const rounds = Array.from({ length: 20 }, (_, at) => round(number + at)).flat();
    follower.transact((take, tx) => {
      for (const event of rounds) {
        const [row] = tx.append([event], { timeMs: event.timeMs, command: event.command });
        if (row) take(row);
      }
    });
  }
}

const timed = async <T>(work: () => T): Promise<{ seconds: number; found: Awaited<T> }> => {
  const fromMs = performance.now();
  const found = await work();
  return { seconds: (performance.now() - fromMs) / 1_000, found };
};

try {
  const writer = openStore({ dir: stateDir, mode: "write" });
  grow(writer, Number(values.mb) * 1_048_576);
  writer.close();
  const opened = await timed(() => openStore({ dir: stateDir, mode: "write" }));
  const events = opened.found.head().seq;
  opened.found.close();
  const live = openStore({ dir: stateDir, mode: "read" });
  const verified = await timed(() => verifyJournal(live));
  const replayed = await timed(() => auditReplay(stateDir));
  if (!verified.found.ok || replayed.found.difference) throw new Error("the journal does not hold");
  live.close();
  const found = {
    events,
    databaseMb: Math.round(statSync(join(stateDir, "questbus.db")).size / 1_048_576),
    openSeconds: opened.seconds,
    verifyPerSecond: Math.round(events / verified.seconds),
    replayPerSecond: Math.round(events / replayed.seconds),
  };
  process.stdout.write(
    values.json
      ? `${JSON.stringify(found)}\n`
      : `${events} events, ${found.databaseMb} MB: opened in ${found.openSeconds.toFixed(2)} s; verify ${found.verifyPerSecond} events/s, replay ${found.replayPerSecond} events/s\n`,
  );
} finally {
  rmSync(tmp, { recursive: true, force: true });
}
