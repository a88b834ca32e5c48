import { randomUUID } from "node:crypto";
import type { BusClient } from "@questbus/bus";
import {
  type ClaimAnswer,
  type CommandData,
  type Grant,
  limit,
  type Principal,
  QuestbusError,
  roles,
  type Verb,
} from "@questbus/protocol";
import type { Answered } from "./invariant.ts";
import { reportIn } from "./scenario.ts";

/**
 * Four agents that do in no time what their quest's scenario says, over the real bus. They ask again for ever, as the
 * product's own do; now and then they also send a report twice at once, or once more when they hold nothing any more.
 */
export type Agents = {
  /** Commands that were answered and should have left a row. */
  readonly answered: Answered[];
  stop(): Promise<void>;
};

export async function startAgents(clientAs: (role: Principal) => Promise<BusClient>): Promise<Agents> {
  const stopping = new AbortController();
  const answered: Answered[] = [];
  const lives = await Promise.all(
    roles.map(async (role) => ({
      ended: liveAsAgent({
        client: await clientAs(role),
        answered,
        signal: stopping.signal,
        newId: randomUUID,
      }),
    })),
  );
  return {
    answered,
    async stop() {
      stopping.abort();
      await Promise.all(lives.map(({ ended }) => ended));
    },
  };
}

type Sending = { id?: string; signal?: AbortSignal };

/**
 * Sends a command until it is answered; null when it was refused. A full disk is no refusal: a copy of the message that
 * is still on its way may be carried out.
 */
export async function insist<V extends Verb>(
  client: BusClient,
  verb: V,
  data: CommandData[V],
  { id = randomUUID(), signal }: Sending = {},
): Promise<unknown> {
  for (;;) {
    try {
      return await client.request(verb, data, { id, retryForMs: Number.POSITIVE_INFINITY, signal });
    } catch (error) {
      if (signal?.aborted || !(error instanceof QuestbusError)) throw error;
      if (error.code !== "DISK_FULL") return null;
    }
  }
}

type Life = {
  client: BusClient;
  answered: Answered[];
  signal: AbortSignal;
  newId: () => string;
  /** What it says of itself; this process by default. */
  pid?: number;
  /** How long a task takes; false: it is forgotten, and never reported. */
  work?: (grant: Grant) => Promise<boolean>;
};

/** Says hello, then claims and reports until the signal aborts. */
export async function liveAsAgent({
  client,
  answered,
  signal,
  newId,
  pid = process.pid,
  work = async () => true,
}: Life): Promise<void> {
  const report = async (grant: Grant, id: string): Promise<void> => {
    const given = reportIn(grant);
    if (given === null) return;
    const data = await insist(client, "report", given, { id, signal });
    answered.push({ id, verb: "report", yes: data !== null });
  };
  let forgotten: Grant | null = null;
  const turn = async (count: number): Promise<void> => {
    const claimId = newId();
    const found = (await insist(
      client,
      "claim",
      { waitMs: limit.claimWaitMsMax },
      { id: claimId, signal },
    )) as ClaimAnswer | null;
    if (found?.status !== "granted") return;
    answered.push({ id: claimId, verb: "claim", yes: true });
    const stale = forgotten;
    forgotten = null;
    // It comes back to mind when the work is held anew: under a lease that is over.
    if (stale) await report(stale, newId());
    if (!(await work(found.grant))) forgotten = found.grant;
    if (forgotten || signal.aborted) return;
    const id = newId();
    await Promise.all([report(found.grant, id), ...(count % 5 === 0 ? [report(found.grant, id)] : [])]);
    if (count % 7 === 0) await report(found.grant, newId());
  };
  try {
    await insist(client, "hello", { incarnation: newId(), pid }, { id: newId(), signal });
    for (let count = 1; !signal.aborted; count += 1) await turn(count);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
