import type { Command, CommandHandlers, DeadMessage, JournalStream } from "@questbus/bus";
import {
  type Answer,
  crashPoint,
  type ErrorCode,
  faultsOf,
  limit,
  type Principal,
  QuestbusError,
  type Verb,
} from "@questbus/protocol";
import { actorText, type Store, type StoreWrites } from "@questbus/store";
import type { Logger } from "pino";
import { Desk } from "./desk.ts";
import { openPublisher, type Publisher } from "./publisher.ts";

/**
 * The one writer: takes the commands that wait, applies them in one transaction, hands the new rows to the journal
 * stream, and answers.
 *
 *     queue ──▶ transaction { decide, append, project, remember answer } ──▶ publish ──▶ answer
 *
 * Owns the queue, the claims that wait for work, and the timer of the next due row. Owns no state of a quest: that is
 * the desk's, and behind it the journal's.
 * Invariants: I1 nobody is answered before the commit; I2 a command id seen before gets its stored answer; I3 a
 * command that is refused changes nothing but the record of its refusal; I4 the queue is bounded.
 */
type Received = { command: Command; atMs: number };
type Waiting = { received: Received; untilMs: number };
type Settled = { command: Command; answer: Answer };

/** What the store says of itself: no refusal of the command, but the end of the transaction. */
const storeFaults: readonly ErrorCode[] = ["DISK_FULL", "STATE_BROKEN", "STATE_LOCKED", "AUDIT_BROKEN"];

/** After a transaction that failed, timers wait this long: what is due would fail again at once. */
const failedPauseMs = 1_000;

/** Verbs that are not kept for repetition: a renewal is safe to repeat, and says nothing worth keeping. */
const unrecorded: readonly Verb[] = ["renew", "claim", "requests"];

export type Orchestrator = { stop(): Promise<void> };
export type OrchestratorParts = {
  store: Store;
  stream: JournalStream;
  serve: (handlers: CommandHandlers) => Promise<{ stop(): Promise<void> }>;
  log: Logger;
  nowMs: () => number;
};

export async function startOrchestrator(parts: OrchestratorParts): Promise<Orchestrator> {
  const running = new Running(parts);
  running.resume();
  const server = await parts.serve({
    onCommand: (command) => running.accept(command),
    onDead: (message) => running.bury(message),
  });
  return {
    async stop() {
      await server.stop();
      await running.stop();
    },
  };
}

class Running {
  readonly #parts: OrchestratorParts;
  readonly #desk: Desk;
  readonly #publisher: Publisher;
  #queue: Received[] = [];
  #waiting: Waiting[] = [];
  #scheduled = false;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #failed = false;

  constructor(parts: OrchestratorParts) {
    this.#parts = parts;
    this.#desk = new Desk(parts.store, parts.nowMs);
    this.#publisher = openPublisher(parts.store, parts.stream, parts.log);
  }

  /** After a restart: agents that live on get a full lease to renew; rows not yet on the stream are published. */
  resume(): void {
    const { store, nowMs } = this.#parts;
    const dueAtMs = nowMs() + limit.leaseMs;
    store.transact((tx) => {
      const leases = tx.dueTimers(dueAtMs, limit.queueCommandsMax).filter(({ kind }) => kind === "lease");
      for (const lease of leases) tx.setTimer({ ...lease, dueAtMs });
    });
    this.#publisher.kick();
    this.#schedule();
  }

  accept(command: Command): void {
    if (this.#queue.length >= limit.queueCommandsMax) {
      const fault = {
        code: "OVERLOADED",
        message: "too many commands wait",
        next: "send it again in a moment",
      };
      return command.respond({ ok: false, faults: [fault], retryable: true });
    }
    this.#queue.push({ command, atMs: this.#parts.nowMs() });
    this.#schedule();
  }

  /** A message that could not be read: kept with the reason, and never in silence. */
  bury(message: DeadMessage): void {
    const { actor, subject, code, faults, sha256, excerpt } = message;
    const body = { subject, code, faults, sha256, excerpt };
    const from = actor ?? { role: "orchestrator" as const, name: "orchestrator" };
    try {
      this.#transact(() => this.#desk.record({ type: "message.dead", quest: null, actor: from, body }, null));
    } catch (error) {
      this.#parts.log.error({ err: error, subject }, "a dead letter could not be stored");
    }
    this.#parts.stream
      .publishDead({ ...message, timeMs: this.#parts.nowMs() })
      .catch((error: unknown) => this.#parts.log.warn({ err: error }, "dead letter not published"));
    this.#publisher.kick();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    for (const { received } of this.#waiting) received.command.respond(none(this.#desk.lastSeq));
    await this.#publisher.settled();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (!this.#stopped) this.#turn();
    });
  }

  /** One turn: due timers and waiting commands in one transaction, then publish, then answer. */
  #turn(): void {
    const settled = this.#carryOut(this.#queue.splice(0, limit.batchCommandsMax));
    crashPoint("commit.done");
    this.#publisher.kick();
    for (const [at, { command, answer }] of settled.entries()) {
      command.respond(answer);
      if (at === 0) crashPoint("answer.begun");
    }
    crashPoint("answer.done");
    this.#wakeClaims();
    this.#answerLateClaims();
    this.#armTimer();
    if (this.#queue.length > 0) this.#schedule();
  }

  /** All in one transaction. When a mistake of ours breaks it, each gets its own, so that one command costs no other. */
  #carryOut(batch: readonly Received[]): Settled[] {
    crashPoint("batch.taken");
    try {
      const settled = this.#transact((tx) => {
        this.#fireTimers(tx);
        const done = batch.flatMap((received) => this.#settle(tx, received));
        this.#desk.startNext();
        tx.forgetAnswers(this.#desk.lastSeq - limit.answersKeptRows, limit.batchCommandsMax);
        crashPoint("commit.begun");
        return done;
      });
      this.#failed = false;
      return settled;
    } catch (error) {
      this.#failed = true;
      this.#parts.log.error({ err: error }, "a batch could not be stored");
      this.#waiting = this.#waiting.filter(({ received }) => !batch.includes(received));
      const ours = !(error instanceof QuestbusError);
      if (ours && batch.length > 1) return batch.flatMap((received) => this.#carryOut([received]));
      return batch.map(({ command }) => ({ command, answer: refusal(error) }));
    }
  }

  #transact<T>(work: (tx: StoreWrites) => T): T {
    try {
      return this.#parts.store.transact((tx) => {
        this.#desk.begin(tx);
        return work(tx);
      });
    } catch (error) {
      this.#desk.rollback();
      throw error;
    }
  }

  /** The answer of one command; none when it is a claim that goes on waiting. */
  #settle(tx: StoreWrites, received: Received): Settled[] {
    const { command } = received;
    const known = tx.answerOf(command.id);
    if (known?.actor === actorText(command.actor)) return [{ command, answer: known.answer as Answer }];
    if (known) return [{ command, answer: refusal(foreignId(command)) }];
    if (command.verb === "hello") this.#forgetClaims(command);
    let answer: Answer;
    try {
      const data = this.#desk.handle(command);
      const parked = data === null ? this.#wait(received) : null;
      if (parked) return parked;
      answer = data === null ? none(this.#desk.lastSeq) : { ok: true, seq: this.#desk.lastSeq, data };
    } catch (error) {
      if (!(error instanceof QuestbusError) || storeFaults.includes(error.code)) throw error;
      this.#recordRefusal(tx, command, error);
      answer = refusal(error);
    }
    const granted =
      command.verb === "claim" && answer.ok && (answer.data as { status: string }).status === "granted";
    if (!unrecorded.includes(command.verb) || granted)
      tx.rememberAnswer(command.id, command.actor, answer, this.#desk.lastSeq);
    return [{ command, answer }];
  }

  /** An earlier process of this agent is gone, and with it whoever waited for these answers. */
  #forgetClaims({ actor }: Command): void {
    const isHis = ({ command }: Received): boolean => actorText(command.actor) === actorText(actor);
    this.#waiting = this.#waiting.filter(({ received }) => !isHis(received));
  }

  #recordRefusal(tx: StoreWrites, command: Command, error: QuestbusError): void {
    if (command.verb === "renew") return;
    const named =
      (command.data as { assignment?: string; quest?: string }).assignment ??
      (command.data as { quest?: string }).quest;
    const quest = named?.split(".")[0];
    const known = quest && tx.getQuestState(quest) ? quest : null;
    const body = { verb: command.verb, code: error.code, message: error.message };
    this.#desk.record({ type: "command.refused", quest: known, actor: command.actor, body }, command.id);
  }

  #fireTimers(tx: StoreWrites): void {
    for (const timer of tx.dueTimers(this.#parts.nowMs(), limit.batchCommandsMax)) {
      tx.deleteTimer(timer.id);
      this.#desk.timer(timer.kind, timer.subject);
      crashPoint("timer.fired");
    }
  }

  /**
   * Parks a claim until there is work or its time is over; null: it is over. An agent waits once: its newest claim ends
   * the one before, whose answer this gives.
   */
  #wait(received: Received): Settled[] | null {
    const { command, atMs } = received;
    const untilMs = atMs + (command.data as { waitMs: number }).waitMs;
    if (untilMs <= this.#parts.nowMs()) return null;
    const isHis = ({ received: { command: other } }: Waiting): boolean =>
      actorText(other.actor) === actorText(command.actor);
    const before = this.#waiting.filter(isHis).map((each) => each.received.command);
    this.#waiting = [...this.#waiting.filter((each) => !isHis(each)), { received, untilMs }];
    return before
      .filter((other) => other.id !== command.id)
      .map((other) => ({ command: other, answer: none(this.#desk.lastSeq) }));
  }

  /** Claims of roles that have work now go back into the queue. */
  #wakeClaims(): void {
    const offered = this.#desk.offeredRoles();
    const isWoken = ({ received }: Waiting): boolean => offered.has(received.command.actor.role as Principal);
    const woken = this.#waiting.filter(isWoken);
    if (woken.length === 0) return;
    this.#waiting = this.#waiting.filter((each) => !isWoken(each));
    this.#queue.push(...woken.map(({ received }) => received));
    this.#schedule();
  }

  #answerLateClaims(): void {
    const nowMs = this.#parts.nowMs();
    const late = this.#waiting.filter(({ untilMs }) => untilMs <= nowMs);
    this.#waiting = this.#waiting.filter(({ untilMs }) => untilMs > nowMs);
    for (const { received } of late) received.command.respond(none(this.#desk.lastSeq));
  }

  /** Sleeps until the next due row or the next claim that has waited long enough. */
  #armTimer(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const next = Math.min(
      this.#parts.store.nextTimerMs() ?? Infinity,
      ...this.#waiting.map(({ untilMs }) => untilMs),
    );
    if (!Number.isFinite(next)) return;
    const leastMs = this.#failed ? failedPauseMs : 0;
    const delayMs = Math.min(Math.max(leastMs, next - this.#parts.nowMs()) + 1, 60_000);
    this.#timer = setTimeout(() => this.#schedule(), delayMs);
  }
}

const foreignId = ({ id }: Command): QuestbusError =>
  new QuestbusError({
    code: "MESSAGE_INVALID",
    message: `the command id ${id} belongs to another sender`,
    next: "use a fresh id",
  });

const none = (seq: number): Answer => ({ ok: true, seq, data: { status: "none" } });

function refusal(error: unknown): Answer {
  const retryable = error instanceof QuestbusError && error.retryable;
  return { ok: false, faults: faultsOf(error).map((fault) => ({ ...fault })), retryable };
}
