import { applyBreaker, type Breaker, decideBreaker, permitOf, workEnds } from "@questbus/core";
import { type Actor, type JournalEvent, limit, type NewEvent } from "@questbus/protocol";
import { actorText, type StoreReads } from "@questbus/store";

/**
 * The part of the desk that knows whose work ended badly. Owns the breakers that are open or count; they are read back
 * from the last rows of the journal. Under a load that writes more of them within a pause, a start forgets it.
 *
 * Invariant: I1 what is in memory is what the transaction wrote; `rollback` makes it so again.
 */
type BreakerDeskParts = { nowMs: () => number; isHolding(agent: Actor): boolean };

const types = ["breaker.counted", "breaker.opened", "breaker.closed"] as const;

type Reader = Pick<StoreReads, "readJournal" | "head">;

/** The breakers of a store, by their agents: those that are open, or count. */
export function readBreakers(store: Reader): Map<string, Breaker> {
  const found = new Map<string, Breaker>();
  const afterSeq = Math.max(0, store.head().seq - limit.breakerRowsMax);
  const rows = types.flatMap((type) => store.readJournal({ afterSeq, type, limit: limit.breakerRowsMax }));
  for (const row of rows.sort((a, b) => a.seq - b.seq)) applyTo(found, row);
  return found;
}

function applyTo(breakers: Map<string, Breaker>, row: Pick<JournalEvent, "type" | "body" | "timeMs">): void {
  const { agent } = row.body as { agent: string };
  const after = applyBreaker(breakers.get(agent) ?? null, row);
  if (after) breakers.set(agent, after);
  else breakers.delete(agent);
}

export class BreakerDesk {
  readonly #parts: BreakerDeskParts;
  #breakers: Map<string, Breaker>;
  /** As it was before this transaction, once something changed. */
  #before: Map<string, Breaker> | null = null;

  constructor(store: Reader, parts: BreakerDeskParts) {
    this.#parts = parts;
    this.#breakers = readBreakers(store);
  }

  begin(): void {
    this.#before = null;
  }

  rollback(): void {
    if (this.#before) this.#breakers = this.#before;
    this.#before = null;
  }

  /** The events that follow from rows that were just appended. */
  take(rows: readonly JournalEvent[]): NewEvent[] {
    const moves: NewEvent[] = [];
    for (const row of rows)
      for (const end of workEnds(row)) {
        const move = decideBreaker(this.#breakers.get(end.agent) ?? null, end, row.timeMs);
        if (!move) continue;
        this.#before ??= new Map(this.#breakers);
        applyTo(this.#breakers, { ...move, timeMs: row.timeMs });
        moves.push(move);
      }
    return moves;
  }

  permit(agent: Actor): ReturnType<typeof permitOf> {
    const breaker = this.#breakers.get(actorText(agent)) ?? null;
    return permitOf(breaker, this.#parts.nowMs(), () => this.#parts.isHolding(agent));
  }

  /** When the next pause is over. */
  nextMs(): number {
    const nowMs = this.#parts.nowMs();
    let next = Number.POSITIVE_INFINITY;
    for (const { open } of this.#breakers.values())
      if (open && open.untilMs > nowMs) next = Math.min(next, open.untilMs);
    return next;
  }
}
