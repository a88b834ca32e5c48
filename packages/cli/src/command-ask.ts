import { randomUUID } from "node:crypto";
import { certaintyText } from "@questbus/core";
import { type AskAnswer, exitCode, type Fault, limit, type Phase, type Role } from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { note, printable, printData, printFaults, printJson } from "./output.ts";
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
        if (tryMs === quickMs) note(waitingText(answer, role));
        continue;
      }
      return told(answer, common);
    }
  });
}

const waitingText = ({ ask, takers }: Extract<AskAnswer, { status: "pending" }>, role: Role): string =>
  takers
    ? `asked ${ask}; an agent of role ${role} is at work; Ctrl-C stops waiting`
    : `asked ${ask}; no agent of role ${role} takes asks at present: the built-in agents take none. Bring one:\n  questbus agent run --role ${role} -- COMMAND\nIt waits up to a day for one (docs/asks.md); Ctrl-C stops waiting`;

function told(answer: AskAnswer, { json }: Common): number {
  if (answer.status === "failed") {
    printFaults([answer.fault], json);
    return exitCode.failure;
  }
  if (json) printJson(answer);
  else if (answer.status === "pending") printData(`pending ${answer.ask}`);
  else if (answer.status === "clarification") tellMissing(answer.fault);
  else tellResults(answer);
  return answer.status === "answered" ? exitCode.ok : exitCode.failure;
}

/** The results alone on stdout; how sure they are beside them. */
function tellResults({ results, stated = [] }: Extract<AskAnswer, { status: "answered" }>): void {
  for (const [at, result] of results.entries()) {
    printData(textOf(result));
    note(printable(certaintyText(stated[at] ?? {})));
  }
}

/** There is no answer, and no error either: the agent wants to know more, or could not say by what it knows. */
function tellMissing({ code, message, next }: Fault): void {
  printData(`clarification ${code}: ${printable(message)}`);
  if (next) note(`  next: ${printable(next)}`);
}

const textOf = (result: unknown): string =>
  typeof result === "string" ? result : JSON.stringify(result, null, 2);
