import { randomUUID } from "node:crypto";
import { type BusClient, pause, systemTime, type Time } from "@questbus/bus";
import { type CommandData, QuestbusError } from "@questbus/protocol";

/** How long an agent keeps trying to reach the orchestrator before it gives a report up. */
const patienceMs = 60_000;
const overloadedPauseMs = 500;

type Way = {
  client: BusClient;
  time?: Time | undefined;
  newId?: (() => string) | undefined;
  signal?: AbortSignal | undefined;
};

/**
 * Sends a report; gives its answer. A full queue says nothing of the report: it is sent again, as the same command, until
 * there is another answer.
 */
export async function sendReport(
  { client, time = systemTime, newId = randomUUID, signal }: Way,
  report: CommandData["report"],
): Promise<unknown> {
  const options = { id: newId(), retryForMs: patienceMs, ...(signal ? { signal } : {}) };
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
