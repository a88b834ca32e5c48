import type { BusClient, Time } from "@questbus/bus";
import { type ClaimAnswer, errorRegistry, type Grant, limit, QuestbusError } from "@questbus/protocol";

/**
 * Leases that this process keeps for its clients: a model thinks for longer than a lease lasts.
 *
 * - L1: a lease is renewed until its client has not spoken of it for as long as it asked for, and no longer.
 * - L2: one that was reported, given back or lost is renewed no more.
 * - L3: an orderly end gives back what is held, so that another agent has it at once; it waits for the calls that
 *   withdraw what they wait for.
 */
export type Held = { assignment: string; epoch: number; holdMs: number; grant: Grant | null };

export type Leases = {
  keep(held: Held): void;
  /** The client spoke of it: it is kept anew. Null: it is not kept here. */
  touch(assignment: string, epoch: number, holdMs?: number | undefined): Held | null;
  forget(assignment: string, epoch: number): void;
  /** A call that waits for something to do, and withdraws when its client has gone. */
  awaiting(call: Promise<unknown>): void;
  close(): Promise<void>;
};

type Kept = Held & { untilMs: number };
const keyOf = (assignment: string, epoch: number): string => `${assignment} ${epoch}`;

export function openLeases(bus: () => Promise<BusClient>, time: Time): Leases {
  const kept = new Map<string, Kept>();
  const calls = new Set<Promise<unknown>>();
  let cancel: (() => void) | null = null;

  const renew = async ({ assignment, epoch }: Kept): Promise<void> => {
    try {
      const client = await bus();
      await client.request("renew", { assignment, epoch }, { timeoutMs: limit.renewEveryMs, retryForMs: 0 });
    } catch (error) {
      const isOver = error instanceof QuestbusError && errorRegistry[error.code].class === "terminal";
      if (isOver) kept.delete(keyOf(assignment, epoch));
    }
  };
  const look = (): void => {
    const nowMs = time.steadyMs();
    for (const [key, each] of kept) {
      if (each.untilMs <= nowMs) kept.delete(key);
      else void renew(each);
    }
    cancel = kept.size > 0 ? time.after(limit.renewEveryMs, look) : null;
  };

  return {
    keep(held) {
      kept.set(keyOf(held.assignment, held.epoch), { ...held, untilMs: time.steadyMs() + held.holdMs });
      cancel ??= time.after(limit.renewEveryMs, look);
    },
    touch(assignment, epoch, holdMs) {
      const found = kept.get(keyOf(assignment, epoch));
      if (!found) return null;
      found.holdMs = holdMs ?? found.holdMs;
      found.untilMs = time.steadyMs() + found.holdMs;
      return found;
    },
    awaiting(call) {
      calls.add(call);
      call.catch(() => {}).finally(() => calls.delete(call));
    },
    forget: (assignment, epoch) => void kept.delete(keyOf(assignment, epoch)),
    async close() {
      const late = Promise.withResolvers<void>();
      const inTime = time.after(closeMsMax, late.resolve);
      await Promise.race([Promise.allSettled(calls), late.promise]);
      inTime();
      cancel?.();
      const left = [...kept.values()];
      kept.clear();
      const giveBack = async ({ assignment, epoch }: Held): Promise<void> => {
        const data = { assignment, epoch, reason: "the MCP client has gone" };
        await (await bus()).request("release", data, { timeoutMs: closeMsMax, retryForMs: 0 });
      };
      // One that cannot be given back runs out by itself.
      await Promise.allSettled(left.map(giveBack));
    },
  };
}

/** The leases that a claim was answered with. */
export function heldOf(answer: ClaimAnswer, holdMs: number): Held[] {
  if (answer.status === "none") return [];
  const held = answer.status === "granted" ? [answer.grant] : answer.asks;
  const grant = answer.status === "granted" ? answer.grant : null;
  return held.map(({ assignment, epoch }) => ({ assignment, epoch, holdMs, grant }));
}

/** Clients end a server that is still there some seconds after its input ended. */
const closeMsMax = 3_000;
