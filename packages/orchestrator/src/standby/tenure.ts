import type { LeaderLease, Time } from "@questbus/bus";
import { limit } from "@questbus/protocol";
import type { Logger } from "pino";

/**
 * A leader's own count of its lease, on a clock that only goes forward: it ends before the broker lets another one in, also
 * for a process that was stopped meanwhile.
 */
export type Tenure = {
  /** Looked at before anything is written or said; when it is over, the process ends. */
  isHeld(): boolean;
  /** Renews no more. */
  stop(): void;
};

type Parts = {
  lease: LeaderLease;
  /** When the lease was asked for. */
  takenMs: number;
  time: Time;
  log: Logger;
  /** The lease is over, or somebody else's. */
  onLost(why: string): void;
};

const ownMs = limit.leaderLeaseMs - limit.leaderMarginMs;

export function openTenure({ lease, takenMs, time, log, onLost }: Parts): Tenure {
  let untilMs = takenMs + ownMs;
  let stopped = false;
  const isHeld = (): boolean => {
    if (!stopped && time.steadyMs() >= untilMs) lose("the lease is over");
    return !stopped;
  };
  const lose = (why: string): void => {
    if (stopped) return;
    stopped = true;
    onLost(why);
  };
  const renew = async (): Promise<void> => {
    if (!isHeld()) return;
    const sentMs = time.steadyMs();
    try {
      if (!(await lease.renew())) return lose("the lease is another node's");
      untilMs = sentMs + ownMs;
    } catch (error) {
      log.warn({ err: error }, "the lease was not renewed");
    }
    plan();
  };
  const plan = (): void => void time.after(limit.leaderRenewEveryMs, () => void renew());
  plan();
  return {
    isHeld,
    stop() {
      stopped = true;
    },
  };
}
