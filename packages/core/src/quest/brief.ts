import { assignmentOf, type Brief, type Grant, limit, type PassSummary, type Role } from "@questbus/protocol";
import { stepMachine } from "../assignment/machine.ts";
import { stepOf } from "../assignment/schedule.ts";
import { type FixersTried, fixersGone, fixersLeft } from "../fixer/left.ts";
import { passAlpha, passSeed } from "./judge-pass.ts";
import {
  analysisOf,
  currentPass,
  keptGain,
  machineOf,
  type PassState,
  provenPasses,
  type QuestState,
} from "./state.ts";

function summaryOf(state: QuestState, pass: PassState): PassSummary[] {
  if (!pass.verdict) return [];
  const fixer = pass.fixer === null ? null : (state.spec.fixers[pass.fixer]?.name ?? null);
  return [
    {
      n: pass.n,
      fixer,
      tree: pass.candidate?.tree ?? null,
      verdict: pass.verdict.verdict,
      reasons: pass.verdict.reasons,
    },
  ];
}

/** The passes that were judged, as later passes and people see them. */
export const historyOf = (state: QuestState): PassSummary[] =>
  state.passes.flatMap((each) => summaryOf(state, each));

const isGranted = ({ escalation }: QuestState): boolean => escalation?.ruling?.decision === "retry";

/**
 * What is known of the fixers for the next choice; an arbiter who grants a pass has seen to those that were gone. A
 * fixer is not used up by a pass that the machine spoiled, nor by a gain that could not be kept or integrated.
 */
function fixersTried(state: QuestState, granted: boolean): FixersTried {
  const kept = provenPasses(state);
  const counted = state.passes.filter((pass) => {
    const word = pass.verdict?.verdict;
    return word !== "ENV_UNFIT" && word !== "ACCEPT" && (word !== "KEEP" || kept.includes(pass));
  });
  return {
    spec: state.spec,
    fixersUsed: counted.flatMap(({ fixer }) => (fixer === null ? [] : [fixer])),
    fixersGone: granted ? [] : fixersGone(state),
    history: historyOf(state),
    granted,
  };
}

/** Whether a further pass could have a candidate; `granted`: one that the arbiter grants. */
export const isFixerLeft = (state: QuestState, granted = isGranted(state)): boolean =>
  fixersLeft(fixersTried(state, granted)).length > 0;

const endsWithRuling = ({ escalation }: QuestState): boolean =>
  escalation?.ruling?.decision === "revert" || escalation?.ruling?.decision === "abandon";

const passLeft = (state: QuestState): boolean =>
  stepMachine(machineOf(state), { type: "PASS_STARTED" }) !== null && isFixerLeft(state);

/** What the holder of a role's lease needs to do its task. */
export function grantOf(state: QuestState, role: Role): Grant {
  const assignment = state.assignments[role];
  const task = assignment.task;
  if (!task) throw new RangeError(`${state.id}: ${role} has no task`);
  const pass = currentPass(state);
  const n = Math.max(1, machineOf(state).context.pass);
  const brief: Brief = {
    quest: state.id,
    ...fixersTried(state, isGranted(state)),
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
  };
  return {
    assignment: assignmentOf(state.id, role),
    role,
    epoch: assignment.epoch,
    leaseMs: limit.leaseMs,
    brief,
  };
}
