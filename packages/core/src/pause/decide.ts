import type { Actor, NewEvent, StackPause, StackScope } from "@questbus/protocol";
import { awaitedApproval, isApproved } from "../approval/approval.ts";
import { type DecideContext, type Draft, emit, refuse } from "../quest/draft.ts";
import { goOn, startPass } from "../quest/follow.ts";
import { isEnded, type QuestState } from "../quest/state.ts";
import { isSupplied } from "../supply/supply.ts";
import { isPassDue, type Withheld } from "./withheld.ts";

/**
 * The decisions on pauses. Invariants: I1 pausing what is paused, and resuming what is not, changes nothing; I2 a halted
 * quest offers nothing and begins no pass; I3 the time for which it was halted is added to its deadline, once
 * where it waited for an approval in it, too.
 */

export function decidePause(state: QuestState, why: string, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  refuseEnded(state, "paused");
  if (!state.pause) emit(draft, "quest.paused", { why }, "caller");
  return draft;
}

export function decideResume(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  refuseEnded(state, "resumed");
  if (state.pause) emit(draft, "quest.resumed", {}, "caller");
  return draft;
}

function refuseEnded(state: QuestState, what: string): void {
  if (!isEnded(state)) return;
  refuse(
    "QUEST_ENDED",
    `quest ${state.id} has ended, and cannot be ${what}: ${state.status}`,
    "see those that have not: questbus list",
  );
}

/** A quest that runs and may not go on stands from now on. */
export function decideHalt(state: QuestState, withheld: Withheld, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (state.status !== "running" || state.halted || withheld.kind !== "pause") return draft;
  emit(draft, "quest.halted", { scope: withheld.scope, why: withheld.why });
  return draft;
}

/** Nothing keeps it any more: it goes on where it stood, also with a pass that was due, or with what was supplied. */
export function decideContinue(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (!state.halted) return draft;
  // What an approval keeps since is added when it is decided on.
  const untilMs = awaitedApproval(state)?.openedMs ?? context.nowMs;
  const stoodMs = Math.max(0, untilMs - state.halted.atMs);
  emit(draft, "quest.continued", { deadlineMs: (state.deadlineMs ?? context.nowMs) + stoodMs });
  if (isPassDue(draft.state)) startPass(draft);
  else if (isSupplied(draft.state) || isApproved(draft.state)) goOn(draft);
  return draft;
}

/** Pauses of more than one quest; null: that is how it is already. */
export function decideStackPause(
  pauses: readonly StackPause[],
  { scope, why }: { scope: StackScope; why: string },
  { actor, nowMs }: { actor: Actor; nowMs: number },
): NewEvent | null {
  if (pauses.some((each) => each.scope === scope)) return null;
  const after = [...pauses, { scope, why, by: actor.name, atMs: nowMs }];
  return { type: "stack.paused", quest: null, actor, body: { scope, why, pauses: after } };
}

export function decideStackResume(
  pauses: readonly StackPause[],
  scope: StackScope,
  actor: Actor,
): NewEvent | null {
  const after = pauses.filter((each) => each.scope !== scope);
  if (after.length === pauses.length) return null;
  return { type: "stack.resumed", quest: null, actor, body: { scope, pauses: after } };
}

/** What is paused after an event; null: it says nothing of that. */
export const pausesIn = ({ type, body }: Pick<NewEvent, "type" | "body">): readonly StackPause[] | null =>
  type === "stack.paused" || type === "stack.resumed" ? (body as { pauses: StackPause[] }).pauses : null;

/** @throws QuestbusError SAFE_MODE */
export function refuseInSafeMode(pauses: readonly StackPause[], what: string): void {
  const found = pauses.find(({ scope }) => scope === "safe-mode");
  if (!found) return;
  refuse(
    "SAFE_MODE",
    `no ${what} is taken in safe mode, which ${found.by} began: ${found.why}`,
    "send it again when safe mode is over: questbus resume --safe-mode",
  );
}
