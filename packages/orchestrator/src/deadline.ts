/**
 * What is due when, without looking at everything that waits: one list for each length of a wait. In such a list, what
 * was put in first is due first, so that the next one is at its head.
 */
export class Deadlines<Key> {
  readonly #lists = new Map<number, Map<Key, number>>();

  /** Due `waitMs` after `nowMs`, which is not before that of any key set earlier; one that is there already moves. */
  set(key: Key, nowMs: number, waitMs: number): void {
    const list = this.#lists.get(waitMs) ?? new Map<Key, number>();
    this.#lists.set(waitMs, list);
    list.delete(key);
    list.set(key, nowMs + waitMs);
  }

  has(key: Key, waitMs: number): boolean {
    return this.#lists.get(waitMs)?.has(key) ?? false;
  }

  /** `waitMs` as it was set. */
  delete(key: Key, waitMs: number): void {
    const list = this.#lists.get(waitMs);
    list?.delete(key);
    if (list?.size === 0) this.#lists.delete(waitMs);
  }

  nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const list of this.#lists.values()) {
      const [head] = list.values();
      if (head !== undefined && head < next) next = head;
    }
    return next;
  }

  /** Takes out what is due. */
  due(nowMs: number): Key[] {
    const found: Key[] = [];
    for (const [waitMs, list] of this.#lists) {
      for (const [key, dueMs] of list) {
        if (dueMs > nowMs) break;
        found.push(key);
        this.delete(key, waitMs);
      }
    }
    return found;
  }
}
