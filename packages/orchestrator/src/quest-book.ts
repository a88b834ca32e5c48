import { applyEvent, type Draft, isEnded, type QuestState, requestOf } from "@questbus/core";
import { type JournalEvent, type NewEvent, type Principal, QuestbusError, roles } from "@questbus/protocol";
import type { Store, StoreWrites } from "@questbus/store";
import { openProjection, type Projection, setTimers } from "./projection.ts";

type Append = (events: readonly NewEvent[], command: string | null, timeMs: number) => JournalEvent[];

/** Two of the same millisecond stand in the order of their ids, also after a restart. */
export const inOrderOfArrival = (a: QuestState, b: QuestState): number =>
  a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1);

/**
 * The part of the desk that owns the states of the quests that have not ended, and what they offer.
 *
 * Invariant: I1 what is in memory is what the transaction wrote; `rollback` makes it so again.
 */
export class QuestBook {
  #turn: { tx: StoreWrites; projection: Projection } | null = null;
  readonly #append: Append;
  #active = new Map<string, QuestState>();
  #before = new Map<string, QuestState | null>();
  /** What the quests offer, counted anew after one of them changed, or was put back. */
  #offers: ReadonlyMap<Principal, number> | null = null;

  constructor(store: Store, append: Append) {
    this.#append = append;
    for (const state of store.unfinishedQuests() as QuestState[]) this.#active.set(state.id, state);
  }

  begin(tx: StoreWrites): void {
    this.#turn = { tx, projection: openProjection(tx, (quest) => this.#before.get(quest) ?? null) };
    this.#before.clear();
  }

  /** The end of a transaction: what it changed is written where it is read. */
  settle(): void {
    this.#open.projection.flush();
  }

  rollback(): void {
    for (const [id, state] of this.#before) {
      if (state) this.#active.set(id, state);
      else this.#active.delete(id);
    }
    this.#before.clear();
    this.#offers = null;
  }

  get #open(): { tx: StoreWrites; projection: Projection } {
    if (!this.#turn) throw new TypeError("the desk works inside a transaction only");
    return this.#turn;
  }

  get count(): number {
    return this.#active.size;
  }

  /** Those that have not ended. */
  all(): QuestState[] {
    return [...this.#active.values()];
  }

  /** One that has not ended. */
  find(id: string): QuestState | undefined {
    return this.#active.get(id);
  }

  /** Whether one is there, ended or not. */
  knows(id: string): boolean {
    return this.#active.has(id) || this.#open.tx.getQuestState(id) !== null;
  }

  /** One that is there, ended or not; else it throws. */
  get(id: string): QuestState {
    const state = this.#active.get(id) ?? (this.#open.tx.getQuestState(id) as QuestState | null);
    if (state) return state;
    throw new QuestbusError({
      code: "QUEST_NOT_FOUND",
      message: `there is no quest ${id}`,
      next: "list them: questbus list",
    });
  }

  /** How much work there is for each role: assignments, or candidates that are asked for. */
  offers(): ReadonlyMap<Principal, number> {
    if (this.#offers) return this.#offers;
    const offers = new Map<Principal, number>();
    for (const state of this.#active.values()) {
      if (state.halted) continue;
      // Every one who waits for requests gets all of them.
      if (requestOf(state)) offers.set("worker", Number.POSITIVE_INFINITY);
      for (const role of roles)
        if (state.assignments[role].status === "offered") offers.set(role, (offers.get(role) ?? 0) + 1);
    }
    this.#offers = offers;
    return offers;
  }

  /** Appends a decision's events and takes them for projection; gives the state after them. */
  commit(draft: Draft, command: string | null): QuestState {
    const { state } = draft;
    if (draft.events.length === 0) return state;
    const before = this.#active.get(state.id) ?? null;
    if (!this.#before.has(state.id)) this.#before.set(state.id, before);
    const rows = this.#append(draft.events, command, draft.context.nowMs);
    const { tx, projection } = this.#open;
    let current = before;
    for (const row of rows) {
      current = applyEvent(current, row);
      projection.take(row, current);
      setTimers(tx, row, current);
    }
    this.#offers = null;
    const after = current as QuestState;
    if (isEnded(after)) this.#active.delete(after.id);
    else this.#active.set(after.id, after);
    return after;
  }
}
