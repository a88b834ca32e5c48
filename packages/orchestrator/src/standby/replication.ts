import { type BatchStream, Fenced, type JournalStream, type Time } from "@questbus/bus";
import { type Batch, crashPoint, QuestbusError } from "@questbus/protocol";
import type { Store, StoreWrites } from "@questbus/store";
import type { Logger } from "pino";
import { publishedCursor } from "../publisher.ts";
import { heldCursor, positionCursor } from "./cursor.ts";
import type { Tenure } from "./tenure.ts";

/**
 * A leader's side of the batch stream: whatever a transaction of the store wrote is sent there, and no answer leaves before
 * the stream holds it.
 *
 * - P1: one batch is on its way at a time; what is committed meanwhile goes with the next one. So a batch is never sent
 *   behind one that was refused.
 * - P2: an answer leaves when all that was committed before it is held, and only while the lease is.
 * - P3: watchers see no row that the stream does not hold.
 */
export type Replication = {
  /** The store for the orchestrator: each transaction is replicated. */
  readonly store: Store;
  /** The journal stream for the orchestrator: rows wait until they are held. */
  readonly journal: JournalStream;
  /** Calls `leave` as soon as all that is committed now is held. */
  release(leave: () => void): void;
  /** Resolves when all that is committed now is held. */
  held(): Promise<void>;
};

type Parts = {
  store: Store;
  batches: BatchStream;
  journal: JournalStream;
  tenure: Tenure;
  node: string;
  epoch: number;
  /** Where on the batch stream this node stands. */
  position: number;
  time: Time;
  log: Logger;
  /** Another leader has written. */
  onFenced(why: string): void;
};

type Content = Pick<Batch, "rows" | "answers" | "forgotten">;
const nothing = (): Content => ({ rows: [], answers: [], forgotten: null });
const isNothing = ({ rows, answers }: Content): boolean => rows.length === 0 && answers.length === 0;

/** How long after the last batch its place is written down; until then it rides on the next transaction. */
const markAfterMs = 200;
const retryMs = 50;

export function openReplication(parts: Parts): Replication {
  const { store, batches, journal, tenure, node, epoch, time, log, onFenced } = parts;
  let pending = nothing();
  let committed = 0;
  let confirmed = 0;
  let waiting: { at: number; leave: () => void }[] = [];
  let place = { position: parts.position, heldSeq: store.getCursor(heldCursor) };
  let marked = place;
  let publishedSeq = store.getCursor(publishedCursor);
  let isSending = false;

  const leaveHeld = (): void => {
    const ready = waiting.filter(({ at }) => at <= confirmed);
    waiting = waiting.filter(({ at }) => at > confirmed);
    for (const { leave } of ready) leave();
  };
  const marking = <T>(action: (tx: StoreWrites) => T): T => {
    const now = place;
    const result = store.transact((tx) => {
      if (now === marked) return action(tx);
      tx.setCursor(positionCursor, now.position);
      tx.setCursor(heldCursor, now.heldSeq);
      return action(tx);
    });
    marked = now;
    return result;
  };
  const markLater = (): void =>
    void time.after(markAfterMs, () => {
      if (isSending || place === marked || !tenure.isHeld()) return;
      try {
        marking(() => {});
      } catch (error) {
        log.warn({ err: error }, "the place on the batch stream could not be stored");
      }
    });

  /** Sends one batch until it is held; false when this node may send no more. */
  const send = async (content: Content): Promise<boolean> => {
    const what: Batch = { node, epoch, publishedSeq, ...content };
    while (tenure.isHeld()) {
      try {
        crashPoint("batch.sent");
        const position = await batches.append(what, place.position);
        crashPoint("batch.held");
        place = { position, heldSeq: what.rows.at(-1)?.seq ?? place.heldSeq };
        return true;
      } catch (error) {
        if (error instanceof Fenced) onFenced(error.message);
        if (!(error instanceof QuestbusError)) throw error;
        log.warn({ err: error }, "a batch is sent again");
        await new Promise<void>((done) => void time.after(retryMs, done));
      }
    }
    return false;
  };
  const drain = async (): Promise<void> => {
    while (!isNothing(pending)) {
      const content = pending;
      const upTo = committed;
      pending = nothing();
      if (!(await send(content))) return;
      confirmed = upTo;
      leaveHeld();
    }
    markLater();
  };
  const kick = (): void => {
    if (isSending || isNothing(pending)) return;
    isSending = true;
    drain()
      .catch((error: unknown) => onFenced(String(error)))
      .finally(() => {
        isSending = false;
        kick();
      });
  };

  const push = ({ rows, answers, forgotten }: Content): void => {
    pending.rows.push(...rows);
    pending.answers.push(...answers);
    if (forgotten) {
      const more = pending.forgotten?.limit ?? 0;
      pending.forgotten = { beforeSeq: forgotten.beforeSeq, limit: forgotten.limit + more };
    }
    if (rows.length === 0 && answers.length === 0) return;
    committed += 1;
    kick();
  };

  const afterHeld = (leave: () => void): void => {
    if (confirmed === committed) leave();
    else waiting.push({ at: committed, leave });
  };
  const held = (): Promise<void> => new Promise((done) => afterHeld(done));

  push(unheldTail(store, place.heldSeq));
  return {
    held,
    release: (leave) =>
      afterHeld(() => {
        if (tenure.isHeld()) leave();
      }),
    journal: {
      ...journal,
      async publish(rows, options) {
        await held();
        await journal.publish(rows, options);
        publishedSeq = rows.at(-1)?.seq ?? publishedSeq;
      },
    },
    store: {
      ...store,
      transact(action) {
        if (!tenure.isHeld()) throw new Error("this node leads no more");
        const written = nothing();
        const result = marking((tx) => action(recording(tx, written)));
        push(written);
        return result;
      },
    },
  };
}

/** Rows that this node committed in an earlier tenure and that nobody stands in the place of: they go first. */
function unheldTail(store: Store, heldSeq: number): Content {
  const rows = store.readJournal({ afterSeq: heldSeq, limit: Number.MAX_SAFE_INTEGER });
  const answers = rows.length > 0 ? store.transact((tx) => tx.answersAfter(heldSeq)) : [];
  return { rows, answers, forgotten: null };
}

/** The transaction, with what is written in it noted down. */
const recording = (tx: StoreWrites, written: Content): StoreWrites => ({
  ...tx,
  append(events, context) {
    const rows = tx.append(events, context);
    written.rows.push(...rows);
    return rows;
  },
  rememberAnswer(id, actor, answer, seq) {
    tx.rememberAnswer(id, actor, answer, seq);
    written.answers.push({ id, actor, answer, seq });
  },
  forgetAnswers(beforeSeq, limit) {
    tx.forgetAnswers(beforeSeq, limit);
    written.forgotten = { beforeSeq, limit };
  },
});
