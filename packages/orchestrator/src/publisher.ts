import type { JournalStream } from "@questbus/bus";
import { crashPoint, limit } from "@questbus/protocol";
import type { Store } from "@questbus/store";
import type { Logger } from "pino";

/**
 * Puts committed rows on the journal stream, in order, from one cursor. A row is published at least once; its id
 * lets the stream drop repetitions. A row is on its way before its command is answered; the
 * broker's acknowledgement is not waited for, because the commit is the promise.
 */
export type Publisher = { kick(): void; settled(): Promise<void> };

const cursorName = "journal-stream";

export function openPublisher(store: Store, stream: JournalStream, log: Logger): Publisher {
  let running: Promise<void> | null = null;
  let again = false;

  async function drain(): Promise<void> {
    do {
      again = false;
      for (;;) {
        const rows = store.readJournal({
          afterSeq: store.getCursor(cursorName),
          limit: limit.journalPageMax,
        });
        const last = rows.at(-1);
        if (!last) break;
        crashPoint("publish.begun");
        await stream.publish(rows);
        crashPoint("publish.done");
        store.transact((tx) => tx.setCursor(cursorName, last.seq));
        crashPoint("publish.marked");
      }
    } while (again);
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
    },
  };
}
