import type { Batch, JournalEvent } from "@questbus/protocol";
import type { Store, StoreWrites } from "@questbus/store";
import type { Logger } from "pino";
import { publishedCursor } from "../publisher.ts";
import { cutBack, openFollower } from "../replay.ts";
import { heldCursor, leaderCursor, positionCursor } from "./cursor.ts";
import { type Placement, placeRows } from "./placement.ts";

/**
 * A node's state as the batches make it: rows, their projections, answers and timers, each group of batches in one
 * transaction.
 *
 * - F1: a row is taken only when it follows from the one before it, hash by hash.
 * - F2: a row that the stream was known to hold is never taken away.
 */
export type Following = {
  /** How far the stream was read. */
  readonly position: number;
  take(what: Batch | null, position: number): void;
  /** Carries out what was taken. @throws QuestbusError STANDBY_APART */
  flush(): void;
};

/** Batches of one transaction. */
const groupMax = 256;

export function openFollowing(store: Store, log: Logger): Following {
  // What was there before there was a cluster was answered, too.
  if (store.getCursor(heldCursor) === 0) store.transact((tx) => tx.setCursor(heldCursor, tx.head().seq));
  let position = store.getCursor(positionCursor);
  let waiting: { what: Batch; position: number }[] = [];

  const placementOf = (tx: Pick<StoreWrites, "head" | "getCursor" | "readJournal">, { rows }: Batch) =>
    placeRows(rows, {
      headSeq: tx.head().seq,
      heldSeq: tx.getCursor(heldCursor),
      hashAt: (seq) => tx.readJournal({ afterSeq: seq - 1, limit: 1 })[0]?.hash ?? null,
    });

  /** Takes batches up to the first that needs a cut; gives how many. */
  const takeGroup = (group: typeof waiting): number => {
    let taken = 0;
    openFollower(store).transact((take, tx) => {
      for (const { what, position: at } of group) {
        const placement = placementOf(tx, what);
        if (placement.cutTo !== null) return;
        carryOut(tx, what, placement, take);
        tx.setCursor(positionCursor, at);
        taken += 1;
      }
    });
    return taken;
  };

  const cut = (toSeq: number): void => {
    const rows = store.head().seq - toSeq;
    cutBack(store, toSeq);
    log.warn({ rows, toSeq }, "rows of a tenure that was over were taken away: nobody was answered for them");
  };

  return {
    get position() {
      return position;
    },
    take(what, at) {
      if (what) waiting.push({ what, position: at });
      position = at;
    },
    flush() {
      for (let next = waiting[0]; next; next = waiting[0]) {
        const { cutTo } = placementOf(store, next.what);
        if (cutTo !== null) cut(cutTo);
        waiting = waiting.slice(takeGroup(waiting.slice(0, groupMax)));
      }
    },
  };
}

function carryOut(
  tx: StoreWrites,
  { rows: held, answers, forgotten, publishedSeq }: Batch,
  { rows }: Placement,
  take: (row: JournalEvent) => void,
): void {
  for (const row of rows as readonly JournalEvent[]) {
    tx.appendCommitted(row);
    if (row.type === "leader.began") tx.setCursor(leaderCursor, row.seq);
    take(row);
  }
  for (const { id, actor, answer, seq } of answers)
    if (!tx.answerOf(id)) tx.rememberAnswer(id, actor, answer, seq);
  if (forgotten) tx.forgetAnswers(forgotten.beforeSeq, forgotten.limit);
  // F2: also those that were here before the stream brought them.
  const heldSeq = held.at(-1)?.seq ?? 0;
  if (heldSeq > tx.getCursor(heldCursor)) tx.setCursor(heldCursor, heldSeq);
  if (publishedSeq > tx.getCursor(publishedCursor)) tx.setCursor(publishedCursor, publishedSeq);
}
