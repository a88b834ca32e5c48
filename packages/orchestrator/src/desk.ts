import {
  type AskState,
  askWithheld,
  type DecideContext,
  type Draft,
  decideCancel,
  decideClaim,
  decideContinue,
  decideDeadline,
  decideExpire,
  decideGoOn,
  decideHalt,
  decideNote,
  decidePause,
  decideRelease,
  decideReport,
  decideResume,
  decideRule,
  decideStart,
  decideSubmit,
  decideSupply,
  grantOf,
  heldAssignment,
  holdsMachine,
  injectionsIn,
  isReady,
  pausedBy,
  type QuestState,
  refuseBeyond,
  refuseInSafeMode,
  requestOf,
  whyWithheld,
  withoutSecrets,
} from "@questbus/core";
import {
  type Actor,
  type ClaimAnswer,
  type CommandData,
  type JournalEvent,
  limit,
  type NewEvent,
  orchestratorActor,
  type PauseAnswer,
  type PauseScope,
  type Phase,
  type Principal,
  phases,
  QuestbusError,
  type RequestsAnswer,
  type Role,
  roles,
  type StackScope,
  stackScope,
  type Task,
  type Verb,
  verbsOf,
} from "@questbus/protocol";
import type { Store, StoreWrites } from "@questbus/store";
import { ApprovalDesk } from "./approval-desk.ts";
import { AskDesk } from "./ask-desk.ts";
import { BreakerDesk } from "./breaker-desk.ts";
import { DeadDesk } from "./dead-desk.ts";
import { MemoryDesk } from "./memory-desk.ts";
import { PauseDesk } from "./pause-desk.ts";
import { isAsk, PresenceDesk } from "./presence-desk.ts";
import { ProgressBook } from "./progress.ts";
import { projectFact } from "./projection.ts";
import { inOrderOfArrival, QuestBook } from "./quest-book.ts";
import { cryptoRandom, type Random } from "./random.ts";
import { RefusalDesk } from "./refusal-desk.ts";
import { TurnDesk } from "./turn-desk.ts";

/**
 * The desk turns one command into committed events: find the quest, decide, append, project. It runs inside the
 * orchestrator's transaction and does no I/O of its own but through the store.
 *
 * Owns which quest begins or goes on next; the quests' states are its book's (`QuestBook`). Invariants: I1 what is in
 * memory is what the transaction wrote: `rollback` drops everything since `begin`; I2 a quest begins a pass only while no
 * other runs, because it holds the machine's measurement lease; one that stands still, waiting for a candidate from
 * outside, holds none, and goes on when no other runs; what an arbiter ruled is settled beside it, and measures nothing;
 * I3 at the end of a turn a quest that runs is halted if, and only if, it was kept from going on (`whyWithheld`), and
 * nothing of a halted one is offered.
 */
export type Asked<V extends Verb = Verb> = { id: string; verb: V; actor: Actor; data: CommandData[V] };

type DeskParts = {
  nowMs: () => number;
  awaited: (role: string) => Iterable<Phase>;
  random?: Random | undefined;
};

export class Desk {
  #tx: StoreWrites | null = null;
  readonly #nowMs: () => number;
  readonly #random: Random;
  #lastSeq = 0;
  readonly #progress = new ProgressBook();
  /** A quest changed since `startNext` looked. */
  #changed = true;
  readonly #quests: QuestBook;
  readonly asks: AskDesk;
  readonly dead: DeadDesk;
  readonly #pauses: PauseDesk;
  readonly breakers: BreakerDesk;
  readonly #approvals: ApprovalDesk;
  readonly turns: TurnDesk;
  readonly refusals: RefusalDesk;
  readonly presence: PresenceDesk;
  readonly #memories: MemoryDesk;

  constructor(store: Store, { nowMs, awaited, random = cryptoRandom }: DeskParts) {
    this.#nowMs = nowMs;
    this.#random = random;
    this.#quests = new QuestBook(store, (events, command, timeMs) => this.#append(events, command, timeMs));
    this.asks = new AskDesk(store, {
      nowMs,
      append: (events, command) => this.#append(events.map(withoutSecrets), command, nowMs()),
      refused: (actor, error, id) => this.refusals.refused({ id, verb: "report", actor, quest: null }, error),
      admit: () => refuseInSafeMode(this.#pauses.all, "ask"),
      awaited,
    });
    const record = (event: NewEvent, command: string | null): JournalEvent => this.record(event, command);
    this.#pauses = new PauseDesk(store, { nowMs, record });
    const quests = {
      questOf: (id: string) => this.#questOf(id),
      context: (actor: Actor | null) => this.#context(actor ?? orchestratorActor),
      reader: () => this.#store,
      commit: (draft: Draft, command: string | null) => this.#commit(draft, command),
    };
    this.#approvals = new ApprovalDesk(quests);
    this.#memories = new MemoryDesk({ record, ...quests });
    this.turns = new TurnDesk({ ...quests, quests: this.#quests });
    this.refusals = new RefusalDesk({ nowMs, record });
    this.presence = new PresenceDesk({
      ...quests,
      quests: this.#quests,
      asks: this.asks,
      record,
    });
    this.breakers = new BreakerDesk(store, { nowMs, isHolding: (agent) => this.presence.isHolding(agent) });
    this.dead = new DeadDesk(store, {
      nowMs,
      record,
      carryOut: (command) => {
        this.authorize(command);
        const data = this.handle(command);
        return command.verb === "ask" ? this.asks.told(data as AskState) : data;
      },
    });
  }

  begin(tx: StoreWrites): void {
    this.#tx = tx;
    this.#lastSeq = tx.head().seq;
    this.#quests.begin(tx);
    this.asks.begin(tx);
    this.dead.begin(tx);
    this.#pauses.begin();
    this.refusals.begin();
    this.breakers.begin();
  }

  /** The end of a transaction. */
  settle(): void {
    this.#quests.settle();
  }

  /** Whether there is a quest with this id. */
  knows(quest: string): boolean {
    return this.#quests.knows(quest);
  }

  rollback(): void {
    this.#quests.rollback();
    this.#changed = true;
    this.asks.rollback();
    this.dead.rollback();
    this.#pauses.rollback();
    this.refusals.rollback();
    this.breakers.rollback();
  }

  /** The last row of the journal that this desk knows of. */
  get lastSeq(): number {
    return this.#lastSeq;
  }

  #append(events: readonly NewEvent[], command: string | null, timeMs: number): JournalEvent[] {
    const rows = this.#store.append(events, { timeMs, command });
    // What the ends of work, and the words that came with them, say of who did it; these rows have no projection.
    const moves = [...this.breakers.take(rows), ...injectionsIn(rows)];
    const moved = moves.length > 0 ? this.#store.append(moves, { timeMs, command: null }) : [];
    this.#lastSeq = (moved.at(-1) ?? rows.at(-1))?.seq ?? this.#lastSeq;
    return rows;
  }

  get #store(): StoreWrites {
    if (!this.#tx) throw new TypeError("the desk works inside a transaction only");
    return this.#tx;
  }

  /** Carries out a command. Null: a claim for which there is no work yet. */
  handle(asked: Asked, asksMax: number = limit.asksClaimedMax): unknown {
    switch (asked.verb) {
      case "hello":
        return this.presence.hello(asked as Asked<"hello">);
      case "claim":
        return this.#claim(asked as Asked<"claim">, asksMax);
      case "leave":
        return this.presence.leave(asked as Asked<"leave">);
      case "renew":
        return this.#renew(asked as Asked<"renew">);
      case "note":
        return this.#note(asked as Asked<"note">);
      case "report":
        return this.#report(asked as Asked<"report">);
      case "release":
        return this.#release(asked as Asked<"release">);
      case "ask":
        return this.asks.ask(asked.actor, asked.data as CommandData["ask"], asked.id);
      case "progress":
        return { held: this.#progress.held(this.#quests.all(), this.#nowMs()) };
      case "submit":
        return this.#submit(asked as Asked<"submit">);
      case "cancel":
        return this.#cancel(asked as Asked<"cancel">);
      case "pause":
        return this.#pause(asked as Asked<"pause">);
      case "resume":
        return this.#resume(asked as Asked<"resume">);
      case "rule":
        return this.#rule(asked as Asked<"rule">);
      case "requests":
        return this.#requests();
      case "supply":
        return this.#supply(asked as Asked<"supply">);
      case "approval":
        return this.#approvals.ask(asked as Asked<"approval">);
      case "grant":
        return this.#approvals.grant(asked as Asked<"grant">);
      case "deny":
        return this.#approvals.deny(asked as Asked<"deny">);
      case "monitor":
        return this.turns.monitor(asked as Asked<"monitor">);
      case "read":
        return this.turns.read(asked as Asked<"read">);
      case "respond":
        return this.turns.respond(asked as Asked<"respond">);
      case "retry":
        return this.dead.retry(asked as Asked<"retry">);
      case "drop":
        return this.dead.drop(asked as Asked<"drop">);
      case "revoke":
        return this.presence.revoke(asked as Asked<"revoke">);
      case "refusals":
        this.refusals.told((asked as Asked<"refusals">).data.refusals, asked.id);
        return {};
      case "remember":
        return this.#memories.remember(asked as Asked<"remember">);
      case "recall":
        return this.#memories.recall(asked as Asked<"recall">);
      case "forget":
        return this.#memories.forget(asked as Asked<"forget">);
    }
  }

  /** Refuses what the sender's role may not do. */
  authorize(asked: Pick<Asked, "actor" | "verb">): void {
    if (!verbsOf[asked.actor.role as keyof typeof verbsOf]?.includes(asked.verb)) {
      throw new QuestbusError({
        code: "ROLE_FORBIDDEN",
        message: `${asked.actor.role} may not ${asked.verb}`,
        next: `${asked.actor.role} may: ${verbsOf[asked.actor.role as keyof typeof verbsOf]?.join(", ") ?? "nothing"}`,
      });
    }
  }

  /**
   * Quests that were paused stand, and those that nothing keeps any more go on. Then, with the measurement lease free,
   * the quest that has waited longest begins, or goes on with what was supplied to it.
   */
  startNext(): void {
    if (!this.#changed) return;
    this.#changed = false;
    this.#halt();
    const states = this.#quests.all();
    let machine = states.find(holdsMachine)?.id ?? null;
    const isFree = (state: QuestState): boolean => {
      const why = whyWithheld(state, this.#pauses.all, machine);
      return why === null || why.kind === "approval";
    };
    for (const state of states.filter(({ halted }) => halted).sort(inOrderOfArrival)) {
      if (!isFree(state)) continue;
      const after = this.#commit(decideContinue(state, this.#context(orchestratorActor)), null);
      if (holdsMachine(after)) machine = after.id;
    }
    if (machine !== null) return;
    const isNext = (state: QuestState): boolean => isReady(state, this.#nowMs()) && isFree(state);
    const next = this.#quests.all().filter(isNext).sort(inOrderOfArrival)[0];
    if (!next) return;
    const decide = next.status === "queued" ? decideStart : decideGoOn;
    this.#commit(decide(next, this.#context(orchestratorActor)), null);
  }

  /** What runs and is paused, itself or with others, stands. */
  #halt(): void {
    for (const state of this.#quests.all()) {
      if (state.status !== "running" || state.halted) continue;
      const stopped = pausedBy(state, this.#pauses.all);
      if (stopped) this.#commit(decideHalt(state, stopped, this.#context(orchestratorActor)), null);
    }
  }

  /** A timer is due. */
  timer(kind: string, subject: string): void {
    const quest = this.#quests.find(subject.split(".")[0] ?? "");
    if (!quest) return;
    const role = roles.find((each) => subject.endsWith(`.${each}`));
    const context = this.#context(orchestratorActor);
    if (kind === "lease" && role)
      this.#commit(decideExpire(quest, role, "the lease was not renewed", context), null);
    if (kind === "still" && role)
      this.#commit(decideExpire(quest, role, this.#progress.reasonOf(subject), context), null);
    if (kind === "turn") this.turns.missed(quest);
    if (kind === "quota") this.#changed = true;
    if (kind === "approval") this.#approvals.expire(subject, orchestratorActor);
    if (kind === "deadline") this.#commit(decideDeadline(quest, context), null);
  }

  /** Records something that is not about the state of a quest. */
  record(event: NewEvent, command: string | null): JournalEvent {
    const [row] = this.#append([withoutSecrets(event)], command, this.#nowMs()) as [JournalEvent];
    projectFact(this.#store, row);
    return row;
  }

  /** How much work there is for each role right now: assignments, or candidates that are asked for. */
  offers(): ReadonlyMap<Principal, number> {
    return this.#quests.offers();
  }

  /** How many asks a role could be given now, by the phase that they are in. */
  asksOffered(role: Principal): ReadonlyMap<Phase, number> {
    return askWithheld(role, this.#pauses.all) ? new Map() : this.asks.offered(role);
  }

  /** An assignment, or else asks: at most as many as the caller takes, and as is fair to others that wait. */
  #claim({ actor, id, data }: Asked<"claim">, share: number): ClaimAnswer | null {
    const role = actor.role as Role;
    const permit = this.breakers.permit(actor);
    if (permit === "none") return null;
    const asksMax = permit === "trial" ? 1 : share;
    if (!this.offers().has(role)) return this.#takeAsks(actor, data, asksMax, id);
    const offered = this.#quests
      .all()
      .filter((state) => state.assignments[role].status === "offered" && !state.halted)
      .sort(inOrderOfArrival)[0];
    if (!offered) return null;
    const given = this.#memories.toGive(offered, role);
    const state = this.#commit(decideClaim(offered, role, this.#context(actor), given), id);
    return { status: "granted", grant: this.#memories.completed(state, grantOf(state, role)) };
  }

  #takeAsks(actor: Actor, claim: CommandData["claim"], most: number, id: string): ClaimAnswer | null {
    if (askWithheld(actor.role, this.#pauses.all)) return null;
    const { asks: wanted = 0, askPhases: takes = phases } = claim;
    const asks = this.asks.take(actor, Math.min(wanted, most), takes, id);
    return asks.length > 0 ? { status: "asked", leaseMs: limit.leaseMs, asks } : null;
  }

  #renew({ actor, data }: Asked<"renew">): unknown {
    if (isAsk(data)) {
      this.asks.renew(actor, data);
      return { leaseMs: limit.leaseMs };
    }
    const state = this.#questOf(data.assignment);
    const { task } = heldAssignment(state, data.assignment, data.epoch, this.#context(actor));
    const due = this.#progress.renewed(state, task as Task, data, this.#nowMs());
    this.#store.setTimer({ id: `lease:${data.assignment}`, subject: data.assignment, ...due });
    return { leaseMs: limit.leaseMs };
  }

  #note({ actor, data, id }: Asked<"note">): unknown {
    const draft = decideNote(this.#questOf(data.assignment), data, this.#context(actor));
    this.#commit(this.#progress.noted(draft, data), id);
    return {};
  }

  #report({ actor, data, id }: Asked<"report">): unknown {
    if (data.task === "ask") return this.asks.report(actor, data, id);
    this.#commit(decideReport(this.#questOf(data.assignment), data, this.#context(actor)), id);
    return {};
  }

  #release({ actor, data, id }: Asked<"release">): unknown {
    if (isAsk(data)) this.asks.release(actor, data, id);
    else this.#commit(decideRelease(this.#questOf(data.assignment), data, this.#context(actor)), id);
    return {};
  }

  #submit({ actor, data, id }: Asked<"submit">): unknown {
    const same = this.#quests.all().find((state) => state.digest === data.digest);
    if (same) return { quest: same.id, resumed: true };
    refuseInSafeMode(this.#pauses.all, "quest");
    refuseBeyond(this.#quests.count);
    const { watch } = data.document;
    const watched = watch === undefined ? null : this.#quests.get(watch);
    const state = this.#commit(decideSubmit(data, this.#context(actor), watched), id);
    return { quest: state.id, resumed: false };
  }

  #cancel({ actor, data, id }: Asked<"cancel">): unknown {
    const state = this.#commit(
      decideCancel(this.#quests.get(data.quest), data.reason, this.#context(actor)),
      id,
    );
    return { quest: state.id, status: state.status };
  }

  /** What stands is halted at once: a report that comes with it must not begin another pass. */
  #pause({ actor, data, id }: Asked<"pause">): PauseAnswer {
    const { scope, why } = data;
    const changed = isStackScope(scope)
      ? this.#pauses.pause(actor, { scope, why }, id)
      : this.#changes(scope, (quest, context) => decidePause(quest, why, context), actor, id);
    this.#changed = true;
    this.#halt();
    return this.#pauseAnswer(scope, changed);
  }

  #resume({ actor, data: { scope }, id }: Asked<"resume">): PauseAnswer {
    const changed = isStackScope(scope)
      ? this.#pauses.resume(actor, scope, id)
      : this.#changes(scope, decideResume, actor, id);
    this.#changed = true;
    return this.#pauseAnswer(scope, changed);
  }

  #changes(
    quest: string,
    decide: (state: QuestState, context: DecideContext) => Draft,
    actor: Actor,
    id: string,
  ): boolean {
    const draft = decide(this.#quests.get(quest), this.#context(actor));
    this.#commit(draft, id);
    return draft.events.length > 0;
  }

  #pauseAnswer(scope: PauseScope, changed: boolean): PauseAnswer {
    const found = isStackScope(scope) ? this.#pauses.of(scope) : (this.#quests.get(scope).pause ?? null);
    const pause = found && { why: found.why, by: found.by, atMs: found.atMs };
    return { scope, paused: pause !== null, changed, pause };
  }

  #rule({ actor, data, id }: Asked<"rule">): unknown {
    const found = this.#quests.all().find((state) => state.escalation?.id === data.escalation);
    if (!found) {
      throw new QuestbusError({
        code: "ESCALATION_NOT_FOUND",
        message: `there is no open escalation ${data.escalation}`,
        next: "list the open ones: questbus escalations",
      });
    }
    const state = this.#commit(decideRule(found, data, this.#context(actor)), id);
    return { quest: state.id, escalation: data.escalation, decision: data.decision };
  }

  #requests(): RequestsAnswer | null {
    const offered = this.#quests.all().filter(({ halted }) => !halted);
    const open = offered.sort(inOrderOfArrival).flatMap((state) => requestOf(state) ?? []);
    return open.length > 0 ? { status: "open", requests: open.slice(0, limit.requestsMax) } : null;
  }

  #supply({ actor, data, id }: Asked<"supply">): unknown {
    refuseInSafeMode(this.#pauses.all, "candidate");
    const state = this.#commit(decideSupply(this.#quests.get(data.quest), data, this.#context(actor)), id);
    return { quest: state.id, pass: state.passes.length };
  }

  #context(actor: Actor): DecideContext {
    return { nowMs: this.#nowMs(), actor, newId: this.#random.id, newSeed: this.#random.seed };
  }

  #questOf(assignment: string): QuestState {
    return this.#quests.get(assignment.split(".")[0] ?? "");
  }

  #commit(draft: Draft, command: string | null): QuestState {
    const after = this.#quests.commit(draft, command);
    if (draft.events.length === 0) return after;
    this.#changed = true;
    this.#progress.changed(after);
    this.turns.changed(after);
    this.#memories.learn(draft.events, after);
    return after;
  }
}

const isStackScope = (scope: PauseScope): scope is StackScope => stackScope.safeParse(scope).success;
