import {
  type Authority,
  assignmentOf,
  type CommandData,
  type Fault,
  forbiddenPaths,
  inspectPatch,
  limit,
  pathProblem,
  type Report,
  type Role,
  roles,
  type Supplied,
  suppliersOf,
  type TaskResult,
} from "@questbus/protocol";
import { awaitedApproval } from "../approval/approval.ts";
import { allowedDecisions } from "../arbitration/matrix.ts";
import { stepOf } from "../assignment/schedule.ts";
import { withoutSecrets } from "../injection/find.ts";
import { awaitingPass, isReadyToGoOn, quotaUntilMs, supplierOf } from "../supply/supply.ts";
import { openConversation } from "../turn/conversation.ts";
import { applyEvent } from "./apply.ts";
import { type DecideContext, type Draft, emit, refuse } from "./draft.ts";
import {
  afterSettle,
  afterTask,
  awaitQuota,
  goOn,
  judgeAndSettle,
  settleByIntegrating,
  settleByRestoring,
  startPass,
} from "./follow.ts";
import { passSeed } from "./judge-pass.ts";
import {
  type AssignmentState,
  acceptedChange,
  currentPass,
  hasKept,
  isEnded,
  machineOf,
  provenGood,
  type QuestState,
  type Submission,
} from "./state.ts";

/**
 * The decisions on one quest. Each takes the state and a command and gives the events that follow, or refuses with a
 * `QuestbusError`; nothing else in the product changes a quest.
 *
 * Invariants: I1 a report counts only under the current epoch of a lease its sender holds; I2 a pass beyond the limit
 * is refused whoever asks; I3 reports come in the order of the schedule; I4 an ended quest stays ended; I5 what an
 * agent says of its candidate is checked against the quest's authority again.
 */

/** `watched`: the quest that `document.watch` names. */
export function decideSubmit(
  submission: Submission,
  context: DecideContext,
  watched: QuestState | null = null,
): Draft {
  const { target, fixers } = submission.document;
  const wanted = target.candidate ? 1 : fixers.filter((fixer) => "patch" in fixer).length;
  if (submission.resolved.length !== wanted) {
    refuse(
      "MESSAGE_INVALID",
      `the quest names ${wanted} patches or commits, and ${submission.resolved.length} were resolved`,
      "resolve each patch, or the candidate, in the order of the quest",
      "data.resolved",
    );
  }
  refuseForeignWatch(submission, watched);
  const state = applyEvent(null, {
    type: "quest.submitted",
    quest: context.newId("q-"),
    actor: context.actor,
    timeMs: context.nowMs,
    body: { ...submission, seed: context.newSeed() },
  }) as QuestState;
  const event = {
    type: "quest.submitted" as const,
    quest: state.id,
    actor: context.actor,
    body: { ...submission, seed: state.seed },
  };
  return { state, events: [withoutSecrets(event)], context };
}

/** Every quest that has not ended is in memory. */
export function refuseBeyond(questsOpen: number): void {
  if (questsOpen < limit.questsOpenMax) return;
  const next = "rule on those that wait for an arbiter, or cancel some: questbus list";
  refuse("OVERLOADED", `${limit.questsOpenMax} quests have not ended yet`, next);
}

/** Signs of gaming do not count in a watch, so nothing but what was accepted may be held against a ref in one. */
function refuseForeignWatch({ document, resolved }: Submission, watched: QuestState | null): void {
  if (document.watch === undefined) return;
  const [candidate] = resolved;
  const commit = candidate && "commit" in candidate ? candidate.commit : null;
  if (watched && commit !== null && acceptedChange(watched)?.commit === commit) return;
  refuse(
    "NOTHING_ACCEPTED",
    `${commit ?? "the candidate"} is not what ${document.watch} was accepted with`,
    `let questbus make the watch: questbus recheck ${document.watch}`,
    "watch",
  );
}

/** The measurement lease of the machine is free: a queued quest begins its next pass. */
export function decideStart(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (state.status !== "queued" || state.pause) return draft;
  emit(draft, "quest.started", { deadlineMs: context.nowMs + state.spec.budget.wallClockMs });
  startPass(draft);
  return draft;
}

/** The assignment a caller holds under `epoch`; refuses a stale or foreign lease (I1). */
export function heldAssignment(
  state: QuestState,
  assignment: string,
  epoch: number,
  context: DecideContext,
): AssignmentState {
  const role = roles.find((each) => assignmentOf(state.id, each) === assignment);
  if (!role)
    refuse("ASSIGNMENT_NOT_FOUND", `there is no assignment ${assignment}`, "claim an assignment first");
  if (role !== context.actor.role) {
    refuse(
      "ROLE_FORBIDDEN",
      `${context.actor.role} may not act on ${assignment}`,
      `only an agent of role ${role} may`,
    );
  }
  const held = state.assignments[role];
  if (held.status !== "leased" || held.epoch !== epoch || held.agent !== context.actor.name) {
    refuse(
      "LEASE_STALE",
      `the lease of ${assignment} under epoch ${epoch} is over (epoch is now ${held.epoch}, ${held.status})`,
      "stop this work, drop what it changed, and claim again",
    );
  }
  return held;
}

export function decideReport(state: QuestState, report: Report, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const { passesMax } = machineOf(state).context;
  if (report.pass > passesMax) {
    refuse(
      "PASS_LIMIT",
      `pass ${report.pass} does not exist: this quest has ${passesMax}`,
      "stop; an arbiter may grant one more pass",
    );
  }
  const held = heldAssignment(state, report.assignment, report.epoch, context);
  const { value: phase, context: counters } = machineOf(state);
  const machine = state.assignments[context.actor.role as Role].machine;
  const inTurn =
    report.task === held.task &&
    (report.task === "settle" || (report.phase === machine.value && report.pass === counters.pass));
  if (!inTurn) {
    const now = held.task === "settle" ? "settle" : `pass ${counters.pass}, ${phase}, ${held.task}`;
    refuse(
      "REPORT_OUT_OF_TURN",
      `this report is on pass ${report.pass}, ${report.task}; the turn is ${now}`,
      "report on the task of your grant",
    );
  }
  const order = state.settle;
  const taken = checkedReport(state, report);
  emit(draft, "task.reported", { report: taken }, "caller");
  if (taken.task === "produce" && taken.result?.quota) awaitQuota(draft, taken.result.quota);
  else if (report.task !== "settle") afterTask(draft, report.task);
  else if (order) {
    recordSettled(draft, report);
    afterSettle(draft, order, report.fault);
  }
  return draft;
}

/** I5: fixer, samples and settling must fit the grant, and paths outside the authority are named whatever is said. */
function checkedReport(state: QuestState, report: Report): Report {
  if (
    report.task === "choose" &&
    report.result &&
    report.result.fixer !== null &&
    !state.spec.fixers[report.result.fixer]
  ) {
    refuse(
      "MESSAGE_INVALID",
      `the quest has no fixer ${report.result.fixer}`,
      "choose one of the quest's fixers",
      "result.fixer",
    );
  }
  if (
    report.task === "gate" &&
    report.result &&
    report.result.samples.seed !== passSeed(state, report.pass)
  ) {
    refuse(
      "MESSAGE_INVALID",
      "the pairs were drawn from another seed",
      "use the seed of the grant",
      "result.samples.seed",
    );
  }
  if (report.task === "gate" && report.result && (report.result.samples.total !== null) !== hasKept(state)) {
    refuse(
      "MESSAGE_INVALID",
      hasKept(state)
        ? "pairs against the quest's own base are missing"
        : "nothing was kept to measure a total over",
      "measure what the grant asks for",
      "result.samples.total",
    );
  }
  if (report.task === "choose" && report.result?.fixer === null) return noCandidate(report, report.result);
  if (report.task === "settle" && report.result) checkSettled(state, report.result);
  if (report.task === "produce" && report.result?.quota) return checkedQuota(state, report);
  if (report.task === "review") return checkedReview(state, report);
  if (report.task !== "produce" || !report.result?.candidate) return report;
  const forbidden = unwritable(state, report.result.candidate.files);
  if (forbidden.length === 0) return report;
  return { ...report, result: { ...report.result, candidate: null, forbiddenPaths: forbidden } };
}

/** Paths that no change may touch, and those that the quest does not let performance write. */
const unwritable = ({ spec }: QuestState, files: readonly string[]): string[] =>
  files.filter((path) => pathProblem(path) !== null || forbiddenPaths([path], spec.authority).length > 0);

/** What the review found changed is held against the authority too, and against what was said of the candidate. */
function checkedReview(state: QuestState, report: Extract<Report, { task: "review" }>): Report {
  const { result } = report;
  if (!result?.withinPlan) return report;
  const reported = currentPass(state)?.candidate?.files ?? [];
  const unsaid = result.files.filter((path) => !reported.includes(path));
  const files = [...new Set([...unwritable(state, result.files), ...unsaid])];
  return files.length === 0 ? report : { ...report, result: { ...result, files, withinPlan: false } };
}

/** Only a fixer that has a quota may wait for it, and no longer in all than its quest says. */
function checkedQuota(state: QuestState, report: Extract<Report, { task: "produce" }>): Report {
  const pass = currentPass(state);
  const fixer = state.spec.fixers[pass?.fixer ?? -1];
  const { pauseMs = 0, said = "" } = report.result?.quota ?? {};
  if (fixer?.kind !== "cli" || report.result?.candidate)
    refuse(
      "MESSAGE_INVALID",
      "nothing is waited for here",
      "report the candidate, or a fault",
      "result.quota",
    );
  if ((pass?.quota?.waitedMs ?? 0) + pauseMs <= fixer.quotaWaitMs) return report;
  const fault: Fault = {
    code: "FIXER_QUOTA",
    message: `the quota of ${fixer.name} is used up, for longer than quotaWait allows: ${said}`,
    where: fixer.cli,
    next: "raise quotaWait, or let an arbiter grant one more pass when the quota is back",
  };
  return { ...report, result: null, fault };
}

/** A choice of nothing is told as an architect tells it that finds nothing to choose. */
const noCandidate = (
  report: Extract<Report, { task: "choose" }>,
  { reason }: TaskResult["choose"],
): Report => {
  const message = `no candidate was chosen: ${reason}`.slice(0, limit.reasonCharsMax);
  return { ...report, result: null, fault: { code: "NO_CANDIDATE_LEFT", message } };
};

/** An order counts as carried out only with its proof: the tree that was asked for, or the branch and its commit. */
function checkSettled({ settle: order }: QuestState, result: TaskResult["settle"]): void {
  if (!order || result.kind !== order.kind) {
    refuse(
      "REPORT_OUT_OF_TURN",
      `ops was asked to ${order?.kind}`,
      "carry out the order of the grant",
      "result.kind",
    );
  }
  if (order.kind === "integrate") {
    if (result.branch === order.branch && result.commit) return;
    refuse(
      "MESSAGE_INVALID",
      `an integration ends with a commit on ${order.branch}`,
      "report both, or the fault",
      "result",
    );
  }
  if (result.tree === order.tree) return;
  refuse(
    "ROLLBACK_UNPROVEN",
    `the workspace has tree ${result.tree}, not ${order.tree}`,
    "restore again and report the fault",
    "result.tree",
  );
}

/** The fact that an order was carried out. */
function recordSettled(draft: Draft, report: Extract<Report, { task: "settle" }>): void {
  const order = draft.state.settle;
  if (!report.result || !order) return;
  const { tree, branch, commit } = report.result;
  const pass = Math.max(1, machineOf(draft.state).context.pass);
  if (order.kind === "integrate" && branch && commit)
    emit(draft, "change.integrated", { branch, commit, tree });
  if (order.kind === "advance") emit(draft, "good.moved", { pass, commit: order.commit, tree: order.tree });
  if (order.kind === "restore") emit(draft, "workspace.restored", { pass, tree });
}

export function decideRelease(
  state: QuestState,
  data: CommandData["release"],
  context: DecideContext,
): Draft {
  const draft: Draft = { state, events: [], context };
  heldAssignment(state, data.assignment, data.epoch, context);
  emit(draft, "assignment.released", data, "caller");
  giveUpAfterOffers(draft, context.actor.role as Role);
  return draft;
}

/** What the holder of a lease does meanwhile; the same words twice say nothing new. */
export function decideNote(state: QuestState, data: CommandData["note"], context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const held = heldAssignment(state, data.assignment, data.epoch, context);
  if (held.note !== data.text) emit(draft, "assignment.noted", data, "caller");
  return draft;
}

/** A lease that was not renewed, or whose holder started anew: the work is offered again. */
export function decideExpire(state: QuestState, role: Role, reason: string, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const { status, epoch, agent } = state.assignments[role];
  if (status !== "leased") return draft;
  emit(draft, "lease.expired", {
    assignment: assignmentOf(state.id, role),
    epoch,
    agent: agent ?? "",
    reason,
  });
  giveUpAfterOffers(draft, role);
  return draft;
}

/** A task that was offered `offersMax` times and never finished counts as failed: the next holder would fare no better. */
function giveUpAfterOffers(draft: Draft, role: Role): void {
  const { offers, task } = draft.state.assignments[role];
  if (!task || offers <= limit.offersMax) return;
  const order = draft.state.settle;
  const fault: Fault = {
    code: "AGENT_LOST",
    message: `${task} was taken ${limit.offersMax} times and never finished`,
    next: `read the log of the agent ${role}`,
  };
  const pass = Math.max(1, machineOf(draft.state).context.pass);
  const { phase } = stepOf(task);
  emit(draft, "task.failed", { assignment: assignmentOf(draft.state.id, role), pass, phase, task, fault });
  if (task !== "settle") afterTask(draft, task);
  else if (order) afterSettle(draft, order, fault);
}

/** Work that reaches into the target cannot be stopped half way. */
const isIntegrating = (state: QuestState): boolean => state.settle?.kind === "integrate";

export function decideCancel(state: QuestState, reason: string, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (isEnded(state))
    refuse("QUEST_ENDED", `quest ${state.id} has ended: ${state.status}`, "nothing is left to cancel");
  if (isIntegrating(state))
    refuse("QUEST_ENDED", `quest ${state.id} is being integrated`, `look again: questbus status ${state.id}`);
  // An open pass is judged first, so that no pass is without a verdict.
  const pass = currentPass(state);
  if (pass && !pass.verdict) judgeAndSettle(draft, `cancelled: ${reason}`);
  emit(draft, "quest.ended", { ending: "cancelled", reason, fault: null }, "caller");
  return draft;
}

/** A candidate from outside, for a pass that waits for one. It is made ready when the machine is free. */
export function decideSupply(
  state: QuestState,
  { quest: _, pass: wanted, ...supplied }: CommandData["supply"],
  context: DecideContext,
): Draft {
  const draft: Draft = { state, events: [], context };
  if (isEnded(state))
    refuse("QUEST_ENDED", `quest ${state.id} has ended: ${state.status}`, "supply to a quest that waits");
  const pass = awaitingPass(state);
  const next = `look where it stands: questbus status ${state.id}`;
  if (!pass) refuse("CANDIDATE_NOT_AWAITED", `quest ${state.id} does not wait for a candidate`, next);
  if (wanted !== undefined && wanted !== pass.n)
    refuse("CANDIDATE_NOT_AWAITED", `pass ${pass.n} waits for a candidate, not pass ${wanted}`, next);
  const kind = supplierOf(state) ?? "human";
  if (!suppliersOf[kind].some((each) => each === context.actor.role)) {
    const who = suppliersOf[kind].join(" or ") || `its conversation: questbus conversation ${state.id}`;
    refuse("ROLE_FORBIDDEN", `${context.actor.role} may not supply here`, `this pass waits for: ${who}`);
  }
  refuseBadPatch(supplied, state.spec.authority);
  emit(draft, "candidate.supplied", { pass: pass.n, fixer: pass.fixer, supplied }, "caller");
  return draft;
}

/** What a patch shows without the files it is for; whether it applies, the performance agent finds. */
function refuseBadPatch({ name, change }: Supplied, authority: Authority): void {
  if (!("patch" in change)) return;
  const outside = forbiddenPaths(inspectPatch(change.patch, { name }).files, authority);
  if (outside.length === 0) return;
  const paths = outside.join(", ").slice(0, limit.placeCharsMax);
  refuse(
    "PATH_FORBIDDEN",
    `${name} touches what the performance role may not write: ${paths}`,
    "leave it out",
  );
}

/** What was supplied is made ready, now that no other quest measures. */
export function decideGoOn(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (isReadyToGoOn(state, context.nowMs) && !state.halted) goOn(draft);
  return draft;
}

/** The wall-clock budget is used up. */
export function decideDeadline(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const pass = currentPass(state);
  // The clock of a quest stands while an operator has to decide: an approval has a time of its own.
  if (awaitedApproval(state)) return draft;
  if (state.status !== "running" || !pass || pass.verdict || state.halted) return draft;
  if (openConversation(state)) {
    judgeAndSettle(draft, "the wall-clock budget was used up before the conversation came to a candidate");
    return draft;
  }
  if (awaitingPass(state)) {
    judgeAndSettle(draft, "nobody supplied a candidate before the wall-clock budget was used up");
    return draft;
  }
  if (quotaUntilMs(state) !== null) {
    judgeAndSettle(draft, `the wall-clock budget was used up in waiting for a quota: ${pass.quota?.said}`);
    return draft;
  }
  const { role } = stepOf(state.task ?? "gate");
  const meanwhile = state.assignments[role].note;
  const cut = "the wall-clock budget was used up before this pass was decided";
  judgeAndSettle(draft, meanwhile ? `${cut}; at its end ${role} ${meanwhile}` : cut);
  return draft;
}

export function decideRule(state: QuestState, data: CommandData["rule"], context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (state.status !== "escalated" || state.escalation?.id !== data.escalation) {
    refuse(
      "ESCALATION_NOT_FOUND",
      `escalation ${data.escalation} is not open`,
      "list the open ones: questbus escalations",
    );
  }
  const option = allowedDecisions(state).find((each) => each.decision === data.decision);
  if (!option?.allowed)
    refuse("RULING_NOT_ALLOWED", option?.why ?? "not allowed", "see the options: questbus escalations");
  emit(draft, "ruling.made", data, "caller");
  if (data.decision === "accept") settleByIntegrating(draft, provenGood(state) ?? state.lastGood);
  else if (data.decision !== "retry")
    settleByRestoring(draft, state.base, `the arbiter ruled ${data.decision}`);
  return draft;
}
