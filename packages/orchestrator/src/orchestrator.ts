import type { Command, CommandHandlers, DeadMessage, JournalStream, Time } from "@questbus/bus";
import { type AskState, isOver } from "@questbus/core";
import {
  type Actor,
  type Answer,
  type CommandData,
  crashPoint,
  limit,
  type Phase,
  type Principal,
  principals,
  QuestbusError,
  type Verb,
} from "@questbus/protocol";
import { actorText, type Store, type StoreWrites } from "@questbus/store";
import type { Logger } from "pino";
import { Desk } from "./desk.ts";
import { openPublisher, type Publisher } from "./publisher.ts";
import type { Random } from "./random.ts";
import { foreignId, isFinal, isForeignId, isRefusal, overloaded, refusal } from "./refusal.ts";
import { isLate, type Received, sumOf, Waiting } from "./waiting.ts";

/**
 * The one writer: takes the commands that wait, applies them in one transaction, hands the new rows to the journal
 * stream, and answers.
 *
 *     queue ──▶ transaction { decide, append, project, remember answer } ──▶ publish ──▶ answer
 *
 * Owns the queue, the claims, asks and monitors that wait, and the timer of the next due row. Owns no state of a quest:
 * that is the desk's, and behind it the journal's.
 * Invariants: I1 nobody is answered before the commit, but who monitors twice, the first time; I2 a command id seen before
 * gets its stored answer, unless there was no room for it; I3 a command that is refused changes nothing but the record of its
 * refusal, and in a conversation the breach with what the quest's policy makes of it; I4 the queue is bounded.
 */
type Settled = { command: Command; answer: Answer };

/** After a transaction that failed, timers wait this long: what is due would fail again at once. */
const failedPauseMs = 1_000;

const asksToGather = 32;
const gatherMs = 1;

/** Verbs that are not kept for repetition: a renewal is safe to repeat, and says nothing worth keeping. */
const unrecorded: readonly Verb[] = ["renew", "requests", "progress", "monitor", "read", "recall"];

/** An ask's own row knows its command and each report: an answer stored beside it would be written twice. */
const isOwnRecord = ({ verb, data }: Command): boolean =>
  verb === "ask" || (verb === "report" && data.task === "ask");

/** What waits for the end of its turn, and longer. */
const waits = ({ verb }: Command): boolean => verb === "claim" || verb === "requests";

export type Orchestrator = { stop(): Promise<void> };
export type OrchestratorParts = {
  store: Store;
  stream: JournalStream;
  serve: (handlers: CommandHandlers) => Promise<{ stop(): Promise<void> }>;
  log: Logger;
  time: Time;
  /** Ids and seeds; from the system by default. */
  random?: Random;
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
  /** How many of the queue are a sender's. */
  #queued = new Map<string, number>();
  readonly #waiting = new Waiting();
  /** Answers to commands before `fromSeq` are older than `answersKeptMs`. */
  #kept = { atMs: 0, fromSeq: 0, toSeq: 0 };
  #scheduled = false;
  /** Takes the timer back. */
  #disarm: (() => void) | null = null;
  #stopped = false;
  #failed = false;

  constructor(parts: OrchestratorParts) {
    this.#parts = parts;
    const awaited = (role: string): ReadonlySet<Phase> => this.#waiting.awaited(role);
    this.#desk = new Desk(parts.store, { awaited, nowMs: parts.time.nowMs, random: parts.random });
    this.#publisher = openPublisher(parts);
  }

  /** After a restart: agents that live on get a full lease to renew; rows not yet on the stream are published. */
  resume(): void {
    const { store, time } = this.#parts;
    const dueAtMs = time.nowMs() + limit.leaseMs;
    store.transact((tx) => {
      const isHeld = ({ kind }: { kind: string }): boolean => kind === "lease" || kind === "turn";
      const held = tx.dueTimers(dueAtMs, limit.queueCommandsMax).filter(isHeld);
      for (const each of held) tx.setTimer({ ...each, dueAtMs });
    });
    this.#publisher.kick();
    this.#schedule();
  }

  accept(command: Command): void {
    const sender = actorText(command.actor);
    const own = this.#queued.get(sender) ?? 0;
    if (own >= limit.queueOfSenderMax) return this.#turnAway(command, "of this sender ");
    if (this.#queue.length >= limit.queueCommandsMax) return this.#turnAway(command, "");
    this.#queued.set(sender, own + 1);
    this.#queue.push({ command, atMs: this.#parts.time.nowMs() });
    this.#schedule();
  }

  #turnAway(command: Command, whose: string): void {
    const error = overloaded(whose);
    command.respond(refusal(error));
    this.#desk.refusals.turnedAway({ ...command, quest: null }, error);
  }

  /** A message that could not be read: kept with the reason, or counted, and never in silence. */
  bury(message: DeadMessage): void {
    const isFull = this.#desk.dead.isFull(message);
    if (isFull && this.#desk.dead.count(message)) this.#schedule();
    // A breach is one all the same, and of those so many are recorded.
    if (isFull && !this.#desk.turns.isBreach(message)) return;
    try {
      this.#transact(() => {
        if (!isFull) this.#desk.dead.bury(message);
        this.#desk.turns.unreadable(message);
      });
      this.#schedule();
    } catch (error) {
      const { subject } = message;
      this.#parts.log.error({ err: error, subject }, "a dead letter could not be stored");
    }
    this.#publisher.kick();
    if (isFull) return;
    this.#parts.stream
      .publishDead({ ...message, timeMs: this.#parts.time.nowMs() })
      .catch((error: unknown) => this.#parts.log.warn({ err: error }, "dead letter not published"));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#disarm?.();
    const { claims, monitors } = this.#waiting.late(Number.POSITIVE_INFINITY);
    for (const { command } of claims) command.respond(none(this.#desk.lastSeq));
    for (const received of monitors) this.#answerMonitor(received);
    const { dead, refusals } = this.#desk;
    try {
      if (Math.min(dead.nextMs(), refusals.nextMs()) < Number.POSITIVE_INFINITY)
        this.#transact(() => this.#sayCounts(Number.POSITIVE_INFINITY));
    } catch (error) {
      this.#parts.log.error({ err: error }, "how much was counted could not be stored");
    }
    await this.#publisher.settled();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    const { soon, after } = this.#parts.time;
    const begin = (): void => {
      this.#scheduled = false;
      if (!this.#stopped) this.#turn();
    };
    // With many asks open, more commands are about to come: a moment's wait lets them share one flush and one write.
    if (this.#desk.asks.openCount >= asksToGather) after(gatherMs, begin);
    else soon(begin);
  }

  /** One turn: due timers and waiting commands in one transaction, then publish, then answer. */
  #turn(): void {
    const settled = this.#carryOut(this.#takeBatch());
    crashPoint("commit.done");
    this.#publisher.kick();
    for (const [at, { command, answer }] of settled.entries()) {
      command.respond(answer);
      if (at === 0) crashPoint("answer.begun");
    }
    crashPoint("answer.done");
    this.#answerLate();
    this.#armTimer();
    if (this.#queue.length > 0) this.#schedule();
  }

  #takeBatch(): Received[] {
    const batch = this.#queue.splice(0, limit.batchCommandsMax);
    if (this.#queue.length === 0) this.#queued.clear();
    else
      for (const { command } of batch) {
        const sender = actorText(command.actor);
        this.#queued.set(sender, (this.#queued.get(sender) ?? 1) - 1);
      }
    return batch;
  }

  /** All in one transaction. When a mistake of ours breaks it, each gets its own, so that one command costs no other. */
  #carryOut(batch: readonly Received[], alone = false): Settled[] {
    const taken = new Set(batch);
    crashPoint("batch.taken");
    try {
      const settled = this.#transact((tx) => {
        this.#fireTimers(tx);
        const done = batch.flatMap((received) => this.#settle(tx, received));
        this.#desk.startNext();
        done.push(...this.#grantClaims(tx, taken), ...this.#tellMonitors(tx, taken));
        this.#forgetAnswers(tx);
        crashPoint("commit.begun");
        return done;
      });
      this.#failed = false;
      return [...settled, ...this.#endedAsks()];
    } catch (error) {
      this.#failed = true;
      this.#parts.log.error({ err: error }, "a batch could not be stored");
      for (const received of taken) this.#waiting.drop(received);
      const ours = !(error instanceof QuestbusError);
      if (ours && taken.size > 1 && !alone)
        return [...taken].flatMap((received) => this.#carryOut([received], true));
      return [...taken].map(({ command }) => ({ command, answer: refusal(error) }));
    }
  }

  /** Claims that wait are granted what there is now, in the same transaction; `taken` gets each that is looked at. */
  #grantClaims(tx: StoreWrites, taken: Set<Received>): Settled[] {
    return principals.flatMap((role) => {
      const done: Settled[] = [];
      // Until nothing fits any more: who takes several phases may have taken another ask than it was counted for.
      for (let last = this.#grantOnce(role, tx, taken); last.length > 0; ) {
        done.push(...last);
        last = this.#grantOnce(role, tx, taken);
      }
      return done;
    });
  }

  #grantOnce(role: Principal, tx: StoreWrites, taken: Set<Received>): Settled[] {
    const tasks = this.#desk.offers().get(role) ?? 0;
    const asks = this.#desk.asksOffered(role);
    const asksCount = sumOf(asks);
    if (tasks + asksCount === 0) return [];
    const may = (actor: Actor): boolean => this.#desk.breakers.permit(actor) !== "none";
    const claims = this.#waiting.takeClaims(role, tasks, asks, may);
    for (const each of claims) taken.add(each);
    const share = Math.ceil(asksCount / Math.max(1, claims.length - tasks));
    return claims.flatMap((received) => {
      const settled = this.#settle(tx, received, share);
      if (settled.length > 0) this.#waiting.drop(received);
      return settled;
    });
  }

  /** Who waits for its turn is told of it, in the same transaction. */
  #tellMonitors(tx: StoreWrites, taken: Set<Received>): Settled[] {
    return this.#waiting.monitorsOf(this.#desk.turns.takeWoken()).flatMap((received) => {
      taken.add(received);
      const settled = this.#settle(tx, received);
      if (settled.length > 0) this.#waiting.drop(received);
      return settled;
    });
  }

  /** Whose turn it is, for one that has waited long enough. */
  #monitorsAnswer({ actor, data }: Command): Answer {
    try {
      const told = this.#desk.turns.waiting(actor, data as CommandData["monitor"]);
      return { ok: true, seq: this.#desk.lastSeq, data: told };
    } catch (error) {
      return refusal(error);
    }
  }

  #answerMonitor({ command }: Received): void {
    command.respond(this.#monitorsAnswer(command));
  }

  /** After the commit: who waits for an ask that ended is answered. */
  #endedAsks(): Settled[] {
    return this.#desk.asks.ended.flatMap((ask) => {
      const answer: Answer = { ok: true, seq: this.#desk.lastSeq, data: this.#desk.asks.told(ask) };
      return this.#waiting.takeAnswers(ask.id).map(({ command }) => ({ command, answer }));
    });
  }

  #transact<T>(work: (tx: StoreWrites) => T): T {
    // One that could not even begin has nothing to take back: what the desk remembers is of the one before.
    let begun = false;
    try {
      return this.#parts.store.transact((tx) => {
        this.#desk.begin(tx);
        begun = true;
        const done = work(tx);
        this.#desk.settle();
        return done;
      });
    } catch (error) {
      if (begun) this.#desk.rollback();
      throw error;
    }
  }

  /**
   * The answer of one command; none when it waits. A claim waits for the end of its turn at least, so that it sees all
   * that the turn brings: `share` is given then, the asks that it may take.
   */
  #settle(tx: StoreWrites, received: Received, share?: number): Settled[] {
    const { command } = received;
    const known = isOwnRecord(command) ? null : tx.answerOf(command.id);
    if (known?.actor === actorText(command.actor)) return [{ command, answer: known.answer as Answer }];
    if (known || isForeignId(command.id, command.actor))
      return [{ command, answer: this.#refuse(command, foreignId(command.id)) }];
    let withdrawn: Settled[] = [];
    let answer: Answer;
    try {
      this.#desk.authorize(command);
      withdrawn = this.#withdraw(command);
      const data = share === undefined && waits(command) ? null : this.#desk.handle(command, share);
      if (data === null) return this.#wait(received);
      if (command.verb === "ask" && this.#waitsOn(received, data as AskState)) return [];
      const told = command.verb === "ask" ? this.#desk.asks.told(data as AskState) : data;
      answer = { ok: true, seq: this.#desk.lastSeq, data: told };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      answer = this.#refuse(command, error);
    }
    const isLast = answer.ok || isFinal(answer.faults);
    if (!unrecorded.includes(command.verb) && !isOwnRecord(command) && isLast)
      tx.rememberAnswer(command.id, command.actor, answer, this.#desk.lastSeq);
    return [...withdrawn, { command, answer }];
  }

  /** What somebody who starts anew, stops or is revoked waits with: a claim, and a monitor. */
  #withdraw({ verb, actor, data }: Command): Settled[] {
    if (verb === "hello") this.#waiting.forgetClaim(actor);
    if (verb !== "leave" && verb !== "revoke") return [];
    const gone = verb === "leave" ? actor : (data as CommandData["revoke"]);
    const claim = this.#waiting.forgetClaim(gone)?.command;
    const monitor = this.#waiting.forgetMonitor(gone)?.command;
    return [
      ...(claim ? [{ command: claim, answer: none(this.#desk.lastSeq) }] : []),
      ...(monitor ? [{ command: monitor, answer: this.#monitorsAnswer(monitor) }] : []),
    ];
  }

  /** An ask that is not answered yet waits for it. */
  #waitsOn(received: Received, ask: AskState): boolean {
    if (isOver(ask) || isLate(received, this.#parts.time.nowMs())) return false;
    if (this.#waiting.answersCount >= limit.answersWaitingMax) return false;
    this.#waiting.parkAnswer(ask.id, received);
    return true;
  }

  /** Answers are kept for some rows and some time, whichever is more: many asks fill rows fast. */
  #forgetAnswers(tx: StoreWrites): void {
    const nowMs = this.#parts.time.nowMs();
    const { lastSeq } = this.#desk;
    if (nowMs - this.#kept.atMs >= limit.answersKeptMs)
      this.#kept = { atMs: nowMs, fromSeq: this.#kept.toSeq, toSeq: lastSeq };
    const beforeSeq = Math.min(lastSeq - limit.answersKeptRows, this.#kept.fromSeq);
    if (beforeSeq > 0) tx.forgetAnswers(beforeSeq, limit.batchCommandsMax);
  }

  /** Records it; a renewal that comes too late says nothing new, but one of another's lease does. */
  #refuse(command: Command, error: QuestbusError): Answer {
    if (command.verb !== "renew" || this.#desk.presence.isOthers(command))
      this.#recordRefusal(command, error);
    return refusal(error);
  }

  #recordRefusal(command: Command, error: QuestbusError): void {
    const named =
      (command.data as { assignment?: string; quest?: string }).assignment ??
      (command.data as { quest?: string }).quest;
    const quest = named?.split(".")[0];
    const known = quest && this.#desk.knows(quest) ? quest : null;
    this.#desk.refusals.refused({ ...command, quest: known }, error);
  }

  #fireTimers(tx: StoreWrites): void {
    for (const timer of tx.dueTimers(this.#parts.time.nowMs(), limit.batchCommandsMax)) {
      tx.deleteTimer(timer.id);
      this.#desk.timer(timer.kind, timer.subject);
      crashPoint("timer.fired");
    }
    this.#desk.asks.expire();
    this.#sayCounts(this.#parts.time.nowMs());
  }

  #sayCounts(byMs: number): void {
    this.#desk.dead.sayCounts(byMs);
    this.#desk.refusals.say(byMs === Number.POSITIVE_INFINITY);
  }

  /** Parks a claim or a monitor. An agent waits once with each: its newest one ends the one before, which is answered. */
  #wait(received: Received): Settled[] {
    if (received.command.verb === "monitor") {
      const monitor = this.#waiting.parkMonitor(received);
      if (!monitor || monitor.command.id === received.command.id) return [];
      this.#desk.refusals.crowded({ ...monitor.command, quest: null });
      this.#answerMonitor(monitor);
      return [];
    }
    const before = this.#waiting.parkClaim(received)?.command;
    if (!before || before.id === received.command.id) return [];
    this.#desk.refusals.crowded({ ...before, quest: null });
    return [{ command: before, answer: none(this.#desk.lastSeq) }];
  }

  #answerLate(): void {
    const { claims, asks, monitors } = this.#waiting.late(this.#parts.time.nowMs());
    for (const { command } of claims) command.respond(none(this.#desk.lastSeq));
    for (const received of monitors) this.#answerMonitor(received);
    for (const { ask, received } of asks) {
      received.command.respond({ ok: true, seq: this.#desk.lastSeq, data: this.#desk.asks.toldOf(ask) });
    }
  }

  /** Sleeps until the next due row, or until somebody has waited long enough. */
  #armTimer(): void {
    this.#disarm?.();
    const next = Math.min(
      this.#parts.store.nextTimerMs() ?? Infinity,
      this.#waiting.nextMs(),
      this.#desk.asks.nextMs(),
      this.#desk.dead.nextMs(),
      this.#desk.refusals.nextMs(),
      this.#desk.breakers.nextMs(),
    );
    // What is due at once, as the first count of a sender is, says so with minus infinity.
    if (next === Number.POSITIVE_INFINITY) return;
    const leastMs = this.#failed ? failedPauseMs : 0;
    const delayMs = Math.min(Math.max(leastMs, next - this.#parts.time.nowMs()) + 1, 60_000);
    this.#disarm = this.#parts.time.after(delayMs, () => this.#schedule());
  }
}

const none = (seq: number): Answer => ({ ok: true, seq, data: { status: "none" } });
