import { decideStackPause, decideStackResume, pausesIn } from "@questbus/core";
import type { Actor, CommandData, JournalEvent, NewEvent, StackPause, StackScope } from "@questbus/protocol";
import type { StoreReader, StoreWrites } from "@questbus/store";

/**
 * What is paused beyond single quests. The last row of the journal that changed it says all of it; a cursor names
 * that row, and is a projection like any other: a replay sets it too.
 */
const cursorName = "pauses";

/** The pauses of roles, of everything, and safe mode, as they stand. */
export function stackPauses(store: Pick<StoreReader, "getCursor" | "readJournal">): readonly StackPause[] {
  const seq = store.getCursor(cursorName);
  if (seq === 0) return [];
  const [row] = store.readJournal({ afterSeq: seq - 1, limit: 1 });
  return (row && pausesIn(row)) ?? [];
}

export function projectPauses(store: Pick<StoreWrites, "setCursor">, event: JournalEvent): void {
  if (pausesIn(event)) store.setCursor(cursorName, event.seq);
}

type PauseDeskParts = { nowMs: () => number; record(event: NewEvent, command: string | null): void };

/**
 * The part of the desk that knows these pauses. Invariant: I1 what is in memory is what the transaction wrote;
 * `rollback` makes it so again.
 */
export class PauseDesk {
  readonly #parts: PauseDeskParts;
  #now: readonly StackPause[];
  #before: readonly StackPause[];

  constructor(store: StoreReader, parts: PauseDeskParts) {
    this.#parts = parts;
    this.#now = stackPauses(store);
    this.#before = this.#now;
  }

  begin(): void {
    this.#before = this.#now;
  }

  rollback(): void {
    this.#now = this.#before;
  }

  get all(): readonly StackPause[] {
    return this.#now;
  }

  of(scope: StackScope): StackPause | null {
    return this.#now.find((each) => each.scope === scope) ?? null;
  }

  /** True when that changed anything. */
  pause(actor: Actor, data: CommandData["pause"] & { scope: StackScope }, command: string): boolean {
    return this.#commit(decideStackPause(this.#now, data, { actor, nowMs: this.#parts.nowMs() }), command);
  }

  resume(actor: Actor, scope: StackScope, command: string): boolean {
    return this.#commit(decideStackResume(this.#now, scope, actor), command);
  }

  #commit(event: NewEvent | null, command: string): boolean {
    if (!event) return false;
    this.#parts.record(event, command);
    this.#now = pausesIn(event) ?? [];
    return true;
  }
}
