import { randomUUID } from "node:crypto";
import type { BusClient } from "@questbus/bus";
import {
  type ClaimAnswer,
  type CommandData,
  type Grant,
  QuestbusError,
  roles,
  type Verb,
} from "@questbus/protocol";
import type { BareStack } from "@questbus/testkit";
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

const claimWaitMs = 2_000;

export async function startAgents(stack: BareStack): Promise<Agents> {
  const stopping = new AbortController();
  const answered: Answered[] = [];
  const lives = await Promise.all(
    roles.map(async (role) => live(await stack.clientAs(role), answered, stopping.signal)),
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

/** Sends a command until it is answered; null when it was refused. */
export async function insist<V extends Verb>(
  client: BusClient,
  verb: V,
  data: CommandData[V],
  { id = randomUUID(), signal }: Sending = {},
): Promise<unknown> {
  try {
    return await client.request(verb, data, { id, retryForMs: Number.POSITIVE_INFINITY, signal });
  } catch (error) {
    if (signal?.aborted || !(error instanceof QuestbusError)) throw error;
    return null;
  }
}

function live(client: BusClient, answered: Answered[], signal: AbortSignal): { ended: Promise<void> } {
  const report = async (grant: Grant, id: string): Promise<void> => {
    const given = reportIn(grant);
    if (given === null) return;
    const data = await insist(client, "report", given, { id, signal });
    answered.push({ id, verb: "report", yes: data !== null });
  };
  const turn = async (count: number): Promise<void> => {
    const claimId = randomUUID();
    const found = (await insist(
      client,
      "claim",
      { waitMs: claimWaitMs },
      { id: claimId, signal },
    )) as ClaimAnswer | null;
    if (found?.status !== "granted") return;
    answered.push({ id: claimId, verb: "claim", yes: true });
    const id = randomUUID();
    await Promise.all([report(found.grant, id), ...(count % 5 === 0 ? [report(found.grant, id)] : [])]);
    if (count % 7 === 0) await report(found.grant, randomUUID());
  };
  const run = async (): Promise<void> => {
    await insist(client, "hello", { incarnation: randomUUID(), pid: process.pid }, { signal });
    for (let count = 1; !signal.aborted; count += 1) await turn(count);
  };
  const ended = run().catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return { ended };
}
