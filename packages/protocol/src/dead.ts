import type { Fault } from "./error.ts";

/** A message that could not be read, kept until somebody retries or drops it; or a count of such. */
export type DeadLetter = {
  /** Row of the journal that it came with, or with which the counting began. */
  seq: number;
  /** Who sent it: the credential's role and name; the orchestrator where the subject named nobody. */
  role: string;
  name: string;
  subject: string;
  code: string;
  /** The first fault with its path; of a count, that of the last message. */
  fault: string;
  timeMs: number;
  status: "open" | "retried" | "dropped";
  /** How often it was read again in vain. */
  retries: number;
  /** How many messages this stands for that were counted only; 0: it is one letter, which was kept. */
  counted: number;
};

/** What a retry is answered with: carried out, or why it stays a dead letter. */
export type RetryAnswer =
  | { letter: string; status: "retried"; data: unknown }
  | { letter: string; status: "failed"; faults: readonly Fault[] };
