import {
  type Approval,
  canonicalText,
  type EventBody,
  type JournalEvent,
  limit,
  normaliseQuest,
  type Report,
  type Role,
  roles,
  type SuiteRun,
  type Suspicion,
  type TaskResult,
} from "@questbus/protocol";
import { operationsIn, operationsText } from "../approval/restricted.ts";
import { type MachineEvent, newMachine, stepMachine } from "../assignment/machine.ts";
import { stepOf } from "../assignment/schedule.ts";
import { countOf, fewerTests } from "../gaming/fewer-tests.ts";
import { withHeldTurn, withTurn } from "../turn/apply.ts";
import { admissionPlan, resizedGoal } from "./admission.ts";
import type { AssignmentState, PassState, QuestState } from "./state.ts";

/** An event with the time at which it was committed; all that a state is made of. */
export type Applied = Pick<JournalEvent, "type" | "quest" | "actor" | "body" | "timeMs">;
type Of<T extends keyof EventBody> = EventBody[T];

const replaceLast = <T>(list: readonly T[], change: (last: T) => T): T[] =>
  list.map((each, at) => (at === list.length - 1 ? change(each) : each));

const withPass = (state: QuestState, change: (pass: PassState) => Partial<PassState>): QuestState => ({
  ...state,
  passes: replaceLast(state.passes, (pass) => ({ ...pass, ...change(pass) })),
});

const roleOf = (assignment: string): Role => assignment.slice(assignment.indexOf(".") + 1) as Role;

function withAssignment(state: QuestState, assignment: string, change: Partial<AssignmentState>): QuestState {
  const role = roleOf(assignment);
  return {
    ...state,
    assignments: { ...state.assignments, [role]: { ...state.assignments[role], ...change } },
  };
}

/** Steps all four machines; an event a machine has no transition for is a broken journal. */
function stepAll(state: QuestState, event: MachineEvent): QuestState {
  const assignments = { ...state.assignments };
  for (const role of roles) {
    const machine = stepMachine(assignments[role].machine, event);
    if (machine) assignments[role] = { ...assignments[role], machine };
    else if (event.type !== "PASS_ENDED")
      throw new RangeError(`${state.id}: no ${event.type} from ${assignments[role].machine.value}`);
  }
  return { ...state, assignments };
}

/** No assignment is open any more: leases end with what they were for. */
function closeAssignments(state: QuestState, status: "waiting" | "done"): QuestState {
  const assignments = { ...state.assignments };
  for (const role of roles)
    assignments[role] = { ...assignments[role], status, task: null, agent: null, note: null };
  return { ...state, assignments, task: null, settle: null };
}

function submitted(quest: string, body: Of<"quest.submitted">, event: Applied): QuestState {
  const spec = normaliseQuest(body.document, body.resolved);
  const assignment = (): AssignmentState => ({
    machine: newMachine(spec.budget.passes, limit.passesGrantedMax),
    status: "waiting",
    task: null,
    epoch: 0,
    offers: 0,
    agent: null,
    note: null,
  });
  return {
    id: quest,
    spec,
    questDir: body.questDir,
    digest: body.digest,
    author: event.actor.name,
    status: "queued",
    createdMs: event.timeMs,
    deadlineMs: null,
    seed: body.seed,
    base: body.base,
    lastGood: body.base,
    target: null,
    flaky: false,
    assignments: { architect: assignment(), performance: assignment(), qa: assignment(), ops: assignment() },
    task: null,
    settle: null,
    passes: [],
    escalation: null,
    accepted: null,
    ending: null,
  };
}

function passStarted(state: QuestState, body: Of<"pass.started">): QuestState {
  const pass: PassState = {
    n: body.pass,
    lastGood: body.lastGood,
    fixer: null,
    awaited: null,
    supplied: null,
    refusals: 0,
    candidate: null,
    original: null,
    setAside: [],
    forbiddenPaths: [],
    suspicions: [],
    changedNothing: false,
    unfit: null,
    crash: null,
    suiteRed: false,
    baseTests: null,
    tests: null,
    analysis: null,
    samples: null,
    signOffs: {},
    verdict: null,
    findings: [],
  };
  return stepAll({ ...state, passes: [...state.passes, pass] }, { type: "PASS_STARTED" });
}

const withoutWait = (state: QuestState): QuestState =>
  withPass(state, ({ quota, held }) => ({
    ...(quota ? { quota: { ...quota, untilMs: null } } : {}),
    ...(held ? { held: null } : {}),
  }));

function offered(before: QuestState, body: Of<"assignment.offered">): QuestState {
  const state = withoutWait(before);
  const role = roleOf(body.assignment);
  const next = withAssignment(state, body.assignment, {
    status: "offered",
    task: body.task,
    agent: null,
    note: null,
    offers: 1,
  });
  // An assignment enters a phase when it is first asked for one of its tasks.
  const { machine } = next.assignments[role];
  const entered =
    body.task !== "settle" && machine.value !== body.phase
      ? stepMachine(machine, { type: "PHASE_DONE" })
      : machine;
  if (!entered || (body.task !== "settle" && entered.value !== body.phase))
    throw new RangeError(`${state.id}: ${role} cannot enter ${body.phase} from ${machine.value}`);
  return {
    ...withAssignment(next, body.assignment, { machine: entered }),
    task: body.task,
    settle: body.settle,
  };
}

function offeredAgain(state: QuestState, assignment: string): QuestState {
  const { offers } = state.assignments[roleOf(assignment)];
  return withAssignment(state, assignment, {
    status: "offered",
    agent: null,
    note: null,
    offers: offers + 1,
  });
}

/** As if its holder had reported the fault. */
function failed(state: QuestState, body: Of<"task.failed">): QuestState {
  const { epoch } = state.assignments[roleOf(body.assignment)];
  const summary = `${body.fault.code}: ${body.fault.message}`;
  return reported(state, {
    ...body,
    epoch,
    summary,
    result: null,
    signOff: null,
    suspicions: [],
    artifacts: [],
  } as Report);
}

const isUnfit = (report: Report): boolean =>
  stepOf(report.task).phase === "test" ||
  report.task === "separate" ||
  report.task === "prepare" ||
  ["DIGEST_UNSTABLE", "DISK_FULL", "MACHINE_UNFIT", "PREPARE_FAILED"].includes(report.fault?.code ?? "");

/** Without a fixer there is no candidate to go on with. Only early journals have that as a result, and so their code for it. */
function chosen(result: TaskResult["choose"] | null): Partial<PassState> {
  if (!result || result.fixer !== null) return { fixer: result?.fixer ?? null };
  return {
    fixer: null,
    crash: { code: "PATCH_DOES_NOT_APPLY", message: `no candidate was chosen: ${result.reason}` },
  };
}

/** The first run counts; a green repetition only where the base itself was seen to be flaky. */
const isGreen = (runs: readonly SuiteRun[], flaky: boolean): boolean =>
  runs[0]?.passed === true || (flaky && runs.some((run) => run.passed));

/** What the counts of the suites say, whatever their author made of them. */
const fewerIn = (pass: PassState, report: Report): Suspicion[] =>
  report.task === "suite" ? fewerTests(pass.baseTests, report.result?.runs ?? []) : [];

/** What a report adds to its pass. What follows from its evidence is computed here, whatever its author concluded. */
function findings(pass: PassState, report: Report, flaky: boolean): Partial<PassState> {
  if (report.fault) {
    if (report.task === "settle") return {};
    if (report.fault.code === "FIXER_CHANGED_NOTHING") return { changedNothing: true };
    return isUnfit(report) ? { unfit: report.fault } : { crash: report.fault };
  }
  switch (report.task) {
    case "base-suite":
      return { suiteRed: !report.result?.passed, baseTests: countOf(report.result ? [report.result] : []) };
    case "separate":
      return { baseTests: pass.baseTests ?? countOf(report.result?.runs ?? []) };
    case "base-measure":
      return { analysis: report.result?.analysis ?? null };
    case "choose":
      return chosen(report.result);
    case "produce": {
      if (report.result?.quota) return {};
      const forbiddenPaths = report.result?.forbiddenPaths ?? [];
      const candidate = report.result?.candidate ?? null;
      const same = candidate === null || candidate.tree === pass.lastGood.tree;
      const { original = null, setAside = [] } = report.result ?? {};
      const changedNothing = same && forbiddenPaths.length === 0;
      const { supplied } = pass;
      return {
        candidate,
        original,
        setAside,
        forbiddenPaths,
        changedNothing,
        supplied: candidate ? null : supplied,
      };
    }
    case "review":
      return report.result && !report.result.withinPlan
        ? { forbiddenPaths: offending(pass, report.result) }
        : {};
    case "suite":
      return { tests: isGreen(report.result?.runs ?? [], flaky) ? "passed" : "failed" };
    case "gate":
      return { samples: report.result?.samples ?? pass.samples };
    default:
      return {};
  }
}

/** What a review outside of the plan is about: where it names no file, the whole candidate. */
const offending = ({ candidate }: PassState, { files }: TaskResult["review"]): string[] =>
  files.length > 0 ? files : (candidate?.files ?? []);

/** What a report shows of the candidate, besides what was shown before: each role says what it found. */
function shownBy({ shown }: PassState, report: Report): Partial<PassState> {
  if (report.task !== "produce" && report.task !== "review") return {};
  const touched = report.result?.touched;
  if (!touched) return {};
  const fresh = touched.map((each) => ({ path: each.path, operations: operationsIn([each]) }));
  const before = report.task === "review" ? (shown ?? []) : [];
  // Who found the same adds nothing to it.
  const known = new Set(fresh.map((each) => canonicalText(each)));
  const others = before.filter((each) => !known.has(canonicalText(each)));
  return { shown: [...others, ...fresh] };
}

/** A sign-off is about the candidate, so none counts before there is one, or after the verdict. */
const isSignedOff = (report: Report): boolean =>
  report.signOff !== null && stepOf(report.task).phase === "validate" && report.task !== "settle";

function reported(state: QuestState, report: Report): QuestState {
  const role = roleOf(report.assignment);
  const next = withPass(state, (pass) => ({
    ...findings(pass, report, state.flaky),
    ...shownBy(pass, report),
    // What a watch holds against each other is two states of the target: neither is anybody's candidate.
    suspicions: state.spec.watch ? [] : [...pass.suspicions, ...report.suspicions, ...fewerIn(pass, report)],
    signOffs: isSignedOff(report) ? { ...pass.signOffs, [role]: report.signOff } : pass.signOffs,
    findings: [
      ...pass.findings,
      { task: report.task, role, summary: report.summary, artifacts: report.artifacts },
    ],
  }));
  const target =
    report.task === "fitness" && report.result && !state.target ? report.result.target : state.target;
  const spec =
    report.task === "base-measure" && report.result ? admitted(state, report.result.values) : state.spec;
  const flaky =
    state.flaky || (report.task === "separate" && (report.result?.runs.some((run) => run.passed) ?? false));
  return {
    ...withAssignment(next, report.assignment, { status: "waiting", task: null, agent: null, note: null }),
    spec,
    target,
    flaky,
    task: null,
  };
}

/** The quest as its A/A run admits it: with a larger goal, where the operator accepts what can be shown. */
function admitted(state: QuestState, values: readonly number[]): QuestState["spec"] {
  const { spec } = state;
  const improveBy = state.passes.length === 1 ? resizedGoal(spec, admissionPlan(spec, values)) : null;
  return improveBy === null ? spec : { ...spec, goal: { ...spec.goal, improveBy } };
}

/** Nothing of a candidate that was refused is held against the next. */
function awaited(state: QuestState, { refused }: Of<"candidate.awaited">): QuestState {
  const again = refused
    ? { changedNothing: false, crash: null, forbiddenPaths: [], original: null, setAside: [] }
    : {};
  return withPass(state, (pass) => ({
    ...again,
    awaited: { refused },
    supplied: null,
    refusals: pass.refusals + (refused ? 1 : 0),
  }));
}

function givenTo(pass: PassState, { assignment, memories }: Of<"context.given">): Partial<PassState> {
  const role = roleOf(assignment);
  return { given: { ...pass.given, [role]: [...new Set([...(pass.given?.[role] ?? []), ...memories])] } };
}

function ruled(state: QuestState, body: Of<"ruling.made">, event: Applied): QuestState {
  if (!state.escalation) throw new RangeError(`${state.id}: a ruling without an escalation`);
  const ruling = {
    decision: body.decision,
    reason: body.reason,
    guidance: body.guidance,
    by: event.actor.name,
    atMs: event.timeMs,
  };
  const next = { ...state, escalation: { ...state.escalation, ruling } };
  return body.decision === "retry"
    ? { ...stepAll(next, { type: "PASS_GRANTED" }), status: "queued" }
    : { ...next, status: "running" };
}

const withApproval = (state: QuestState, id: string, decision: Approval["decision"]): QuestState => ({
  ...state,
  approvals: (state.approvals ?? []).map((each) => (each.id === id ? { ...each, decision } : each)),
});

function opened(state: QuestState, body: Of<"approval.opened">, event: Applied): QuestState {
  const { approval: id, ...asked } = body;
  const approval: Approval = { id, ...asked, openedMs: event.timeMs, decision: null };
  const next = { ...state, approvals: [...(state.approvals ?? []), approval] };
  const { before } = body;
  return before === null ? next : withPass(next, () => ({ held: { approval: id, before } }));
}

const decisionFault = { denied: "APPROVAL_DENIED", expired: "APPROVAL_EXPIRED" } as const;

/** What was held goes on, or its pass is lost: a no of the operator is told as what kept the pass from being finished. */
function decided(state: QuestState, word: "granted" | "denied" | "expired", event: Applied): QuestState {
  const { approval: id, deadlineMs, reason = null } = event.body as Of<"approval.granted">;
  const found = state.approvals?.find((each) => each.id === id);
  if (!found) throw new RangeError(`${state.id}: no approval ${id}`);
  const by = event.actor.name;
  const next = withApproval(state, id, { word, by, reason, atMs: event.timeMs });
  const timed = deadlineMs === null ? next : { ...next, deadlineMs };
  if (word === "granted" || found.before === null) return timed;
  const what = operationsText(found.operations);
  const message =
    word === "denied"
      ? `${by} denied ${what}: ${reason}`
      : `nobody approved ${what} before the approval expired`;
  const crash = { code: decisionFault[word], message, where: id };
  return withPass(timed, () => ({ held: null, crash }));
}

/** What nobody decided on while it mattered. */
function withoutApprovals(state: QuestState, event: Applied): QuestState {
  if (!state.approvals?.some(({ decision }) => decision === null)) return state;
  const decision = { word: "withdrawn", by: event.actor.name, reason: null, atMs: event.timeMs } as const;
  return {
    ...state,
    approvals: state.approvals.map((each) => (each.decision ? each : { ...each, decision })),
  };
}

/** The quest after one more event. Throws only on a journal that this program did not write. */
export function applyEvent(state: QuestState | null, event: Applied): QuestState | null {
  if (event.type === "quest.submitted")
    return submitted(event.quest ?? "", event.body as Of<"quest.submitted">, event);
  if (!state) return null;
  return applyTo(state, event);
}

const withoutPause = ({ pause: _, ...rest }: QuestState): QuestState => rest;
const withoutHalt = ({ halted: _, ...rest }: QuestState): QuestState => rest;

function applyTo(state: QuestState, event: Applied): QuestState {
  // Apart, because together they are one of thirty pairs to the compiler.
  const { type, body }: { type: Applied["type"]; body: Applied["body"] } = event;
  switch (type) {
    case "quest.started":
      return { ...state, status: "running", deadlineMs: (body as Of<"quest.started">).deadlineMs };
    case "pass.started":
      return passStarted(state, body as Of<"pass.started">);
    case "assignment.offered":
      return offered(state, body as Of<"assignment.offered">);
    case "assignment.claimed": {
      const { assignment, agent, epoch } = body as Of<"assignment.claimed">;
      return withAssignment(state, assignment, { status: "leased", agent, epoch });
    }
    case "context.given":
      return withPass(state, (pass) => givenTo(pass, body as Of<"context.given">));
    case "assignment.noted": {
      const { assignment, text } = body as Of<"assignment.noted">;
      return withAssignment(state, assignment, { note: text });
    }
    case "assignment.released":
    case "lease.expired":
      return offeredAgain(state, (body as Of<"lease.expired">).assignment);
    case "task.reported":
      return reported(state, (body as Of<"task.reported">).report);
    case "candidate.awaited":
      return awaited(state, body as Of<"candidate.awaited">);
    case "quota.awaited": {
      const { untilMs, pauseMs, said } = body as Of<"quota.awaited">;
      return withPass(state, ({ quota }) => {
        const waits = (quota?.waits ?? 0) + 1;
        return { quota: { untilMs, waits, waitedMs: (quota?.waitedMs ?? 0) + pauseMs, said } };
      });
    }
    case "candidate.supplied": {
      const { supplied: change } = body as Of<"candidate.supplied">;
      return withPass(state, () => ({ awaited: null, supplied: { by: event.actor.name, change } }));
    }
    case "task.failed":
      return failed(state, body as Of<"task.failed">);
    case "pass.judged": {
      const { verdict } = body as Of<"pass.judged">;
      const closed = closeAssignments(
        withPass(withoutApprovals(state, event), () => ({ verdict, samples: null })),
        "waiting",
      );
      return stepAll(closed, { type: "PASS_ENDED" });
    }
    case "good.moved": {
      const { commit, tree } = body as Of<"good.moved">;
      return { ...state, lastGood: { commit, tree }, settle: null };
    }
    case "workspace.restored":
      return { ...state, settle: null };
    case "quest.escalated": {
      const { escalation, reason, detail } = body as Of<"quest.escalated">;
      const opened = { id: escalation, reason, detail, openedMs: event.timeMs, ruling: null };
      return stepAll(
        { ...closeAssignments(withoutHalt(state), "waiting"), status: "escalated", escalation: opened },
        { type: "ESCALATED" },
      );
    }
    case "ruling.made":
      return ruled(state, body as Of<"ruling.made">, event);
    case "change.integrated": {
      const { branch, commit } = body as Of<"change.integrated">;
      return { ...state, accepted: { branch, commit }, settle: null };
    }
    case "quest.ended": {
      const { ending, reason, fault } = body as Of<"quest.ended">;
      const alone = withoutApprovals(withoutHalt(withoutPause(state)), event);
      const closed = stepAll(closeAssignments(alone, "done"), { type: "ENDED" });
      return { ...closed, status: ending, ending: { ending, reason, fault, atMs: event.timeMs } };
    }
    case "approval.opened":
      return opened(state, body as Of<"approval.opened">, event);
    case "approval.granted":
      return decided(state, "granted", event);
    case "approval.denied":
      return decided(state, "denied", event);
    case "approval.expired":
      return decided(state, "expired", event);
    case "quest.paused": {
      const { why } = body as Of<"quest.paused">;
      return { ...state, pause: { why, by: event.actor.name, atMs: event.timeMs } };
    }
    case "quest.resumed":
      return withoutPause(state);
    case "quest.halted":
      return { ...state, halted: { atMs: event.timeMs } };
    case "quest.continued": {
      const { deadlineMs } = body as Of<"quest.continued">;
      return { ...withoutHalt(withHeldTurn(state, event.timeMs)), deadlineMs };
    }
    case "turn.offered":
    case "turn.taken":
    case "turn.freed":
    case "turn.answered":
    case "turn.breached":
      return withTurn(state, event);
    default:
      return state;
  }
}
