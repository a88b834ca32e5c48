import { type Fault, QuestbusError, signOff, suspicion } from "@questbus/protocol";
import { z } from "zod";
import type { Outcome } from "./behaviour.ts";

/** What a program's output answers: its last fenced block of JSON, else all of it where that is JSON. */

/** What a program may answer to an assignment; with a `result` it stands in the place of what was found. */
const taskAnswer = z.strictObject({
  result: z.unknown().optional(),
  summary: z.string().min(1).optional(),
  signOff: signOff.optional(),
  suspicions: z.array(suspicion).optional(),
});

const fence = /^[ \t]*```(?:json)?[ \t]*\r?\n([\s\S]*?)^[ \t]*```[ \t]*$/gm;

/** The JSON of an output; undefined when there is none. */
function jsonIn(output: string): unknown {
  const fenced = [...output.matchAll(fence)].map(([, text = ""]) => text).reverse();
  for (const text of [...fenced, output]) {
    try {
      return JSON.parse(text);
    } catch {}
  }
  return undefined;
}

/** To an ask, any JSON, or else its words. */
export const askAnswerIn = (output: string): unknown => jsonIn(output) ?? output.trim();

/** To an assignment. @throws QuestbusError AGENT_COMMAND_FAILED */
export function taskAnswerIn(output: string): Partial<Outcome> {
  const found = jsonIn(output);
  if (found === undefined) throw unreadable("it holds no JSON");
  const read = taskAnswer.safeParse(found);
  if (read.success) return read.data as Partial<Outcome>;
  throw unreadable(
    read.error.issues.map((issue) => `${issue.path.join(".") || "answer"}: ${issue.message}`).join("; "),
  );
}

const unreadable = (why: string): QuestbusError =>
  new QuestbusError({
    code: "AGENT_COMMAND_FAILED",
    message: `the answer of the agent's command cannot be read: ${why}`,
    next: "let it print { summary, signOff, suspicions } as JSON, with nothing behind it or in a fenced block",
  } satisfies Fault);
