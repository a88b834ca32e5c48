import { type JournalRow, QuestbusError } from "@questbus/protocol";

/** A node's own journal, as far as a batch is held against it. */
export type Standing = {
  headSeq: number;
  /** The last row that the batch stream is known to hold: what stands behind it was answered to nobody. */
  heldSeq: number;
  hashAt(seq: number): string | null;
};

/** What to do with the rows of a batch: take `rows`, after all behind `cutTo` was taken away. */
export type Placement = { cutTo: number | null; rows: readonly JournalRow[] };

/**
 * Where the rows of a batch belong. Rows that are there already are left out; rows of ours that another leader's stand
 * in the place of are cut, unless somebody was answered for them.
 *
 * @throws QuestbusError STANDBY_APART
 */
export function placeRows(rows: readonly JournalRow[], { headSeq, heldSeq, hashAt }: Standing): Placement {
  const [first] = rows;
  if (first && first.seq > headSeq + 1) {
    throw apart(
      `this node's journal ends at row ${headSeq}, and what the cluster still has goes on with row ${first.seq}`,
    );
  }
  const at = rows.findIndex((row) => row.seq > headSeq || hashAt(row.seq) !== row.hash);
  const from = rows[at];
  if (!from) return { cutTo: null, rows: [] };
  if (from.seq > headSeq) return { cutTo: null, rows: rows.slice(at) };
  if (from.seq <= heldSeq) throw apart(`row ${from.seq} of this node is not that of the cluster`);
  return { cutTo: from.seq - 1, rows: rows.slice(at) };
}

export const apart = (message: string): QuestbusError =>
  new QuestbusError({
    code: "STANDBY_APART",
    message,
    next: "end the cluster, and begin it anew from the node that has every row: questbus up --cluster 3 --from NODE",
  });
