import { limit, QuestbusError, type Stated } from "@questbus/protocol";

/** What the answer to an ask says besides its result: how sure it is and by what, or that it is a question back. */

/** A result with its certainty; what `stated` makes. */
export class StatedResult {
  readonly result: unknown;
  readonly said: Stated;

  constructor(result: unknown, said: Stated) {
    this.result = result;
    this.said = said;
  }
}

/**
 * Returned by a handler: a result, and how sure it is, from 0 to 1. One that is less than 0.95 sure and names no source is sent
 * back, and the handler is called again with a `clarification`.
 */
export const stated = (result: unknown, said: Stated): StatedResult => new StatedResult(result, said);

/** Thrown by a handler that cannot answer before it knows more: it ends the ask, and who asked reads the question. */
export const clarification = (question: string): QuestbusError =>
  new QuestbusError({
    code: "CLARIFICATION_WANTED",
    message: question.slice(0, limit.reasonCharsMax).toWellFormed(),
    next: "ask again, with what it has to know in the text or in the data",
  });
