import {
  type Actor,
  type CommandData,
  type EventBody,
  isShared,
  limit,
  type Memory,
  redactText,
} from "@questbus/protocol";
import { refuse } from "../quest/draft.ts";
import type { QuestState } from "../quest/state.ts";
import { suspectedIn } from "./learn.ts";

/** The id of the memory that came with this row of the journal, and back. */
export const memoryIdOf = (seq: number): string => `m-${seq}`;
export const memorySeqOf = (id: string): number => Number(id.slice("m-".length));

/**
 * What is kept of a `remember`.
 *
 * @param state the quest whose assignment an agent holds; null: an operator's.
 * @param ofQuest how many memories of this role came with that quest.
 */
export function decideRemember(
  data: CommandData["remember"],
  { role }: Actor,
  state: QuestState | null,
  ofQuest: number,
): EventBody["memory.kept"] {
  if (ofQuest >= limit.memoriesOfQuestMax) {
    refuse(
      "MEMORY_FULL",
      `${role} has ${limit.memoriesOfQuestMax} memories of this quest`,
      "keep what matters most: a quest takes no more of one role",
    );
  }
  const text = redactText(data.text);
  const tags = data.tags.map(redactText);
  const project = isShared(data.kind) ? null : (state?.spec.target.repo ?? data.project ?? null);
  if (project === null && !isShared(data.kind)) {
    refuse(
      "MESSAGE_INVALID",
      `a memory of kind ${data.kind} is of a project`,
      "name its repository",
      "project",
    );
  }
  const suspected = suspectedIn(text, tags);
  return { kind: data.kind, text, tags, project, quest: state?.id ?? null, about: null, suspected };
}

/** The memory that is to be forgotten. @throws QuestbusError MEMORY_NOT_FOUND */
export function memoryThere(memory: Memory | null, id: string): Memory {
  return (
    memory ?? refuse("MEMORY_NOT_FOUND", `there is no memory ${id}`, "list them: questbus memory search")
  );
}
