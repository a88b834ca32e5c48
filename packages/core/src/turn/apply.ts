import type { NewEvent } from "@questbus/protocol";
import type { QuestState } from "../quest/state.ts";
import { applyTurn, heldTurn } from "./state.ts";

/** The quest after an event of its conversation. A turn that is handed on leaves nothing of a candidate that was not taken. */
export function withTurn(state: QuestState, event: Pick<NewEvent, "type" | "body" | "actor">): QuestState {
  const next = { ...state, conversation: applyTurn(state.conversation, event) };
  if (event.type !== "turn.offered") return next;
  const last = state.passes.length - 1;
  return {
    ...next,
    passes: state.passes.map((pass, at) => (at === last ? { ...pass, candidate: null } : pass)),
  };
}

/** The quest goes on after it was halted: its turn has the time that it had. */
export function withHeldTurn(state: QuestState, nowMs: number): QuestState {
  const { conversation, halted } = state;
  return conversation && halted
    ? { ...state, conversation: heldTurn(conversation, nowMs - halted.atMs) }
    : state;
}
