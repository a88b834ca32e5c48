/**
 * What is recorded of a storm: the first of each sender one by one, those beyond in a count, said at once and then once a
 * window.
 *
 * Invariants: T1 each that is taken is either kept by its caller or in a count; T2 of a sender at most `keptMax` are kept in
 * a window, and one count is said; T3 the first of a sender is kept, and the first that is counted is said at once.
 */
export type Counted<T> = { readonly sender: string; readonly count: number; readonly last: T };

type Sender<T> = {
  /** When its window began, and how many were kept since. */
  sinceMs: number;
  kept: number;
  /** Not said yet. */
  count: number;
  last: T;
  saidMs: number;
};

export class Tally<T> {
  readonly #bounds: { keptMax: number; windowMs: number };
  readonly #senders = new Map<string, Sender<T>>();

  constructor(bounds: { keptMax: number; windowMs: number }) {
    this.#bounds = bounds;
  }

  /** True: it is to be kept; else it was counted. */
  take(sender: string, each: T, nowMs: number): boolean {
    const found = this.#senderOf(sender, each, nowMs);
    if (nowMs >= found.sinceMs + this.#bounds.windowMs) {
      found.sinceMs = nowMs;
      found.kept = 0;
    }
    if (found.kept < this.#bounds.keptMax) {
      found.kept += 1;
      return true;
    }
    found.count += 1;
    found.last = each;
    return false;
  }

  /** Counts that were taken out and could not be said: they are said later. */
  putBack(counts: readonly Counted<T>[], nowMs: number): void {
    for (const { sender, count, last } of counts) this.#senderOf(sender, last, nowMs).count += count;
  }

  /** Takes out the counts that are due; with `all` those that are not, too. A sender that was silent is forgotten. */
  due(nowMs: number, all = false): Counted<T>[] {
    const counts: Counted<T>[] = [];
    for (const [sender, found] of this.#senders) {
      const { count, last, saidMs, sinceMs } = found;
      if (count > 0 && (all || nowMs >= saidMs + this.#bounds.windowMs)) {
        counts.push({ sender, count, last });
        found.count = 0;
        found.saidMs = nowMs;
      } else if (count === 0 && nowMs >= Math.max(saidMs, sinceMs) + this.#bounds.windowMs)
        this.#senders.delete(sender);
    }
    return counts;
  }

  /** When the next count is due. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { count, saidMs } of this.#senders.values())
      if (count > 0) next = Math.min(next, saidMs + this.#bounds.windowMs);
    return next;
  }

  #senderOf(sender: string, last: T, nowMs: number): Sender<T> {
    const known = this.#senders.get(sender);
    if (known) return known;
    const fresh = { sinceMs: nowMs, kept: 0, count: 0, last, saidMs: Number.NEGATIVE_INFINITY };
    this.#senders.set(sender, fresh);
    return fresh;
  }
}
