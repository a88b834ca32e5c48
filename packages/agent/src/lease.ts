import { type BusClient, systemTime, type Time } from "@questbus/bus";
import {
  errorRegistry,
  faultsOf,
  type Grant,
  type JournalRow,
  leaseEvents,
  limit,
  QuestbusError,
} from "@questbus/protocol";
import type { Logger } from "pino";

/**
 * The lease of one task, as its holder keeps it: renewed until the task is over, and given up at once when it is lost.
 *
 * That it is lost is told by a refused renewal alone. Events of the quest are a reason to ask before the next renewal is
 * due, so that a cancelled quest does not wait for it; one that is lost, or comes twice, changes nothing.
 */
export type Lease = {
  /** Aborts when the lease is over. */
  readonly lost: AbortSignal;
  /** The quest has ended: nothing of it is worked on any more. */
  readonly questEnded: boolean;
  /**
   * Resolves while the last renewal that was answered is surely good; else it asks. An agent that was paused wakes without
   * knowing how long: it does nothing before it has asked.
   *
   * @throws QuestbusError LEASE_STALE or what else ended the lease; BUS_UNAVAILABLE when nobody can say for a minute
   */
  confirm(): Promise<void>;
  /** Something was done; it goes with the next renewal. */
  worked(): void;
  /** The same, and what is done now, for people. */
  step(text: string): void;
  /** Renews no more. */
  end(): void;
};

/** Where an agent says what became of its work. */
export type Log = Pick<Logger, "info" | "warn" | "error">;

type Holder = { client: BusClient; log: Log; time?: Time | undefined };

/** How long an agent keeps asking whether it still holds its lease. */
const patienceMs = 60_000;

export function keepLease(
  { client, log, time = systemTime }: Holder,
  { assignment, epoch, brief }: Grant,
): Lease {
  let questEnded = false;
  let unwatch: (() => void) | null = null;
  let over = false;
  const lost = new AbortController();
  const progress = { step: brief.task as string, count: 0 };
  /** Until when the lease is surely held, by this process's own clock. */
  let sureUntilMs = Number.NEGATIVE_INFINITY;
  const ask = async (retryForMs?: number): Promise<void> => {
    const sentMs = time.steadyMs();
    try {
      await client.request(
        "renew",
        { assignment, epoch, progress: { ...progress } },
        { timeoutMs: limit.renewEveryMs, retryForMs },
      );
      sureUntilMs = Math.max(sureUntilMs, sentMs + limit.leaseMs);
    } catch (error) {
      // A full disk, say, is no word on the lease.
      const isOver = error instanceof QuestbusError && errorRegistry[error.code].class === "terminal";
      if (isOver && !over) lose(error);
      throw error;
    }
  };
  const lose = (error: unknown): void => {
    if (lost.signal.aborted) return;
    log.warn({ assignment, epoch, faults: faultsOf(error) }, "lease lost");
    lost.abort(error);
  };
  const renew = (): Promise<void> => ask().catch(() => {});
  const hear = ({ type }: JournalRow): void => {
    // A bus of one's own may tell more than this.
    if (over || !leaseEvents.some((each) => each === type)) return;
    questEnded ||= type === "quest.ended";
    void renew();
  };
  const watch = async (): Promise<void> => {
    const stop = await client.watchEvents({ quest: brief.quest }, hear);
    if (over) return stop();
    unwatch = stop;
    // What happened between the grant and now was not heard.
    await renew();
  };
  watch().catch((error: unknown) => log.warn({ err: error, assignment }, "events are not heard"));
  const renewing = setInterval(renew, limit.renewEveryMs);
  return {
    lost: lost.signal,
    get questEnded() {
      return questEnded;
    },
    worked() {
      progress.count += 1;
    },
    step(text) {
      progress.count += 1;
      progress.step = text.slice(0, limit.stepCharsMax);
    },
    async confirm() {
      lost.signal.throwIfAborted();
      if (time.steadyMs() < sureUntilMs) return;
      await ask(patienceMs).catch((error: unknown) => {
        // What cannot store a renewal cannot have given the work to another either.
        if (!(error instanceof QuestbusError) || errorRegistry[error.code].class !== "person") lose(error);
      });
      lost.signal.throwIfAborted();
    },
    end() {
      over = true;
      clearInterval(renewing);
      unwatch?.();
    },
  };
}
