import {
  type Approval,
  type ApprovalAnswer,
  type CommandData,
  limit,
  type RestrictedOperation,
} from "@questbus/protocol";
import { heldAssignment } from "../quest/decide.ts";
import { type DecideContext, type Draft, emit, refuse } from "../quest/draft.ts";
import { approvalIdOf, judgeAndSettle } from "../quest/follow.ts";
import { currentPass, type QuestState } from "../quest/state.ts";
import { approvalHash, openApprovals } from "./approval.ts";
import { digestOf } from "./restricted.ts";

/**
 * The decisions on approvals. Invariants: P1 what is granted is the content under the approval's hash, and nothing else;
 * P2 an approval is decided once; P3 one that nobody decided on in time is denied, by the journal's own timer; P4 while a
 * pass waits for one, nothing of it is offered and the quest's clock stands.
 */

/** What an agent asks for that holds an assignment. The same words again are the same approval. */
export function decideApprovalAsk(
  state: QuestState,
  data: CommandData["approval"],
  context: DecideContext,
): Draft {
  const draft: Draft = { state, events: [], context };
  const held = heldAssignment(state, data.assignment, data.epoch, context);
  const operations = askedOperations(data);
  const hash = approvalHash(operations, null);
  if (askedBefore(state, hash)) return draft;
  if ((state.approvals ?? []).length >= limit.approvalsOfQuestMax)
    refuse(
      "OVERLOADED",
      `${limit.approvalsOfQuestMax} approvals of ${state.id} were asked for already`,
      "go on without it, or report a fault",
    );
  const { role, name } = context.actor;
  const body = {
    approval: approvalIdOf(state),
    pass: currentPass(state)?.n ?? 1,
    asker: `${role}/${name}, at ${held.task}`,
    why: data.why,
    operations,
    diff: null,
    hash,
    before: null,
    expiresMs: context.nowMs + (state.spec.approvalMs ?? limit.approvalMs),
  };
  emit(draft, "approval.opened", body, "caller");
  return draft;
}

function askedOperations({ kind, what, users }: CommandData["approval"]): RestrictedOperation[] {
  if ((kind === "network") !== (users !== undefined))
    refuse(
      "MESSAGE_INVALID",
      "users are named with kind network, and with no other",
      "correct that",
      "users",
    );
  return (users ?? [what]).map((user) => ({
    kind,
    where: user.slice(0, limit.placeCharsMax),
    what,
    digest: digestOf([kind, user, what]),
  }));
}

/** The approval of these words: the one that is open, or else the last that was decided on. */
const askedBefore = (state: QuestState, hash: string): Approval | undefined =>
  (state.approvals ?? []).findLast((each) => each.hash === hash && each.decision?.word !== "withdrawn");

/** What an asker is answered. */
export function approvalAnswer(approval: Approval): ApprovalAnswer {
  const { id, decision, expiresMs } = approval;
  return { approval: id, status: decision?.word ?? "open", reason: decision?.reason ?? null, expiresMs };
}

/** What an agent asked for, as it stands. */
export function askedApproval(state: QuestState, data: CommandData["approval"]): Approval {
  const found = askedBefore(state, approvalHash(askedOperations(data), null));
  if (!found) throw new RangeError(`${state.id}: nothing was asked`);
  return found;
}

/** @throws QuestbusError APPROVAL_NOT_FOUND */
export function approvalOf(state: QuestState, id: string): Approval {
  const found = state.approvals?.find((each) => each.id === id);
  if (found) return found;
  return refuse("APPROVAL_NOT_FOUND", `there is no approval ${id}`, "list them: questbus approvals list");
}

/** One that may be decided on: a word that comes after its end is none, also before its timer was due (P3). */
function openApproval(state: QuestState, id: string, nowMs: number): Approval {
  const found = approvalOf(state, id);
  const isOver = nowMs >= found.expiresMs;
  if (openApprovals(state).includes(found) && !isOver) return found;
  const { word, by } = found.decision ?? { word: isOver ? "expired" : "withdrawn", by: "the clock" };
  return refuse(
    "APPROVAL_CLOSED",
    `${id} is ${word}${word === "withdrawn" ? ": what it was about is over" : ` by ${by}`}`,
    "list those that are open: questbus approvals list",
  );
}

/**
 * The head of a decision: the quest's time is as much later as it stood. What a pause keeps since is added at that pause's
 * end.
 */
function decidedHead(state: QuestState, { id, hash, before, openedMs }: Approval, nowMs: number) {
  const stoodMs = Math.max(0, (state.halted?.atMs ?? nowMs) - openedMs);
  const deadlineMs = before === null ? null : (state.deadlineMs ?? nowMs) + stoodMs;
  return { approval: id, hash, deadlineMs };
}

/** What waited for it goes on when the machine is free. */
export function decideGrant(
  state: QuestState,
  { approval, reason }: CommandData["grant"],
  context: DecideContext,
): Draft {
  const draft: Draft = { state, events: [], context };
  const found = openApproval(state, approval, context.nowMs);
  const head = decidedHead(state, found, context.nowMs);
  emit(draft, "approval.granted", { ...head, reason: reason ?? null }, "caller");
  return draft;
}

export function decideDeny(
  state: QuestState,
  { approval, reason }: CommandData["deny"],
  context: DecideContext,
): Draft {
  const draft: Draft = { state, events: [], context };
  const found = openApproval(state, approval, context.nowMs);
  emit(draft, "approval.denied", { ...decidedHead(state, found, context.nowMs), reason }, "caller");
  if (found.before !== null) judgeAndSettle(draft);
  return draft;
}

/** Its time is over (P3). */
export function decideApprovalExpiry(state: QuestState, id: string, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const found = openApprovals(state).find((each) => each.id === id);
  if (!found || context.nowMs < found.expiresMs) return draft;
  emit(draft, "approval.expired", decidedHead(state, found, context.nowMs));
  if (found.before !== null) judgeAndSettle(draft);
  return draft;
}
