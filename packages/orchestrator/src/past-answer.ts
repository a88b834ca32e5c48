import {
  type AskState,
  approvalAnswer,
  approvalOf,
  askGrant,
  grantOf,
  memoryIdOf,
  type QuestState,
} from "@questbus/core";
import {
  type Answer,
  type JournalEvent,
  limit,
  type PauseAnswer,
  type PauseScope,
  type Role,
} from "@questbus/protocol";
import type { StoreWrites } from "@questbus/store";
import { completedOn } from "./memory-desk.ts";
import { isFinal, isForeignId } from "./refusal.ts";

/**
 * What a command was answered with, as its rows in the journal give it: where the stored answers are lost, one that comes
 * again is answered all the same, and never done a second time.
 *
 * Not every answer follows from the first row: `ask`, and a report on asks, are answered from the ask as it stands, and a
 * letter that was retried or dropped is refused because it is not open any more. What the broker refused stands under
 * the name of whom it refused, not of who told it: told again, it is recorded again.
 */
type Past = { state: QuestState | null; asks: readonly AskState[] };

/** `state`, `asks`: the quest, or the asks, after the event. */
export function rememberPast(tx: StoreWrites, event: JournalEvent, past: Past): void {
  const { command: id, actor, seq } = event;
  // An answer is its sender's alone; what the orchestrator found on the way says nothing of the sender.
  if (id === null || actor.role === "orchestrator" || isForeignId(id, actor)) return;
  const answer = pastAnswer(event, past, tx);
  // The rows of a command stand together, and the first that has an answer is the one that it was sent for.
  if (answer && !tx.answerOf(id)) tx.rememberAnswer(id, actor, answer, seq);
}

function pastAnswer(event: JournalEvent, past: Past, tx: StoreWrites): Answer | null {
  if (event.type === "command.refused") return refused(event.body);
  const data = dataOf(event, past, tx);
  return data === null ? null : { ok: true, seq: event.seq, data };
}

/** Null: it was to be sent again, and then carried out. */
function refused({ code, message }: { code: string; message: string }): Answer | null {
  const faults = [{ code, message }];
  return isFinal(faults) ? { ok: false, faults, retryable: false } : null;
}

function dataOf(event: JournalEvent, { state, asks }: Past, tx: StoreWrites): object | null {
  switch (event.type) {
    case "agent.joined":
    case "agent.left":
    case "agent.revoked":
    case "assignment.noted":
    case "assignment.released":
    case "ask.released":
    case "task.reported":
      return {};
    case "ask.claimed":
      return { status: "asked", leaseMs: limit.leaseMs, asks: asks.map(askGrant) };
    case "stack.paused":
    case "stack.resumed":
      return pauseAnswer(event.body.scope, event);
    case "memory.kept":
      return { memory: memoryIdOf(event.seq), isNew: true, suspected: event.body.suspected };
    case "memory.forgotten":
      return { memory: event.body.memory };
    default:
      return state && ofQuest(event, state, tx);
  }
}

/** A row of a pause is there only where it changed something. */
function pauseAnswer(scope: PauseScope, { body, actor, timeMs }: JournalEvent): PauseAnswer {
  const pause = "why" in body ? { why: body.why, by: actor.name, atMs: timeMs } : null;
  return { scope, paused: pause !== null, changed: true, pause };
}

function ofQuest(event: JournalEvent, state: QuestState, tx: StoreWrites): object | null {
  switch (event.type) {
    case "quest.submitted":
      return { quest: state.id, resumed: false };
    case "assignment.claimed":
      return { status: "granted", grant: completedOn(tx, state, grantOf(state, event.actor.role as Role)) };
    case "candidate.supplied":
      return { quest: state.id, pass: state.passes.length };
    case "ruling.made":
      return { quest: state.id, escalation: event.body.escalation, decision: event.body.decision };
    case "turn.answered":
      return { quest: state.id, turn: event.body.turn };
    case "approval.opened":
    case "approval.granted":
    case "approval.denied":
      return approvalAnswer(approvalOf(state, event.body.approval));
    case "quest.paused":
    case "quest.resumed":
      return pauseAnswer(state.id, event);
    case "quest.ended":
      return { quest: state.id, status: state.status };
    default:
      return null;
  }
}
