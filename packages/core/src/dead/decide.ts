import { hash } from "node:crypto";
import {
  type Actor,
  type CommandData,
  type DeadLetter,
  type EventBody,
  limit,
  type NewEvent,
  redactedMark,
  type Verb,
} from "@questbus/protocol";
import { refuse } from "../quest/draft.ts";

/**
 * The decisions on dead letters: messages that could not be read, kept until somebody retries or drops them.
 *
 * Invariants: I1 a letter that was carried out or dropped stays so; I2 a letter is read again as it was sent, byte for
 * byte; I3 the open letters of one sender are bounded, and those beyond are counted.
 */
export const deadIdOf = ({ seq }: Pick<DeadLetter, "seq">): string => `d-${seq}`;
export const deadSeqOf = (letter: string): number => Number(letter.slice(2));

/** I3: whether one more letter of a sender is kept. */
export const isKept = (openOfSender: number): boolean => openOfSender < limit.deadLettersMax;

/** What only says something while its sender waits for the answer, or would act on dead letters itself. */
const momentary: readonly Verb[] = [
  "hello",
  "leave",
  "revoke",
  "refusals",
  "claim",
  "renew",
  "note",
  "approval",
  "recall",
  "requests",
  "progress",
  "monitor",
  "read",
  "respond",
  "retry",
  "drop",
];

/** I1: refuses what is not there, or is closed. */
export function openLetter(letter: DeadLetter | null, id: string): DeadLetter {
  if (!letter)
    refuse("DEAD_NOT_FOUND", `there is no dead letter ${id}`, "list them: questbus dead list --all");
  if (letter.status !== "open") {
    const done = letter.status === "retried" ? "was retried with success" : "was dropped";
    refuse("DEAD_CLOSED", `${id} ${done}`, "nothing more is to be done with it");
  }
  return letter;
}

/** I2: the text of a letter that can be read again. */
export function textToRetry(letter: DeadLetter, body: EventBody["message.dead"] | null): string {
  const id = deadIdOf(letter);
  if (letter.counted > 0 || !body) {
    const next = `make its sender send well-formed messages, then: questbus dead drop ${id}`;
    refuse("DEAD_NOT_RETRYABLE", `${id} is a count of messages that were not kept`, next);
  }
  if (!isWhole(body)) {
    const next = `have its sender send it again, then: questbus dead drop ${id}`;
    if (body.excerpt.includes(redactedMark))
      refuse("DEAD_NOT_RETRYABLE", `a secret was taken out of ${id} before it was kept`, next);
    refuse("DEAD_NOT_RETRYABLE", `of ${id} only the first ${limit.deadLetterBytesMax} bytes were kept`, next);
  }
  return body.excerpt;
}

/** Whether what was kept is all that was sent. */
export const isWhole = ({
  sha256,
  excerpt,
}: Pick<EventBody["message.dead"], "sha256" | "excerpt">): boolean =>
  hash("sha256", excerpt, "hex") === sha256;

/** Refuses to carry out late what is worth nothing, or harms, without its sender. */
export function refuseMomentary(letter: DeadLetter, verb: Verb): void {
  if (!momentary.includes(verb)) return;
  const id = deadIdOf(letter);
  const message = `${id} is a ${verb}, which means nothing once its sender no longer waits for it`;
  refuse("DEAD_NOT_RETRYABLE", message, `drop it: questbus dead drop ${id}`);
}

export const decideRetried = (letter: DeadLetter, faults: readonly string[], actor: Actor): NewEvent => ({
  type: "dead.retried",
  quest: null,
  actor,
  body: { letter: deadIdOf(letter), faults: [...faults] },
});

export const decideDrop = (letter: DeadLetter, { reason }: CommandData["drop"], actor: Actor): NewEvent => ({
  type: "dead.dropped",
  quest: null,
  actor,
  body: { letter: deadIdOf(letter), reason },
});
