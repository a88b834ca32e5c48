import {
  type Fault,
  QuestbusError,
  type Stated,
  signOff,
  statedShape,
  suspicion,
  turnAnswerShape,
} from "@questbus/protocol";
import { z } from "zod";
import type { Outcome } from "./behaviour.ts";
import { clarification, stated } from "./stated.ts";
import type { TurnSaid } from "./turns.ts";

/** What a program's output answers: its last fenced block of JSON, else all of it where that is JSON. */

/** What a program may answer to an assignment; with a `result` it stands in the place of what was found. */
const taskAnswer = z.strictObject({
  result: z.unknown().optional(),
  summary: z.string().min(1).optional(),
  signOff: signOff.optional(),
  suspicions: z.array(suspicion).optional(),
});

/** What a program may answer to a turn: the three answer forms are the values of `status`. */
const turnAnswer = z.strictObject(turnAnswerShape);

/** A fenced block of any language; one that does not end has the rest of the output. */
const fence = /^[ \t]*```[ \t]*([^\s`]*)[^\r\n`]*\r?\n([\s\S]*?)(?:^[ \t]*```[ \t]*$|(?![\s\S]))/gm;

/**
 * The JSON of an output; undefined when there is none. What says that it is JSON has to be.
 *
 * @throws QuestbusError AGENT_COMMAND_FAILED
 */
function jsonIn(output: string, form: string): unknown {
  if (output.trim() === "") throw unreadable("it is empty", form);
  for (const [, language = "", text = ""] of [...output.matchAll(fence)].reverse()) {
    const isMarked = language.toLowerCase() === "json";
    if (language !== "" && !isMarked) continue;
    try {
      return JSON.parse(text);
    } catch (error) {
      if (isMarked) throw unreadable(`its block of JSON is none: ${(error as Error).message}`, form);
    }
  }
  try {
    return JSON.parse(output);
  } catch {
    return undefined;
  }
}

/** An answer to an ask that says how sure it is, and one that asks back. */
const statedAnswer = z.strictObject({ result: z.unknown(), ...statedShape });
const question = z.strictObject({ clarification: z.string().trim().min(1) });

const hasKey = (value: unknown, key: string): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key);

/**
 * To an ask: any JSON, or else its words; to print nothing is no answer. `{ result, certainty?, sources? }` with one of these two says how sure it is;
 * `{ clarification }` alone asks back.
 *
 * @throws QuestbusError CLARIFICATION_WANTED, AGENT_COMMAND_FAILED
 */
export function askAnswerIn(output: string): unknown {
  const found = jsonIn(output, askForm);
  if (found === undefined) return output.trim();
  const back = question.safeParse(found);
  if (back.success) throw clarification(back.data.clarification);
  if (!hasKey(found, "result") || (!hasKey(found, "certainty") && !hasKey(found, "sources"))) return found;
  const { result, ...said } = answerIn(statedAnswer, found, askForm);
  return stated(result, said as Stated);
}

/** To an assignment. @throws QuestbusError AGENT_COMMAND_FAILED */
export const taskAnswerIn = (output: string): Partial<Outcome> =>
  answerIn(taskAnswer, neededIn(output, taskForm), taskForm) as Partial<Outcome>;

/** To a turn. @throws QuestbusError AGENT_COMMAND_FAILED */
export const turnAnswerIn = (output: string): TurnSaid =>
  answerIn(turnAnswer, neededIn(output, turnForm), turnForm);

function neededIn(output: string, form: string): unknown {
  const found = jsonIn(output, form);
  if (found === undefined) throw unreadable("it holds no JSON", form);
  return found;
}

const taskForm = "{ summary, signOff, suspicions }";
const turnForm = "{ status, message, files, certainty, sources, next, change }";
const askForm = "words, or { result, certainty, sources }";

function answerIn<T>(schema: z.ZodType<T>, found: unknown, form: string): T {
  const read = schema.safeParse(found);
  if (read.success) return read.data;
  const why = read.error.issues.map((issue) => `${issue.path.join(".") || "answer"}: ${issue.message}`);
  throw unreadable(why.join("; "), form);
}

const unreadable = (why: string, form: string): QuestbusError =>
  new QuestbusError({
    code: "AGENT_COMMAND_FAILED",
    message: `the answer of the agent's command cannot be read: ${why}`,
    next: `let it print ${form} as JSON, with nothing behind it or in a fenced block`,
  } satisfies Fault);
