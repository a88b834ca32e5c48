import type { BusClient } from "@questbus/bus";
import { errorRegistry, type Grant, type JournalRow, limit, QuestbusError } from "@questbus/protocol";
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
  /** Renews no more. */
  end(): void;
};

/** What may end a lease that its holder did not give back itself. */
const mayEnd: readonly JournalRow["type"][] = ["quest.ended", "pass.judged", "lease.expired"];

type Holder = { client: BusClient; log: Logger };

export function keepLease({ client, log }: Holder, { assignment, epoch, brief }: Grant): Lease {
  const lost = new AbortController();
  let questEnded = false;
  let unwatch: (() => void) | null = null;
  let over = false;
  const renew = async (): Promise<void> => {
    try {
      await client.request("renew", { assignment, epoch }, { timeoutMs: limit.renewEveryMs });
    } catch (error) {
      // A full disk, say, is no word on the lease.
      if (!(error instanceof QuestbusError) || errorRegistry[error.code].class !== "terminal") return;
      if (over || lost.signal.aborted) return;
      log.warn({ assignment, epoch, code: error.code }, "lease lost");
      lost.abort();
    }
  };
  const hear = ({ type }: JournalRow): void => {
    if (over || !mayEnd.includes(type)) return;
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
    end() {
      over = true;
      clearInterval(renewing);
      unwatch?.();
    },
  };
}
