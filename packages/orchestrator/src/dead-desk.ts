import { type DeadMessage, type ReadCommand, readCommand } from "@questbus/bus";
import {
  deadSeqOf,
  decideDrop,
  decideRetried,
  isKept,
  openLetter,
  refuseMomentary,
  textToRetry,
} from "@questbus/core";
import {
  type Actor,
  type Answer,
  type CommandData,
  type DeadLetter,
  type EventBody,
  type Fault,
  faultLine,
  type JournalEvent,
  limit,
  type NewEvent,
  orchestratorActor,
  type RetryAnswer,
} from "@questbus/protocol";
import { actorText, type Store, type StoreWrites } from "@questbus/store";
import { foreignId, isForeignId, isRefusal, refusal } from "./refusal.ts";

/**
 * The part of the desk that keeps dead letters. Owns the counts of messages that are not kept and not recorded yet: a
 * flood of them costs no transaction each, and a process that is killed forgets those of one `deadCountEveryMs` at most.
 *
 * Invariants: I1 a letter is carried out as its sender's command, under its own id, with its sender's authority;
 * I2 what a retry does and that it was done are one transaction.
 */
type DeadDeskParts = {
  nowMs: () => number;
  record(event: NewEvent, command: string | null): JournalEvent;
  /** As when the message had come now: refuses what its sender may not do. */
  carryOut(command: ReadCommand): unknown;
};

type Count = { actor: Actor; body: EventBody["dead.counted"]; dueMs: number };
type Asked<V extends "retry" | "drop"> = { id: string; actor: Actor; data: CommandData[V] };

const senderOf = ({ actor }: DeadMessage): Actor => actor ?? orchestratorActor;

export class DeadDesk {
  readonly #store: Store;
  readonly #parts: DeadDeskParts;
  #tx: StoreWrites | null = null;
  #counts = new Map<string, Count>();
  /** When a sender's count was recorded last. */
  #saidMs = new Map<string, number>();
  /** What was recorded in this transaction. */
  #said: Count[] = [];

  constructor(store: Store, parts: DeadDeskParts) {
    this.#store = store;
    this.#parts = parts;
  }

  begin(tx: StoreWrites): void {
    this.#tx = tx;
    this.#said = [];
  }

  rollback(): void {
    for (const { actor, body, dueMs } of this.#said) this.#add(actor, body, dueMs);
    this.#said = [];
  }

  /** Whether a sender has as many open letters as are kept. */
  isFull(message: DeadMessage): boolean {
    const { role, name } = senderOf(message);
    return !isKept(this.#store.countDead(role, name));
  }

  bury(message: DeadMessage): void {
    const { subject, code, faults, sha256, excerpt } = message;
    const body = { subject, code, faults, sha256, excerpt };
    this.#parts.record({ type: "message.dead", quest: null, actor: senderOf(message), body }, null);
  }

  /** One more of a sender that is full: the first is recorded at once, those after it together. True: a count begins. */
  count(message: DeadMessage): boolean {
    const actor = senderOf(message);
    const isNew = !this.#counts.has(actorText(actor));
    const saidMs = this.#saidMs.get(actorText(actor));
    const { subject, code, faults } = message;
    const dueMs = saidMs === undefined ? this.#parts.nowMs() : saidMs + limit.deadCountEveryMs;
    this.#add(actor, { count: 1, subject, code, fault: faults[0] ?? "" }, dueMs);
    return isNew;
  }

  #add(actor: Actor, body: Count["body"], dueMs: number): void {
    const key = actorText(actor);
    const before = this.#counts.get(key);
    const count = body.count + (before?.body.count ?? 0);
    this.#counts.set(key, { actor, body: { ...body, count }, dueMs: before?.dueMs ?? dueMs });
  }

  /** When the next count is to be recorded. */
  nextMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#counts.values()].map(({ dueMs }) => dueMs));
  }

  /** Records the counts that are due by then. */
  sayCounts(byMs: number): void {
    for (const [key, count] of this.#counts) {
      if (count.dueMs > byMs) continue;
      this.#counts.delete(key);
      this.#said.push(count);
      this.#saidMs.set(key, this.#parts.nowMs());
      const { actor, body } = count;
      this.#parts.record({ type: "dead.counted", quest: null, actor, body }, null);
    }
  }

  retry({ id, actor, data: { letter: named } }: Asked<"retry">): RetryAnswer {
    const letter = this.#open(named);
    const text = textToRetry(letter, this.#bodyOf(letter));
    const reading = readCommand(letter.subject, Buffer.from(text));
    const answer = reading.ok
      ? this.#carryOut(letter, reading.command)
      : { ok: false as const, faults: reading.faults };
    const lines = answer.ok ? [] : answer.faults.map(faultLine);
    this.#parts.record(decideRetried(letter, lines, actor), id);
    if (!answer.ok) return { letter: named, status: "failed", faults: answer.faults as readonly Fault[] };
    return { letter: named, status: "retried", data: answer.data };
  }

  drop({ id, actor, data }: Asked<"drop">): { letter: string } {
    this.#parts.record(decideDrop(this.#open(data.letter), data, actor), id);
    return { letter: data.letter };
  }

  /** I1: what was answered under this id before is not done again. */
  #carryOut(letter: DeadLetter, command: ReadCommand): Answer {
    refuseMomentary(letter, command.verb);
    const { id, actor } = command;
    const known = this.#writes.answerOf(id);
    if (known?.actor === actorText(actor)) return known.answer as Answer;
    if (known || isForeignId(id, actor)) return refusal(foreignId(id));
    try {
      const data = this.#parts.carryOut(command);
      const { seq } = this.#writes.head();
      const answer: Answer = { ok: true, seq, data };
      this.#writes.rememberAnswer(id, actor, answer, seq);
      return answer;
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return refusal(error);
    }
  }

  #open(id: string): DeadLetter {
    return openLetter(this.#writes.getDead(deadSeqOf(id)), id);
  }

  #bodyOf({ seq }: DeadLetter): EventBody["message.dead"] | null {
    const [row] = this.#writes.readJournal({ afterSeq: seq - 1, limit: 1 });
    return row?.seq === seq && row.type === "message.dead" ? row.body : null;
  }

  get #writes(): StoreWrites {
    if (!this.#tx) throw new TypeError("the desk works inside a transaction only");
    return this.#tx;
  }
}
