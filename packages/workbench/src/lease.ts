import { AsyncLocalStorage } from "node:async_hooks";

/**
 * The lease that work is done under. It goes along with the asynchronous context instead of the arguments: whatever starts
 * a process or lays a tree out has to ask for it, however deep below a task, and one call that forgot to pass it on would
 * be a hole.
 */
export type WorkLease = {
  /**
   * Resolves when the lease is held. It is asked before every effect: a process that was paused, and wakes when its work
   * has long been given to another, does nothing more.
   *
   * @throws what says that the lease is over, or that nobody can be asked
   */
  confirm(): Promise<void>;
  /** Told of each process that was started and has ended, and of what commands print. */
  worked(): void;
  /** Aborts when the work is to end; processes end with it. */
  readonly signal: AbortSignal;
  /** The first part of the mark of its processes, see {@link openProcessTree}. */
  readonly owner: string;
};

const held = new AsyncLocalStorage<WorkLease>();

/** Does `work` under a lease. */
export const underLease = <T>(lease: WorkLease, work: () => Promise<T>): Promise<T> => held.run(lease, work);

/** Null outside of any: admission, say, which works for the operator. */
export const workLease = (): WorkLease | null => held.getStore() ?? null;

/** Before an effect, see {@link WorkLease.confirm}; outside of a lease nothing has to be asked. */
export async function confirmLease(): Promise<void> {
  const lease = workLease();
  if (!lease) return;
  lease.signal.throwIfAborted();
  await lease.confirm();
  // Asking may take long, and who listens to the signal from here on would not hear that it came meanwhile.
  lease.signal.throwIfAborted();
  lease.worked();
}
