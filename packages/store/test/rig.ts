import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Actor, NewEvent } from "@questbus/protocol";
import { openStore, type QuestRow, type Store } from "../src/index.ts";

export const orchestrator: Actor = { role: "orchestrator", name: "main" };
export const quest = "q-aaaaaaaa";

/** An event with a text of the caller's choice in its body. */
export const refused = (message: string, of: string | null = quest): NewEvent => ({
  type: "command.refused",
  quest: of,
  actor: { role: "qa", name: "qa1" },
  body: { verb: "report", code: "LEASE_STALE", message },
});

export const questRow = (row: Partial<QuestRow> = {}): QuestRow => ({
  id: quest,
  status: "running",
  title: "Make it faster",
  digest: "d".repeat(64),
  createdMs: 1,
  updatedMs: 1,
  state: { pass: 1 },
  ...row,
});

export function newDir(): { dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), "questbus-store-"));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Appends `count` events, one transaction each. */
export function fill(store: Store, count: number): void {
  for (let at = 0; at < count; at += 1) {
    const { seq } = store.head();
    store.transact((tx) =>
      tx.append([refused(`message ${seq + 1}`, seq % 3 === 0 ? null : quest)], {
        timeMs: 1_700_000_000_000 + seq,
        command: seq % 2 === 0 ? `command-${seq}` : null,
      }),
    );
  }
}

/** A closed store with `count` rows in its journal. */
export function filled(dir: string, count: number): void {
  const store = openStore({ dir, mode: "write" });
  fill(store, count);
  store.close();
}
