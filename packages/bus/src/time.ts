/** The clock and the timers of a process; a simulation passes in its own. */
export type Time = {
  /** Milliseconds since 1970: what is written down. */
  nowMs(): number;
  /** Milliseconds that only go forward: what waiting is measured by. */
  steadyMs(): number;
  /** Calls `work` once the present turn of the event loop is over. */
  soon(work: () => void): void;
  /** Calls `work` after `ms`; the result takes that back. */
  after(ms: number, work: () => void): () => void;
};

export const systemTime: Time = {
  nowMs: () => Date.now(),
  steadyMs: () => performance.now(),
  soon: (work) => void setImmediate(work),
  after(ms, work) {
    const timer = setTimeout(work, ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or at once when the signal aborts. */
export function pause({ after }: Time, ms: number, signal?: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = after(ms, resolve);
  const stop = (): void => {
    cancel();
    resolve();
  };
  signal?.addEventListener("abort", stop, { once: true });
  return promise.finally(() => signal?.removeEventListener("abort", stop));
}
