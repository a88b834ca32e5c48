import { z } from "zod";
import { actor } from "./identity.ts";
import { journalRow } from "./journal.ts";

/**
 * A batch: what a leader committed in one or more transactions, whole, as the other nodes take it over: the journal's rows
 * and the answers to the commands that led to them.
 */
export const batch = z.object({
  /** The node that leads, and the fencing token of its tenure. */
  node: z.string(),
  epoch: z.int().min(1),
  /** The last row that the leader knows to be on the journal stream: another leader goes on behind it. */
  publishedSeq: z.int().min(0),
  rows: z.array(journalRow),
  answers: z.array(z.object({ id: z.string(), actor, answer: z.unknown(), seq: z.int().min(0) })),
  /** Answers to commands before this row were forgotten, at most so many; null: none were. */
  forgotten: z.object({ beforeSeq: z.int(), limit: z.int() }).nullable(),
});
export type Batch = z.infer<typeof batch>;
