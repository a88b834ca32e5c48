import { assignmentOf, type EventBody, limit, type Role } from "@questbus/protocol";
import { type DecideContext, type Draft, emit } from "./draft.ts";
import { currentPass, type QuestState } from "./state.ts";

/** The claim of an assignment, and what it is given beyond its task. */

/** Ids of memories, and files of the quest's base. */
export type Given = Pick<EventBody["context.given"], "memories" | "files">;

/** `given`: where the role has not been given anything in this pass. */
export function decideClaim(
  state: QuestState,
  role: Role,
  context: DecideContext,
  given: Given | null = null,
): Draft {
  const draft: Draft = { state, events: [], context };
  const assignment = state.assignments[role];
  if (assignment.status !== "offered" || state.halted) return draft;
  const body = {
    assignment: assignmentOf(state.id, role),
    agent: context.actor.name,
    epoch: assignment.epoch + 1,
  };
  if (given) give(draft, role, given);
  emit(draft, "assignment.claimed", body, "caller");
  return draft;
}

/** Adds what the role is given now. */
function give(draft: Draft, role: Role, given: Given): void {
  const { id, base, passes } = draft.state;
  const assignment = assignmentOf(id, role);
  emit(draft, "context.given", { assignment, pass: passes.length, commit: base.commit, ...given });
}

/** What the holder of an assignment looked up; what it was given before is not said again, nor what is beyond the bound. */
export function decideGive(
  state: QuestState,
  role: Role,
  memories: readonly string[],
  context: DecideContext,
): Draft {
  const draft: Draft = { state, events: [], context };
  const before = currentPass(state)?.given?.[role] ?? [];
  const room = Math.max(0, limit.memoriesOfPassMax - before.length);
  const fresh = memories.filter((each) => !before.includes(each)).slice(0, room);
  if (fresh.length > 0) give(draft, role, { memories: fresh, files: [] });
  return draft;
}
