import { randomUUID } from "node:crypto";
import { type AskAnswer, exitCode, limit, type Phase, type Role } from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { printData, printFaults, printJson } from "./output.ts";
import { withStack } from "./session.ts";

export type AskOptions = { role: Role; phases: Phase[]; data?: unknown };

/** `questbus ask TEXT --role ROLE`: asks an agent of the running stack, waits, and prints what each phase found. */
export async function askRole(
  text: string,
  { role, phases, data }: AskOptions,
  common: Common,
): Promise<number> {
  const options = { stateDir: common.state, running: "required", signal: common.signal } as const;
  return withStack(options, async (session) => {
    const operator = await session.clientAs("operator");
    // One id: each try waits for the same answer.
    const id = randomUUID();
    for (;;) {
      const waitMs = limit.claimWaitMsMax;
      const asked = { role, phases, text, data: data ?? null, waitMs };
      const answer = (await operator.request("ask", asked, { id, signal: common.signal })) as AskAnswer;
      if (answer.status === "pending") continue;
      if (answer.status === "failed") {
        printFaults([answer.fault], common.json);
        return exitCode.failure;
      }
      if (common.json) printJson(answer);
      else for (const result of answer.results) printData(textOf(result));
      return exitCode.ok;
    }
  });
}

const textOf = (result: unknown): string =>
  typeof result === "string" ? result : JSON.stringify(result, null, 2);
