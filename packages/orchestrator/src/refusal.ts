import {
  type Actor,
  type Answer,
  type ErrorCode,
  errorRegistry,
  faultsOf,
  QuestbusError,
} from "@questbus/protocol";

/** What the store says of itself: no refusal of a command, but the end of the transaction. */
const storeFaults: readonly ErrorCode[] = ["DISK_FULL", "STATE_BROKEN", "STATE_LOCKED", "AUDIT_BROKEN"];

/** A decision against a command, which leaves everything else of its transaction as it is. */
export const isRefusal = (error: unknown): error is QuestbusError =>
  error instanceof QuestbusError && !storeFaults.includes(error.code);

/** False: it is to be sent again under the same id, and then to be carried out: there was no room, or safe mode. */
export const isFinal = (faults: readonly { code: string }[]): boolean =>
  !faults.some(({ code }) => code === "SAFE_MODE" || errorRegistry[code as ErrorCode]?.class === "retryable");

/** A model makes the last part of such an id up, and it can be guessed: the rest says whose it is. */
export const isForeignId = (id: string, { role, name }: Actor): boolean => {
  const [kind, ...owner] = id.split("/", 3);
  return kind === "mcp" && owner.join("/") !== `${role}/${name}`;
};

/** Another sender has this id already, or by its form. */
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
