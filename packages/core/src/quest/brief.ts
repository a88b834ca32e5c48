import { assignmentOf, type Brief, type Grant, limit, networkUsers, type Role } from "@questbus/protocol";
import { grantedOperations, isNetworkGranted } from "../approval/approval.ts";
import { stepMachine } from "../assignment/machine.ts";
import { stepOf } from "../assignment/schedule.ts";
import { fixersTried, isFixerLeft } from "../fixer/left.ts";
import { passAlpha, passSeed } from "./judge-pass.ts";
import { analysisOf, currentPass, keptGain, machineOf, type QuestState } from "./state.ts";

const endsWithRuling = ({ escalation }: QuestState): boolean =>
  escalation?.ruling?.decision === "revert" || escalation?.ruling?.decision === "abandon";

const passLeft = (state: QuestState): boolean =>
  stepMachine(machineOf(state), { type: "PASS_STARTED" }) !== null && isFixerLeft(state);

/** The quest, with the network for those of whom an operator has granted it since. */
function grantedSpec(state: QuestState): Brief["spec"] {
  const { spec } = state;
  const users = networkUsers.filter((user) => isNetworkGranted(state, user));
  if (users.length === 0) return spec;
  const network = networkUsers.filter((user) => users.includes(user) || spec.allow.network?.includes(user));
  return { ...spec, allow: { ...spec.allow, network } };
}

/** What the holder of a role's lease needs to do its task; the texts of what it was given beyond that are the store's. */
export function grantOf(state: QuestState, role: Role): Grant {
  const assignment = state.assignments[role];
  const task = assignment.task;
  if (!task) throw new RangeError(`${state.id}: ${role} has no task`);
  const pass = currentPass(state);
  const n = Math.max(1, machineOf(state).context.pass);
  const brief: Brief = {
    quest: state.id,
    ...fixersTried(state),
    spec: grantedSpec(state),
    approved: grantedOperations(state),
    questDir: state.questDir,
    pass: n,
    phase: stepOf(task).phase,
    task,
    base: state.base,
    lastGood: state.lastGood,
    candidate: pass?.candidate ?? null,
    original: pass?.original ?? null,
    fixer: pass?.fixer ?? null,
    supplied: task === "produce" ? (pass?.supplied ?? null) : null,
    quota: { waits: pass?.quota?.waits ?? 0, waitedMs: pass?.quota?.waitedMs ?? 0 },
    seed: passSeed(state, n),
    alpha: passAlpha,
    flaky: state.flaky,
    suiteRed: pass?.suiteRed ?? false,
    samples: task === "guard" ? (pass?.samples ?? null) : null,
    settle: state.settle,
    lastSettle: endsWithRuling(state) || pass?.verdict?.verdict === "ENV_UNFIT" || !passLeft(state),
    target: state.target,
    analysis: analysisOf(state),
    kept: keptGain(state),
    guidance: state.escalation?.ruling?.guidance ?? null,
    findings: pass?.findings ?? [],
    context: [],
    memories: [],
  };
  return {
    assignment: assignmentOf(state.id, role),
    role,
    epoch: assignment.epoch,
    leaseMs: limit.leaseMs,
    brief,
  };
}
