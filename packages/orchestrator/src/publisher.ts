import type { JournalStream, Time } from "@questbus/bus";
import { crashPoint, limit } from "@questbus/protocol";
import type { Store } from "@questbus/store";
import type { Logger } from "pino";

/**
 * Puts committed rows on the journal stream, in order, from one cursor. A row is published at least once; its id
 * lets the stream drop repetitions. A row is on its way before its command is answered; the
 * broker's acknowledgement is not waited for, because the commit is the promise.
 */
export type Publisher = { kick(): void; settled(): Promise<void> };

/** The last row that is known to be on the journal stream. */
export const publishedCursor = "journal-stream";
/**
 * Each mark is a commit of its own, and commands wait while it is flushed; what was published since the last one is
 * published again after a crash, and watchers remember a few thousand rows to drop it by.
 */
const markEveryMs = 250;
const markEveryRows = 1_000;

type Parts = { store: Store; stream: JournalStream; log: Logger; time: Time };

export function openPublisher({ store, stream, log, time }: Parts): Publisher {
  let running: Promise<void> | null = null;
  let again = false;
  let atSeq = store.getCursor(publishedCursor);
  let markedSeq = atSeq;
  /** Takes the next mark back. */
  let unplan: (() => void) | null = null;

  async function drain(): Promise<void> {
    do {
      again = false;
      for (;;) {
        const rows = store.readJournal({ afterSeq: atSeq, limit: limit.journalPageMax });
        const last = rows.at(-1);
        if (!last) break;
        crashPoint("publish.begun");
        await stream.publish(rows);
        crashPoint("publish.done");
        atSeq = last.seq;
        if (atSeq - markedSeq >= markEveryRows) mark();
        else unplan ??= time.after(markEveryMs, mark);
      }
    } while (again);
  }

  function mark(): void {
    unplan?.();
    unplan = null;
    if (atSeq === markedSeq) return;
    const seq = atSeq;
    try {
      store.transact((tx) => tx.setCursor(publishedCursor, seq));
      markedSeq = seq;
      crashPoint("publish.marked");
    } catch (error) {
      log.warn({ err: error }, "how far the journal is published could not be stored");
    }
  }

  return {
    kick() {
      again = true;
      running ??= drain()
        .catch((error: unknown) => log.warn({ err: error }, "journal rows wait for the broker"))
        .finally(() => {
          running = null;
        });
    },
    async settled() {
      while (running) await running;
      mark();
    },
  };
}
