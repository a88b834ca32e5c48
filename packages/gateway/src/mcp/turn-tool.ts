import {
  type ConversationEntry,
  limit,
  type MonitorAnswer,
  questId,
  type ReadAnswer,
  role,
  turnAnswerShape,
} from "@questbus/protocol";
import { z } from "zod";
import { resultCharsMax, type Told } from "./result.ts";
import { defineTool, idempotencyKey, page, send, sendAndWait, type Tool } from "./tool.ts";

/** The tools of an agent that takes turns in a quest's conversation: wait for a turn, read, answer. */

/** What every client waits for. */
const monitorWaitMsMost = 45_000;

const monitor = defineTool({
  name: "monitor_turn",
  description:
    "Wait for your turn in a conversation. Answers: yours (turn and brief); waiting (whose turn it is): call again; ended.",
  hints: {},
  verb: "monitor",
  input: {
    quest: questId.optional().describe("any, without it"),
    wait_ms: z.int().min(0).max(monitorWaitMsMost).default(20_000),
  },
  async run({ quest, wait_ms: waitMs }, call) {
    const told = sendAndWait(call, "monitor", { ...(quest ? { quest } : {}), waitMs });
    call.leases.awaiting(told);
    const [answer] = (await told) as [MonitorAnswer, unknown];
    return { data: answer, foreign: answer.status === "yours" };
  },
});

const read = defineTool({
  name: "read_conversation",
  description: "Read what was said in a quest's conversation, oldest first, page by page.",
  hints: { readOnly: true },
  verb: "read",
  input: { quest: questId, ...page(limit.turnsReadMax, 50) },
  async run({ quest, cursor, limit: most }, call) {
    const after = Number(/^\d{1,15}$/.exec(cursor ?? "0")?.[0] ?? Number.NaN);
    const found = (await send(call, "read", { quest, after, limit: most })) as ReadAnswer;
    return pageOfEntries(found);
  },
});

/** As many entries as fit; of a long patch the beginning: it is named by its turn, and need not be copied. */
export function pageOfEntries({ entries, next }: ReadAnswer): Told {
  const taken: object[] = [];
  let chars = 0;
  let last = 0;
  for (const each of entries) {
    const shown = shortened(each);
    chars += JSON.stringify(shown).length;
    if (taken.length > 0 && chars > resultCharsMax)
      return { data: taken, foreign: true, nextCursor: `${last}` };
    taken.push(shown);
    last = each.seq;
  }
  return { data: taken, foreign: true, nextCursor: next === null ? undefined : `${next}` };
}

const patchCharsMax = 8_000;

function shortened(entry: ConversationEntry): object {
  if (entry.kind !== "answer" || !entry.change || !("patch" in entry.change)) return entry;
  const { patch } = entry.change;
  if (patch.length <= patchCharsMax) return entry;
  return { ...entry, change: { patch_excerpt: patch.slice(0, patchCharsMax), chars: patch.length } };
}

const { status, message, files, certainty, sources, change } = turnAnswerShape;

const answer = defineTool({
  name: "answer_turn",
  description:
    "Answer your turn. A worker's goes back to the leader. The leader names the next worker, or ends it: completed with a change, or blocked.",
  hints: { idempotent: true },
  verb: "respond",
  input: {
    ...{ quest: questId, turn: z.int().min(1), status, message },
    files: files.describe("exactly those of the change's diff"),
    certainty: certainty.describe("below 0.95 name a source"),
    sources: sources.describe("path:line, URL, $ command or sha256:HASH"),
    next: role.optional(),
    change: change.describe("a unified diff against last known-good, or the change of an earlier turn"),
    idempotency_key: idempotencyKey,
  },
  async run({ idempotency_key: key, next, ...given }, call) {
    const told = await send(call, "respond", { ...given, next: next ?? null }, key);
    return { data: { ...(told as object), status: "stored", next: "call monitor_turn" } };
  },
});

export const turnTools: readonly Tool[] = [monitor, read, answer];
