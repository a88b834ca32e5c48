import { type Answer, type ErrorCode, faultsOf, QuestbusError } from "@questbus/protocol";

/** What the store says of itself: no refusal of a command, but the end of the transaction. */
const storeFaults: readonly ErrorCode[] = ["DISK_FULL", "STATE_BROKEN", "STATE_LOCKED", "AUDIT_BROKEN"];

/** A decision against a command, which leaves everything else of its transaction as it is. */
export const isRefusal = (error: unknown): error is QuestbusError =>
  error instanceof QuestbusError && !storeFaults.includes(error.code);

/** The sender of another command has this id already. */
export const foreignId = (id: string): QuestbusError =>
  new QuestbusError({
    code: "MESSAGE_INVALID",
    message: `the command id ${id} belongs to another sender`,
    next: "use a fresh id",
  });

/** `whose`: what there is too much of. */
export const overloaded = (whose: string): QuestbusError =>
  new QuestbusError({
    code: "OVERLOADED",
    message: `too many commands ${whose}wait`,
    next: "send it again in a moment",
  });

/** What the sender of a command is answered with when it failed. */
export function refusal(error: unknown): Answer {
  const retryable = error instanceof QuestbusError && error.retryable;
  return { ok: false, faults: faultsOf(error).map((fault) => ({ ...fault })), retryable };
}
