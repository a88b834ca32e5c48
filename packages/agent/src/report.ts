import { randomUUID } from "node:crypto";
import { type BusClient, pause, systemTime, type Time } from "@questbus/bus";
import { type CommandData, QuestbusError } from "@questbus/protocol";
import type { Spool } from "./spool.ts";

/** How long an agent keeps trying to reach the orchestrator before it gives a report up. */
const patienceMs = 60_000;
const overloadedPauseMs = 500;

type Way = {
  client: BusClient;
  time?: Time | undefined;
  newId?: (() => string) | undefined;
  signal?: AbortSignal | undefined;
  /** Where the report stands until it is answered. */
  spool?: Spool | undefined;
};

/**
 * Sends a report; gives its answer. A full queue says nothing of the report: it is sent again, as the same command, until
 * there is another answer.
 */
export async function sendReport(
  way: Way,
  report: CommandData["report"],
  id: string = (way.newId ?? randomUUID)(),
): Promise<unknown> {
  way.spool?.put(id, report);
  try {
    const answer = await untilTaken(way, report, id);
    way.spool?.drop(id);
    return answer;
  } catch (error) {
    if (error instanceof QuestbusError && !error.retryable) way.spool?.drop(id);
    throw error;
  }
}

/** Sends what an earlier try, or an earlier process of this agent, got no answer for: as the same command, so that it counts once. */
export async function resendReports(way: Way & { spool: Spool }): Promise<void> {
  for (const { id, report } of way.spool.list())
    await sendReport(way, report, id).catch((error: unknown) => {
      // It was refused: the lease was over, say, and somebody else has the work.
      if (!(error instanceof QuestbusError) || error.retryable) throw error;
    });
}

async function untilTaken(
  { client, time = systemTime, signal }: Way,
  report: CommandData["report"],
  id: string,
): Promise<unknown> {
  const options = { id, retryForMs: patienceMs, ...(signal ? { signal } : {}) };
  for (;;) {
    try {
      return await client.request("report", report, options);
    } catch (error) {
      if (!(error instanceof QuestbusError) || error.code !== "OVERLOADED") throw error;
    }
    await pause(time, overloadedPauseMs, signal);
    signal?.throwIfAborted();
  }
}
