import { randomUUID } from "node:crypto";
import type { BusClient } from "@questbus/bus";
import { askAnswer, certaintyText } from "@questbus/core";
import {
  type AskAnswer,
  exitCode,
  type Fault,
  limit,
  type PendingAsk,
  type Phase,
  QuestbusError,
  type Role,
  type Routing,
} from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { stateDirDefault } from "./option.ts";
import { note, printData, printFaults, printJson, textLines } from "./output.ts";
import { withStack, withStore } from "./session.ts";

/** `waitMs`: how long the answer is waited for; null has no end. */
type Wanted = { phases: Phase[]; data?: unknown; waitMs: number | null };
/** Without a role, the words choose it; `why` shows how. */
export type AskOptions = Wanted & { role?: Role | undefined; why?: boolean };

/** An answer that takes longer than this is announced. */
const quickMs = 1_000;

/**
 * `questbus ask TEXT [--role ROLE]`: asks an agent of the running stack, waits, and prints what each phase found. Who
 * waits is told for whom; a wait that is over ends with the ask as it is, `pending`.
 */
export async function askRole(text: string, options: AskOptions, common: Common): Promise<number> {
  const { role, why } = options;
  const to = role ? { role } : (await import("./route.ts")).routeRequest(text, why);
  if (role && why) note(`asks ${role}: --role says so`);
  const stack = { stateDir: common.state, running: "required", signal: common.signal } as const;
  return withStack(stack, async (session) => {
    const operator = await session.clientAs("operator");
    const answer = await asked(operator, text, { ...options, ...to }, common.signal);
    return told(answer, to, common);
  });
}

/** `questbus activate EVENT`: asks each role that names the event, all at once, and prints what they found. */
export async function activateRoles(
  event: string,
  text: string | undefined,
  options: Wanted,
  common: Common,
): Promise<number> {
  const { routeTrigger } = await import("./route.ts");
  const { roles, routing } = routeTrigger(event);
  const words = text ? `${event}: ${text}` : event;
  const stack = { stateDir: common.state, running: "required", signal: common.signal } as const;
  return withStack(stack, async (session) => {
    const operator = await session.clientAs("operator");
    const exits = roles.map(async (role) => {
      const answer = await asked(operator, words, { ...options, role, routing }, common.signal);
      if (!common.json) printData(`${role}:`);
      return told(answer, { role, routing }, common);
    });
    return Math.max(...(await Promise.all(exits)));
  });
}

type To = { role: Role; routing?: Routing };

async function asked(
  operator: BusClient,
  text: string,
  { role, routing, phases, data, waitMs: waitMsMax }: Wanted & To,
  signal: AbortSignal,
): Promise<AskAnswer> {
  // One id: each try waits for the same answer.
  const id = randomUUID();
  const untilMs = waitMsMax === null ? Number.POSITIVE_INFINITY : performance.now() + waitMsMax;
  let said = "";
  for (let tryMs: number = quickMs; ; tryMs = limit.claimWaitMsMax) {
    const waitMs = Math.max(0, Math.ceil(Math.min(tryMs, untilMs - performance.now())));
    const command = { role, phases, text, data: data ?? null, ...(routing ? { routing } : {}), waitMs };
    const answer = (await operator.request("ask", command, { id, signal })) as AskAnswer;
    if (answer.status !== "pending" || performance.now() >= untilMs) return answer;
    const why = waitingLines(answer, role);
    if (why.join() !== said) note(...why);
    said = why.join();
  }
}

/** Why there is no answer yet. */
function waitingLines({ ask, phase, holder, takers, takes }: PendingAsk, role: Role): string[] {
  const stop = "Ctrl-C stops waiting";
  if (holder) return [`asked ${ask}; ${holder} has it, in phase ${phase}; ${stop}`];
  if (takers) return [`asked ${ask}; the agents of role ${role} that take phase ${phase} are busy; ${stop}`];
  const [what, why, only] =
    takes.length > 0
      ? [`phase ${phase}`, `those there are take ${takes.join(", ")}`, ` --phases ${phase}`]
      : ["asks", "the built-in agents take none", ""];
  return [
    `asked ${ask}; no agent of role ${role} takes ${what} at present: ${why}. Bring one:`,
    `  questbus agent run --role ${role}${only} -- COMMAND`,
    `It waits up to a day for one (docs/asks.md); ${stop}`,
  ];
}

/** `questbus ask --id ID`: how an ask stands in the stored state, answered or not; nobody waits. */
export function showAsk(id: string, common: Common): number {
  return withStore(common.state, (store) => {
    const ask = store.getAsk(id);
    if (ask) return told(askAnswer(ask, []), { role: ask.role }, common);
    throw new QuestbusError({
      code: "ASSIGNMENT_NOT_FOUND",
      message: `there is no ask ${id} in ${common.state}`,
      next: "take the id as questbus ask printed it; --state names another folder",
    });
  });
}

function told(answer: AskAnswer, to: To, common: Common): number {
  const { json } = common;
  if (answer.status === "failed") {
    printFaults([answer.fault], json);
    return exitCode.failure;
  }
  if (answer.status === "pending") tellPending(answer, to, common);
  else if (json) printJson(to.routing ? { ...answer, ...to } : answer);
  else if (answer.status === "clarification") tellMissing(answer.fault);
  else tellResults(answer);
  return answer.status === "answered" ? exitCode.ok : exitCode.failure;
}

/** And how to read its answer later. Who could take it is no news any more by then. */
function tellPending({ ask, status, phase, holder }: PendingAsk, to: To, { json, state }: Common): void {
  const folder = state === stateDirDefault ? "" : ` --state ${state}`;
  const next = `questbus ask --id ${ask}${folder}`;
  if (json) return printJson({ ask, status, phase, holder, next, ...(to.routing ? to : {}) });
  printData(`pending ${ask}`);
  note(`  next: ${next}`);
}

/** The results alone on stdout; how sure they are beside them. */
function tellResults({ results, stated = [] }: Extract<AskAnswer, { status: "answered" }>): void {
  for (const [at, result] of results.entries()) {
    printData(...textOf(result).split("\n"));
    note(certaintyText(stated[at] ?? {}));
  }
}

/** There is no answer, and no error either: the agent wants to know more, or could not say by what it knows. */
function tellMissing({ code, message, next }: Fault): void {
  printData(...textLines(`clarification ${code}: ${message}`));
  if (next) note(`  next: ${next}`);
}

const textOf = (result: unknown): string =>
  typeof result === "string" ? result : JSON.stringify(result, null, 2);
