import {
  assignmentOf,
  type Ending,
  type EscalationReason,
  type Fault,
  limit,
  type Role,
  redact,
  type SettleOrder,
  type Task,
} from "@questbus/protocol";
import { approvalHash, candidateOperations, decisionOn, fixerOperations } from "../approval/approval.ts";
import { operationsText } from "../approval/restricted.ts";
import { stepMachine } from "../assignment/machine.ts";
import { nextStep, stepOf } from "../assignment/schedule.ts";
import { fixersGone, isFixerLeft } from "../fixer/left.ts";
import { supplierOf, supplyRefused } from "../supply/supply.ts";
import { openConversation, turnsFixer } from "../turn/conversation.ts";
import { changeMessage } from "./change.ts";
import { type Draft, emit } from "./draft.ts";
import { judgePass } from "./judge-pass.ts";
import { currentPass, hasKept, isEnded, machineOf, type PassState, type QuestState } from "./state.ts";

/**
 * What follows from a fact: the next task, the verdict, the settling of a pass, the next pass, escalation or the end.
 * Each function looks at the draft's state and adds the events that come next; it stops where an agent, an arbiter
 * or the clock has to act.
 */

function offer(draft: Draft, task: Task, settle: SettleOrder | null = null): void {
  const { role, phase } = stepOf(task);
  const pass = Math.max(1, machineOf(draft.state).context.pass);
  emit(draft, "assignment.offered", {
    assignment: assignmentOf(draft.state.id, role),
    pass,
    phase,
    task,
    settle,
  });
}

export function startPass(draft: Draft): void {
  const pass = machineOf(draft.state).context.pass + 1;
  emit(draft, "pass.started", { pass, lastGood: draft.state.lastGood });
  offer(draft, "plan");
}

/** True when the pass cannot be accepted any more, so that its remaining tasks would be wasted. */
function isLost({ spec }: QuestState, pass: PassState): boolean {
  const refused = spec.signOff.some((role) => pass.signOffs[role]?.vote === "no");
  return Boolean(
    pass.unfit ||
      pass.crash ||
      pass.changedNothing ||
      pass.forbiddenPaths.length > 0 ||
      pass.suspicions.length > 0 ||
      pass.tests === "failed" ||
      refused,
  );
}

/** After a report on any task but `settle`. */
export function afterTask(draft: Draft, task: Task): void {
  const pass = currentPass(draft.state) as PassState;
  const refused = task === "produce" ? supplyRefused(draft.state) : null;
  if (refused) return awaitCandidate(draft, refused);
  const done = pass.findings.map((found) => found.task);
  const next = isLost(draft.state, pass) ? null : nextStep(done, pass.suiteRed);
  if (next?.task === "produce" && supplierOf(draft.state)) awaitCandidate(draft, null);
  else if (next?.task === "produce" || next?.task === "suite") offerApproved(draft, next.task);
  else if (next) offer(draft, next.task);
  else judgeAndSettle(draft);
}

/**
 * Offers the task; first an operator is asked for what is restricted in what it would run: a fixer, or a candidate that
 * was reviewed and of which nothing ran yet.
 */
function offerApproved(draft: Draft, before: "produce" | "suite"): void {
  const { state, context } = draft;
  const pass = currentPass(state) as PassState;
  const operations = before === "produce" ? fixerOperations(state) : candidateOperations(state, pass);
  if (operations.length === 0) return offer(draft, before);
  const candidate = before === "produce" ? null : pass.candidate;
  const hash = approvalHash(operations, candidate);
  const known = decisionOn(state, hash);
  if (known?.word === "granted") return offer(draft, before);
  const approval = approvalIdOf(state);
  const asker = `performance, pass ${pass.n}: ${state.spec.fixers[pass.fixer ?? -1]?.name ?? "no fixer"}`;
  const what = `${before === "produce" ? "its fixer asks for" : "its candidate changes"} ${operationsText(operations)}`;
  const diff = candidate?.diff ?? null;
  const expiresMs = context.nowMs + (state.spec.approvalMs ?? limit.approvalMs);
  const body = { approval, pass: pass.n, asker, why: what, operations, diff, hash, before, expiresMs };
  emit(draft, "approval.opened", body);
  // Who said no to exactly this is not asked again.
  if (known?.word === "denied") {
    const reason = `denied before: ${known.reason ?? ""}`;
    // The clock stood for no time, and goes on.
    const { deadlineMs } = draft.state;
    emit(draft, "approval.denied", { approval, hash, deadlineMs, reason });
    judgeAndSettle(draft);
  }
}

/** The next one's. */
export const approvalIdOf = ({ id, approvals }: QuestState): string =>
  `${id}.approval-${(approvals ?? []).length + 1}`;

/** The pass stands until somebody supplies a candidate: no task is offered, and another quest may measure meanwhile. */
function awaitCandidate(draft: Draft, refused: Fault | null): void {
  const { n, fixer } = currentPass(draft.state) as PassState;
  emit(draft, "candidate.awaited", { pass: n, fixer: fixer as number, refused });
  const turns = turnsFixer(draft.state);
  if (!turns) return;
  const agent = draft.state.conversation?.agents[turns.leader];
  const by = agent ? `${turns.leader}/${agent}` : turns.leader;
  if (refused?.code === "TURN_FILES_WRONG") breach(draft, by, refused);
  const said = refused
    ? `the change was not taken: ${refused.code}: ${refused.message}`
    : openingText(draft.state);
  if (!isEnded(draft.state)) offerTurn(draft, turns.leader, said);
}

/** What the leader should know before its first turn: what became of the pass before, and where this one starts. */
function openingText(state: QuestState): string | null {
  const before = state.passes.at(-2);
  if (!before?.verdict) return null;
  const { verdict, reasons } = before.verdict;
  const text = `pass ${before.n} came to ${verdict}: ${reasons.map(sentence).join(" ")} This pass starts from tree ${state.lastGood.tree}.`;
  return text.slice(0, limit.turnCharsMax);
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

/** The next turn of the open conversation is a role's. */
export function offerTurn(draft: Draft, role: Role, said: string | null): void {
  const { state, context } = draft;
  const turns = turnsFixer(state);
  if (!turns) throw new RangeError(`${state.id}: a turn without a conversation`);
  const { n } = currentPass(state) as PassState;
  const turn = (state.conversation?.turn ?? 0) + 1;
  // The clock of a quest that is halted under a turn stands.
  const sinceMs = state.halted?.atMs ?? context.nowMs;
  emit(draft, "turn.offered", { pass: n, turn, role, untilMs: sinceMs + turns.turnMs, said });
}

/** The record of a rule of the conversation that was broken, and what the quest's policy makes of it. */
export function breach(draft: Draft, by: string, fault: Fault): void {
  const open = openConversation(draft.state);
  if (!open) return;
  // It quotes what was sent, and what follows quotes it.
  const { code, message } = redact(fault);
  const { fixer, conversation, pass } = open;
  const policy = fixer.onBreach;
  emit(draft, "turn.breached", { pass, turn: conversation.turn, by, code, message, policy });
  const why = `${by} broke a rule of the conversation: ${code}: ${message}`.slice(0, limit.reasonCharsMax);
  if (policy === "pause" && !draft.state.pause) emit(draft, "quest.paused", { why });
  if (policy !== "cancel") return;
  judgeAndSettle(draft, `cancelled: ${why}`);
  end(draft, "cancelled", why);
}

/** The pass has no candidate, and this is why. */
export function failCandidate(draft: Draft, fault: Fault): void {
  const { n } = currentPass(draft.state) as PassState;
  const { role, phase, task } = stepOf("produce");
  const assignment = assignmentOf(draft.state.id, role);
  emit(draft, "task.failed", { assignment, pass: n, phase, task, fault });
  judgeAndSettle(draft);
}

/** The pass stands until its fixer may be asked again; another quest may run meanwhile. */
export function awaitQuota(draft: Draft, { pauseMs, said }: { pauseMs: number; said: string }): void {
  const { n, fixer } = currentPass(draft.state) as PassState;
  const untilMs = draft.context.nowMs + pauseMs;
  emit(draft, "quota.awaited", { pass: n, fixer: fixer as number, untilMs, pauseMs, said });
}

/** What the pass waited for is there, and this machine is free. */
export const goOn = (draft: Draft): void => offer(draft, currentPass(draft.state)?.held?.before ?? "produce");

/** The verdict of the current pass, and the order that carries it out. */
export function judgeAndSettle(draft: Draft, cut: string | null = null): void {
  const pass = currentPass(draft.state) as PassState;
  const verdict = judgePass(draft.state, pass, cut);
  const tree = pass.candidate?.tree ?? null;
  emit(draft, "pass.judged", { pass: pass.n, fixer: pass.fixer, tree, cut, verdict });
  const { candidate } = pass;
  if (candidate && verdict.verdict === "ACCEPT" && draft.state.spec.intent !== "validate") {
    settleByIntegrating(draft, candidate);
  } else if (candidate && verdict.verdict === "KEEP" && draft.state.spec.intent !== "validate") {
    offer(draft, "settle", { kind: "advance", commit: candidate.commit, tree: candidate.tree });
  } else settleByRestoring(draft, draft.state.lastGood, `pass ${pass.n}: ${verdict.verdict}`);
}

export function settleByRestoring(
  draft: Draft,
  good: { commit: string; tree: string },
  reason: string,
): void {
  offer(draft, "settle", { kind: "restore", commit: good.commit, tree: good.tree, reason });
}

export function settleByIntegrating(draft: Draft, good: { commit: string; tree: string }): void {
  const { state, context } = draft;
  offer(draft, "settle", {
    kind: "integrate",
    commit: good.commit,
    tree: good.tree,
    branch: state.spec.onAccept.branch.replaceAll("{quest}", state.id),
    atMs: context.nowMs,
    ...changeMessage(state),
  });
}

function escalate(draft: Draft, reason: EscalationReason, detail: string): void {
  emit(draft, "quest.escalated", { escalation: draft.context.newId("e-"), reason, detail });
}

function end(draft: Draft, ending: Ending, reason: string, fault: Fault | null = null): void {
  emit(draft, "quest.ended", { ending, reason, fault });
}

/** After ops carried out an order, or could not. */
export function afterSettle(draft: Draft, order: SettleOrder, fault: Fault | null): void {
  const pass = currentPass(draft.state);
  // A target or machine that is not fit, a full disk say, may well keep the worktree from being laid out again.
  if (fault && order.kind === "restore" && pass?.unfit && !hasKept(draft.state)) {
    return end(draft, "unfit", pass.verdict?.reasons[0] ?? fault.message, pass.unfit);
  }
  if (fault) {
    const reason = order.kind === "integrate" ? "integration-failed" : "conflict";
    return escalate(draft, reason, `${fault.code}: ${fault.message}`);
  }
  const ruling = openRuling(draft.state);
  if (order.kind === "integrate") return end(draft, "accepted", acceptedReason(draft.state));
  if (ruling === "revert") return end(draft, "reverted", "the arbiter ruled revert");
  if (ruling === "abandon") return end(draft, "abandoned", "the arbiter ruled abandon");
  afterPass(draft, currentPass(draft.state) as PassState);
}

/** A ruling that is being carried out right now. */
function openRuling(state: QuestState): "revert" | "abandon" | null {
  const decision = state.escalation?.ruling?.decision;
  return decision === "revert" || decision === "abandon" ? decision : null;
}

function acceptedReason(state: QuestState): string {
  const pass = currentPass(state);
  return state.escalation?.ruling?.decision === "accept"
    ? "the arbiter accepted what was kept"
    : (pass?.verdict?.reasons[0] ?? "accepted");
}

/** The pass is over and the workspace settled: end, escalate, or begin the next. */
function afterPass(draft: Draft, pass: PassState): void {
  const { state, context } = draft;
  const word = pass.verdict?.verdict;
  if (word === "ENV_UNFIT") {
    if (hasKept(state)) return escalate(draft, "conflict", pass.verdict?.reasons[0] ?? "unfit");
    return end(draft, "unfit", pass.verdict?.reasons[0] ?? "unfit", pass.unfit);
  }
  if (state.spec.intent === "validate") {
    const reason = pass.verdict?.reasons[0] ?? "";
    return word === "ACCEPT" ? end(draft, "accepted", reason) : end(draft, "reverted", reason, pass.crash);
  }
  // The clock of a quest that was halted under its last task stands.
  const nowMs = state.halted?.atMs ?? context.nowMs;
  const outOfTime = state.deadlineMs !== null && nowMs >= state.deadlineMs;
  const mayGoOn = stepMachine(machineOf(state), { type: "PASS_STARTED" }) !== null;
  const noFixer = pass.fixer === null || (mayGoOn && !isFixerLeft(state));
  // A quest that is halted begins no pass: it is due, and begins when the quest goes on.
  if (mayGoOn && !noFixer && !outOfTime) return state.halted ? undefined : startPass(draft);
  // A pass that time cut short before its choice is no evidence that nothing was left to choose.
  const why = outOfTime ? "the wall-clock budget is used up" : noFixer ? noFixerText(state, pass) : null;
  if (state.spec.intent === "improve" && !state.escalation)
    return finishImprove(draft, why === null ? "" : `; ${why}`);
  if (outOfTime) return escalate(draft, "budget-used-up", "the wall-clock budget is used up");
  if (noFixer) return escalate(draft, "no-fixer-left", noFixerText(state, pass));
  escalate(
    draft,
    "passes-used-up",
    pass.n === 1 ? "one pass did not reach the goal" : `${pass.n} passes did not reach the goal`,
  );
}

/** A pass without a fixer says why there was none; after others, what became of all of them. */
function noFixerText(state: QuestState, pass: PassState): string {
  if (pass.fixer === null && pass.crash) return pass.crash.message;
  const gone = fixersGone(state);
  const why = state.passes.flatMap(({ fixer, crash }) =>
    fixer !== null && crash && gone.includes(fixer) ? [crash.message] : [],
  );
  const patches = gone.length < state.spec.fixers.length ? ["each patch was tried"] : [];
  return `no candidate is left to try: ${[...why, ...patches].join("; ")}`;
}

/** Intent improve has no goal to miss: what was proven is integrated, else nothing changes. */
function finishImprove(draft: Draft, why: string): void {
  if (hasKept(draft.state)) settleByIntegrating(draft, draft.state.lastGood);
  else end(draft, "reverted", `no pass showed a gain${why}`);
}
