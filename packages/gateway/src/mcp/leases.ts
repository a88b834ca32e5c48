import { once } from "node:events";
import type { BusClient, Time } from "@questbus/bus";
import { type ClaimAnswer, errorRegistry, type Grant, limit, QuestbusError } from "@questbus/protocol";

/**
 * Leases that this process keeps for its clients: a model thinks for longer than a lease lasts.
 *
 * - L1: a lease is renewed until its client has not spoken of it for as long as it asked for, and no longer.
 * - L2: one that was reported, given back or lost is renewed no more.
 * - L3: an orderly end gives back what is held, so that another agent has it at once; what is still waited for is
 *   withdrawn, and given back where it was granted meanwhile.
 */
export type Held = { assignment: string; epoch: number; holdMs: number; grant: Grant | null };

export type Leases = {
  keep(held: Held): void;
  /** The client spoke of it: it is kept anew. Null: it is not kept here. */
  touch(assignment: string, epoch: number, holdMs?: number | undefined): Held | null;
  forget(assignment: string, epoch: number): void;
  /** A claim on its way: what it is granted, kept for its client or given back at the end. */
  awaiting(claimed: Promise<readonly Held[]>): void;
  close(): Promise<void>;
};

type Kept = Held & { untilMs: number };
const keyOf = (assignment: string, epoch: number): string => `${assignment} ${epoch}`;

export function openLeases(bus: () => Promise<BusClient>, time: Time): Leases {
  const kept = new Map<string, Kept>();
  const claims = new Set<Promise<readonly Held[]>>();
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
    awaiting(claimed) {
      claims.add(claimed);
      claimed.catch(() => {}).finally(() => claims.delete(claimed));
    },
    forget: (assignment, epoch) => void kept.delete(keyOf(assignment, epoch)),
    async close() {
      cancel?.();
      const granted = await withdrawn(claims, bus, time);
      const left = [...kept.values(), ...granted];
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

type Claims = ReadonlySet<Promise<readonly Held[]>>;

/** Ends the claims that wait: an agent waits once, so that one that waits for nothing ends them. Gives what was granted. */
async function withdrawn(claims: Claims, bus: () => Promise<BusClient>, time: Time): Promise<Held[]> {
  const waiting = [...claims];
  if (waiting.length === 0) return [];
  const options = { timeoutMs: closeMsMax, retryForMs: 0 };
  const last = async (): Promise<Held[]> =>
    heldOf((await (await bus()).request("claim", { waitMs: 0 }, options)) as ClaimAnswer, 0);
  const late = new AbortController();
  const cancel = time.after(closeMsMax, () => late.abort());
  const orLate = (claim: Promise<readonly Held[]>): Promise<readonly Held[]> =>
    Promise.race([claim, once(late.signal, "abort").then((): Held[] => [])]);
  const ended = await Promise.allSettled([last(), ...waiting].map(orLate));
  cancel();
  return ended.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
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
