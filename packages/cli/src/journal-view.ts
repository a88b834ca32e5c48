import type { BusClient } from "@questbus/bus";
import type { QuestState } from "@questbus/core";
import { type JournalEvent, limit, QuestbusError } from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";

/**
 * Follows the journal: rows come from the store, in order and without gaps; the bus only says when to look. A slow
 * look of its own covers what the bus may lose.
 */
export type JournalView = {
  /** Rows after `afterSeq`, as they are committed, until `done` says so or the signal aborts. */
  follow(options: {
    afterSeq: number;
    quest?: string | undefined;
    onRow: (row: JournalEvent) => void;
    done: () => boolean;
    signal?: AbortSignal | undefined;
  }): Promise<void>;
};

const lookEveryMs = 1_000;

export function openJournalView(store: StoreReader, client: BusClient | null): JournalView {
  return {
    async follow({ afterSeq, quest, onRow, done, signal }) {
      const bell = openBell();
      const stop = (await client?.watchEvents(quest ? { quest } : {}, bell.ring)) ?? (() => {});
      const timer = setInterval(bell.ring, lookEveryMs);
      signal?.addEventListener("abort", bell.ring);
      let seq = afterSeq;
      try {
        for (;;) {
          const rows = store.readJournal({
            afterSeq: seq,
            limit: limit.journalPageMax,
            ...(quest ? { quest } : {}),
          });
          for (const row of rows) onRow(row);
          seq = rows.at(-1)?.seq ?? seq;
          if (rows.length > 0) continue;
          if (done() || signal?.aborted) return;
          await bell.heard();
        }
      } finally {
        stop();
        clearInterval(timer);
        signal?.removeEventListener("abort", bell.ring);
      }
    },
  };
}

/** Rings are remembered until somebody listens, so that none is missed between two looks. */
function openBell(): { ring(): void; heard(): Promise<void> } {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring() {
      rung = true;
      wake?.();
    },
    async heard() {
      if (!rung) await new Promise<void>((resolve) => (wake = resolve));
      rung = false;
      wake = null;
    },
  };
}

/** @throws QuestbusError QUEST_NOT_FOUND */
export function questState(store: StoreReader, quest: string): QuestState {
  const state = store.getQuestState(quest) as QuestState | null;
  if (state) return state;
  throw new QuestbusError({
    code: "QUEST_NOT_FOUND",
    message: `there is no quest ${quest}`,
    next: "list them: questbus list",
  });
}

/** The id of the newest quest. @throws QuestbusError QUEST_NOT_FOUND */
export function newestQuest(store: StoreReader): string {
  const [newest] = store.listQuests({ limit: 1 });
  if (newest) return newest.id;
  throw new QuestbusError({
    code: "QUEST_NOT_FOUND",
    message: "there is no quest here yet",
    next: "start one: questbus run FILE",
  });
}

/** True when nothing more happens without a person. */
export const isAtRest = (state: QuestState): boolean => state.ending !== null || state.status === "escalated";
