import { randomUUID } from "node:crypto";
import { type AskAnswer, exitCode, limit, type Phase, type Role } from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { note, printData, printFaults, printJson } from "./output.ts";
import { withStack } from "./session.ts";

/** `waitMs`: how long the answer is waited for; null has no end. */
export type AskOptions = { role: Role; phases: Phase[]; data?: unknown; waitMs: number | null };

/** An answer that takes longer than this is announced. */
const quickMs = 1_000;

/**
 * `questbus ask TEXT --role ROLE`: asks an agent of the running stack, waits, and prints what each phase found. Who
 * waits is told for whom; a wait that is over ends with the ask as it is, `pending`.
 */
export async function askRole(
  text: string,
  { role, phases, data, waitMs: waitMsMax }: AskOptions,
  common: Common,
): Promise<number> {
  const options = { stateDir: common.state, running: "required", signal: common.signal } as const;
  return withStack(options, async (session) => {
    const operator = await session.clientAs("operator");
    // One id: each try waits for the same answer.
    const id = randomUUID();
    const untilMs = waitMsMax === null ? Number.POSITIVE_INFINITY : performance.now() + waitMsMax;
    for (let tryMs: number = quickMs; ; tryMs = limit.claimWaitMsMax) {
      const waitMs = Math.max(0, Math.ceil(Math.min(tryMs, untilMs - performance.now())));
      const asked = { role, phases, text, data: data ?? null, waitMs };
      const answer = (await operator.request("ask", asked, { id, signal: common.signal })) as AskAnswer;
      if (answer.status === "pending" && performance.now() < untilMs) {
        if (tryMs === quickMs) note(waitingText(answer.ask, role));
        continue;
      }
      return told(answer, common);
    }
  });
}

const waitingText = (ask: string, role: Role): string =>
  `asked ${ask}; waiting for an agent of role ${role} that takes asks (docs/asks.md); Ctrl-C stops waiting`;

function told(answer: AskAnswer, { json }: Common): number {
  if (answer.status === "failed") {
    printFaults([answer.fault], json);
    return exitCode.failure;
  }
  if (json) printJson(answer);
  else if (answer.status === "pending") printData(`pending ${answer.ask}`);
  else for (const result of answer.results) printData(textOf(result));
  return answer.status === "pending" ? exitCode.failure : exitCode.ok;
}

const textOf = (result: unknown): string =>
  typeof result === "string" ? result : JSON.stringify(result, null, 2);
