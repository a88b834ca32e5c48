import {
  type AskState,
  applyAsk,
  askAnswer,
  askGrant,
  askIdOf,
  askPhase,
  asksIn,
  asksToGrant,
  decideAsk,
  decideExpireAsks,
  decideOutcome,
  decideReleaseAsk,
  decideTake,
  decideTooOld,
  heldAsk,
  isOver,
  returnOf,
} from "@questbus/core";
import {
  type Actor,
  type AskAnswer,
  type AskGrant,
  type AskReport,
  type AskReportAnswer,
  type CommandData,
  faultsOf,
  type JournalEvent,
  limit,
  type NewEvent,
  type Phase,
  phases,
  QuestbusError,
} from "@questbus/protocol";
import type { Store, StoreWrites } from "@questbus/store";
import { Deadlines } from "./deadline.ts";
import { projectAsk } from "./projection.ts";

/**
 * The part of the desk that answers for asks. Owns the states of those that are not over, and when their leases are:
 * an orchestrator that starts anew gives every holder a whole lease, so that a due time on disk would be read by nobody,
 * and would cost two writes a phase.
 *
 * Invariant: I1 what is in memory is what the transaction wrote; `rollback` makes it so again.
 */
type AskDeskParts = {
  nowMs: () => number;
  append(events: readonly NewEvent[], command: string | null): JournalEvent[];
  /** One outcome of a report was refused. */
  refused(actor: Actor, error: QuestbusError, command: string): void;
  /** Throws where no new ask is taken. */
  admit(): void;
  /** The phases of asks that agents of the role wait for. */
  awaited(role: string): Iterable<Phase>;
};

export class AskDesk {
  readonly #parts: AskDeskParts;
  #tx: StoreWrites | null = null;
  #open = new Map<string, AskState>();
  /** By role, those that wait longest first. */
  #offered = new Map<string, Map<string, AskState>>();
  /** How many of them are in each phase. */
  #inPhase = new Map<string, Map<Phase, number>>();
  /** Held by somebody, by role, with the phases that its holder takes. */
  #leased = new Map<string, Map<string, readonly Phase[]>>();
  #leases = new Deadlines<string>();
  #before = new Map<string, AskState | null>();
  #ended: AskState[] = [];

  constructor(store: Store, parts: AskDeskParts) {
    this.#parts = parts;
    this.#fill(store.openAsks());
  }

  begin(tx: StoreWrites): void {
    this.#tx = tx;
    this.#before.clear();
    this.#ended = [];
  }

  rollback(): void {
    if (this.#before.size === 0) return;
    for (const [id, state] of this.#before) {
      if (state) this.#open.set(id, state);
      else this.#open.delete(id);
    }
    this.#before.clear();
    this.#ended = [];
    this.#fill([...this.#open.values()].sort((a, b) => a.seq - b.seq));
  }

  /** Those that ended in this transaction. */
  get ended(): readonly AskState[] {
    return this.#ended;
  }

  /** Asks that are not over. */
  get openCount(): number {
    return this.#open.size;
  }

  /** How many wait in each phase. */
  offered(role: string): ReadonlyMap<Phase, number> {
    return this.#inPhase.get(role) ?? new Map();
  }

  /** What is answered to who asked, as it stands: of an agent that takes a phase, that it waits for asks, or holds one. */
  told(ask: AskState): AskAnswer {
    if (isOver(ask)) return askAnswer(ask, []);
    const held = this.#leased.get(ask.role)?.values() ?? [];
    const taken = new Set([...this.#parts.awaited(ask.role), ...[...held].flat()]);
    return askAnswer(
      ask,
      phases.filter((phase) => taken.has(phase)),
    );
  }

  /** The same, of one that is not over. */
  toldOf(id: string): AskAnswer {
    return this.told(this.#open.get(id) as AskState);
  }

  /** The ask as it stands, with the same command as before too. */
  ask(actor: Actor, data: CommandData["ask"], command: string): AskState {
    const id = askIdOf(actor, command);
    const known = this.#find(id);
    if (known) return known;
    this.#parts.admit();
    return this.#commit([decideAsk(id, data, this.#open.size, actor)], command)[0] as AskState;
  }

  take(actor: Actor, wanted: number, takes: readonly Phase[], command: string): AskGrant[] {
    const { role } = actor;
    if (!takes.some((phase) => this.offered(role).get(phase))) return [];
    const asks = asksToGrant(this.#offered.get(role)?.values() ?? [], wanted, takes);
    if (asks.length === 0) return [];
    const taken = this.#commit([decideTake(asks, actor)], command);
    for (const { id } of taken) this.#leased.get(role)?.set(id, takes);
    return taken.map(askGrant);
  }

  /** Each outcome counts for itself; when none does, the report is refused with all reasons. */
  report(actor: Actor, { asks }: AskReport, command: string): AskReportAnswer {
    const refusals: QuestbusError[] = [];
    const answers = asks.map((outcome): AskReportAnswer["asks"][number] => {
      const { assignment } = outcome;
      try {
        const before = this.#find(assignment);
        const event = decideOutcome(before, outcome, actor, command);
        const state = (event ? this.#commit([event], command)[0] : before) as AskState;
        if (isOver(state)) return { status: "ended", assignment };
        const held = { assignment, epoch: state.epoch, phase: askPhase(state) as Phase };
        const missing = held.phase === outcome.phase ? returnOf(state, command) : undefined;
        return missing ? { status: "clarification", ...held, fault: missing } : { status: "next", ...held };
      } catch (error) {
        if (!(error instanceof QuestbusError) || error.faults.length === 0) throw error;
        refusals.push(error);
        return { status: "refused", assignment, fault: { ...(error.faults[0] as (typeof error.faults)[0]) } };
      }
    });
    const faults = refusals.flatMap((each) => faultsOf(each));
    const [first, ...rest] = faults;
    if (first && refusals.length === asks.length) throw new QuestbusError(first, ...rest);
    for (const each of refusals) this.#parts.refused(actor, each, command);
    return { asks: answers };
  }

  renew(actor: Actor, lease: CommandData["renew"]): void {
    const { id } = heldAsk(this.#find(lease.assignment), lease, actor);
    this.#leases.set(id, this.#parts.nowMs(), limit.leaseMs);
  }

  release(actor: Actor, data: CommandData["release"], command: string | null): void {
    this.#commit(decideReleaseAsk(this.#find(data.assignment), data, actor), command);
  }

  /** Its leases are over. */
  forget(agent: Actor, reason: string): void {
    this.#commit(decideExpireAsks(this.heldBy(agent), reason), null);
  }

  /** Who holds it now. */
  holderOf(id: string): Actor | null {
    const ask = this.#open.get(id);
    return ask?.status === "leased" ? { role: ask.role, name: ask.agent ?? "" } : null;
  }

  heldBy({ role, name }: Actor): AskState[] {
    return [...this.#open.values()].filter(
      (ask) => ask.status === "leased" && ask.role === role && ask.agent === name,
    );
  }

  /** When the next lease is over, or the oldest ask too old. */
  nextMs(): number {
    const [oldest] = this.#open.values();
    return Math.min(
      this.#leases.nextMs(),
      oldest ? oldest.askedMs + limit.askLifeMs : Number.POSITIVE_INFINITY,
    );
  }

  /** Ends what is over by now. */
  expire(): void {
    const nowMs = this.#parts.nowMs();
    if (this.nextMs() > nowMs) return;
    const lost = this.#leases.due(nowMs).flatMap((id) => this.#open.get(id) ?? []);
    // Also when it brings no event: what was taken out of the leases comes back by a rollback.
    for (const ask of lost) this.#remember(ask.id);
    this.#commit(decideExpireAsks(lost, "the lease was not renewed"), null);
    const old: AskState[] = [];
    for (const ask of this.#open.values()) {
      if (ask.askedMs + limit.askLifeMs > nowMs) break;
      old.push(ask);
    }
    this.#commit(decideTooOld(old), null);
  }

  #find(id: string): AskState | null {
    return this.#open.get(id) ?? this.#store.getAsk(id);
  }

  get #store(): StoreWrites {
    if (!this.#tx) throw new TypeError("the desk works inside a transaction only");
    return this.#tx;
  }

  #remember(id: string): void {
    if (!this.#before.has(id)) this.#before.set(id, this.#open.get(id) ?? null);
  }

  /** Gives the asks after each event that is about them. */
  #commit(events: readonly NewEvent[], command: string | null): AskState[] {
    if (events.length === 0) return [];
    return this.#parts.append(events, command).flatMap((row) =>
      asksIn(row).map((id) => {
        this.#remember(id);
        const after = applyAsk(this.#open.get(id) ?? null, row, id);
        projectAsk(this.#store, row, after);
        this.#set(after);
        return after;
      }),
    );
  }

  #set(ask: AskState): void {
    const { id, role, status } = ask;
    if (isOver(ask)) {
      this.#open.delete(id);
      this.#ended.push(ask);
    } else this.#open.set(id, ask);
    this.#offer(ask);
    const leased = this.#leased.get(role) ?? new Map<string, readonly Phase[]>();
    this.#leased.set(role, leased);
    // What a holder takes is known from its claim alone: after a restart it is believed to take all.
    if (status === "leased") leased.set(id, leased.get(id) ?? phases);
    else leased.delete(id);
    if (status === "leased") this.#leases.set(id, this.#parts.nowMs(), limit.leaseMs);
    else this.#leases.delete(id, limit.leaseMs);
  }

  #offer(ask: AskState): void {
    const { id, role, status } = ask;
    const offered = this.#offered.get(role) ?? new Map<string, AskState>();
    const inPhase = this.#inPhase.get(role) ?? new Map<Phase, number>();
    this.#offered.set(role, offered);
    this.#inPhase.set(role, inPhase);
    const count = (each: AskState, by: 1 | -1): void => {
      const phase = askPhase(each) as Phase;
      inPhase.set(phase, (inPhase.get(phase) ?? 0) + by);
    };
    const before = offered.get(id);
    if (before) count(before, -1);
    if (status === "offered") {
      offered.set(id, ask);
      count(ask, 1);
    } else offered.delete(id);
  }

  #fill(asks: readonly AskState[]): void {
    this.#open = new Map();
    this.#offered = new Map();
    this.#inPhase = new Map();
    this.#leased = new Map();
    this.#leases = new Deadlines();
    for (const ask of asks) this.#set(ask);
  }
}
