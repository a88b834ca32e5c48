import { evidenceMatrix } from "@questbus/core";
import { type JournalEvent, type Principal, principals, QuestbusError, questId } from "@questbus/protocol";
import { z } from "zod";
import { pageOfText, resultCharsMax, type Told } from "./result.ts";
import { defineTool, page, type Tool } from "./tool.ts";

/** The tools that read what was committed. A role's agent sees where a quest stands; the record is for who answers for it. */

export const everyone: readonly Principal[] = principals;
export const overseers: readonly Principal[] = ["operator", "arbiter"];

const listQuests = defineTool({
  name: "list_quests",
  description: "List the quests, newest first.",
  hints: { readOnly: true },
  readers: everyone,
  input: page(100, 20),
  run({ cursor, limit: most }, { gateway }) {
    const quests = gateway.reads.quests({ limit: most + 1, before: cursor });
    return {
      data: quests.slice(0, most),
      foreign: true,
      nextCursor: quests.length > most ? quests[most - 1]?.id : undefined,
    };
  },
});

const parts = ["summary", "spec", "evidence"] as const;

const readQuest = defineTool({
  name: "read_quest",
  description:
    "Read where a quest stands: its summary, what it asks for (spec), or the evidence of each pass.",
  hints: { readOnly: true },
  readers: everyone,
  input: {
    quest: questId,
    part: z.enum(parts).default("summary"),
    cursor: z.string().regex(/^\d+$/).max(16).optional(),
  },
  run({ quest, part, cursor }, { gateway }) {
    const { state, summary } = gateway.reads.quest(quest);
    const found = { summary: () => summary, spec: () => state.spec, evidence: () => evidenceMatrix(state) };
    return pageOfText(found[part](), cursor);
  },
});

const readJournal = defineTool({
  name: "read_journal",
  description: "Read the journal's events, of one quest or all, oldest first.",
  hints: { readOnly: true },
  readers: overseers,
  input: { quest: questId.optional(), ...page(200, 50) },
  run({ quest, cursor, limit: most }, { gateway }) {
    if (quest) gateway.reads.quest(quest);
    const afterSeq = seqOf(cursor);
    return pageOfRows(gateway.reads.journal({ afterSeq, limit: most + 1, quest }), most);
  },
});

function seqOf(cursor: string | undefined): number {
  const seq = Number(cursor ?? 0);
  if (Number.isSafeInteger(seq) && seq >= 0) return seq;
  throw new QuestbusError({
    code: "MESSAGE_INVALID",
    message: "not a cursor of read_journal",
    where: "cursor",
    next: "give next_cursor as it was, or none to start anew",
  });
}

/** Characters of a row that is longer than a page. */
const excerptChars = 2_000;

/** As many rows as fit; one that is longer than a page is cut, and says so. */
export function pageOfRows(rows: readonly JournalEvent[], most: number): Told {
  const taken: object[] = [];
  let chars = 0;
  let last = 0;
  for (const row of rows.slice(0, most)) {
    const text = JSON.stringify(row);
    const isLong = text.length > resultCharsMax;
    const size = isLong ? 2 * excerptChars : text.length;
    if (taken.length > 0 && chars + size > resultCharsMax) break;
    const { body, ...head } = row;
    taken.push(
      isLong
        ? { ...head, body_excerpt: JSON.stringify(body).slice(0, excerptChars), chars: text.length }
        : row,
    );
    chars += size;
    last = row.seq;
  }
  return { data: taken, foreign: true, nextCursor: taken.length < rows.length ? `${last}` : undefined };
}

const listEscalations = defineTool({
  name: "list_escalations",
  description:
    "List what waits for a ruling, oldest first, each with its evidence and which decisions are allowed.",
  hints: { readOnly: true },
  readers: overseers,
  input: page(20, 5),
  run({ cursor, limit: most }, { gateway }) {
    const open = gateway.reads.escalations();
    const from = cursor === undefined ? 0 : open.findIndex(({ id }) => id === cursor) + 1;
    const data = open.slice(from, from + most);
    return { data, foreign: true, nextCursor: from + most < open.length ? data.at(-1)?.id : undefined };
  },
});

const listAgents = defineTool({
  name: "list_agents",
  description: "List the agents: what each holds, how far it is, and whether it is held off.",
  hints: { readOnly: true },
  readers: ["operator"],
  input: {},
  run: async (_, { gateway }) => ({ data: await gateway.reads.agents(), foreign: true }),
});

export const readTools: readonly Tool[] = [listQuests, readQuest, readJournal, listEscalations, listAgents];
