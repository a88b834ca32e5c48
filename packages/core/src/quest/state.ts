import type {
  Actor,
  Analysis,
  Approval,
  Candidate,
  CommandData,
  Decision,
  Ending,
  EscalationReason,
  Fault,
  Finding,
  GateSamples,
  PassSummary,
  QuestSpec,
  RestrictedOperation,
  Role,
  SettleOrder,
  SignOff,
  Supplied,
  Suspicion,
  TargetState,
  Task,
  TestCount,
  Verdict,
} from "@questbus/protocol";
import type { MachineState } from "../assignment/machine.ts";
import type { ConversationState } from "../turn/state.ts";

/** A tree that may be built on, with the commit (in the quest's private repository) that carries it. */
export type Good = { commit: string; tree: string };

/** One role's piece of a quest. */
export type AssignmentState = {
  machine: MachineState;
  /** waiting: nothing to do now. offered: anyone of the role may claim. leased: held under `epoch`. done: over. */
  status: "waiting" | "offered" | "leased" | "done";
  task: Task | null;
  /** Fencing token: goes up with each claim, never down. */
  epoch: number;
  /** How often its present task was offered. */
  offers: number;
  agent: string | null;
  /** What its holder said last about the work at hand. */
  note: string | null;
};

/** What is known of one pass; the verdict is a function of it (see `evidenceOf`). */
export type PassState = {
  n: number;
  lastGood: Good;
  fixer: number | null;
  /** The pass waits for a candidate from outside. */
  awaited: { refused: Fault | null } | null;
  /** What was supplied, until the candidate is made of it. */
  supplied: { by: string; change: Supplied } | null;
  /** Supplied candidates that were not taken. */
  refusals: number;
  /** Waits for its fixer's quota; `untilMs` null: the last one is over. Without the key there was none. */
  quota?: { untilMs: number | null; waits: number; waitedMs: number; said: string };
  /** It waits, or has waited, for that approval; null: its task was offered since. */
  held?: { approval: string; before: Task } | null;
  /** Paths whose change may be restricted, as roles found them in the repository, and what of it is. */
  shown?: { path: string; operations: RestrictedOperation[] }[];
  candidate: Candidate | null;
  /** The commit it was before what is sealed was put back; null: nothing was. */
  original: string | null;
  /** Sealed paths whose changes are not in the candidate. */
  setAside: string[];
  forbiddenPaths: string[];
  /** Signs of gaming that any role reported. */
  suspicions: Suspicion[];
  changedNothing: boolean;
  /** Why the target or the machine could not be judged on. */
  unfit: Fault | null;
  /** Why there is no candidate, or why it could not be run. */
  crash: Fault | null;
  suiteRed: boolean;
  /** How many tests the green suite of its last known-good ran; null: it does not say. */
  baseTests: TestCount | null;
  tests: "passed" | "failed" | null;
  /** Where the time of its last known-good goes, where this pass found out. */
  analysis: Analysis | null;
  /** Dropped once judged: the journal's `task.reported` keeps them. */
  samples: GateSamples | null;
  signOffs: Partial<Record<Role, SignOff>>;
  verdict: Verdict | null;
  findings: Finding[];
  /** Memories that each role was given; without the key none was. */
  given?: Partial<Record<Role, readonly string[]>>;
};

export type EscalationState = {
  id: string;
  reason: EscalationReason;
  detail: string;
  openedMs: number;
  ruling: { decision: Decision; reason: string; guidance: string | null; by: string; atMs: number } | null;
};

/** queued: waits for the measurement lease of this machine. */
export type QuestStatus = "queued" | "running" | "escalated" | Ending;

/** The whole of a quest; a fold of its events, and nothing else. */
export type QuestState = {
  id: string;
  spec: QuestSpec;
  questDir: string;
  digest: string;
  author: string;
  status: QuestStatus;
  createdMs: number;
  /** Null until it runs; then the end of its wall-clock budget. */
  deadlineMs: number | null;
  seed: string;
  base: Good;
  lastGood: Good;
  target: TargetState | null;
  flaky: boolean;
  assignments: Record<Role, AssignmentState>;
  task: Task | null;
  settle: SettleOrder | null;
  passes: PassState[];
  escalation: EscalationState | null;
  accepted: { branch: string; commit: string } | null;
  ending: { ending: Ending; reason: string; fault: Fault | null; atMs: number } | null;
  /** An operator paused it; without the key it is not paused, as in states of earlier releases. */
  pause?: { why: string; by: string; atMs: number };
  /** What operators were asked to approve, in order; without the key, nothing was. */
  approvals?: Approval[];
  /** It stands since then: its clock is stopped, and nothing of it is offered (see `pause/withheld.ts`). */
  halted?: { atMs: number };
  /** The conversation of the last pass that had one; without the key there was none. */
  conversation?: ConversationState;
};

export type Submission = CommandData["submit"];

export const currentPass = (state: QuestState): PassState | null => state.passes.at(-1) ?? null;

export const isEnded = (state: QuestState): boolean => state.ending !== null;

/** The agent works on it now. */
export function isHeldBy({ assignments }: QuestState, { role, name }: Actor): boolean {
  const { status, agent } = assignments[role as Role];
  return status === "leased" && agent === name;
}

/** Something was proven and kept: last known-good is no longer the base. */
export const hasKept = (state: QuestState): boolean => state.lastGood.tree !== state.base.tree;

/** The passes whose change is in what would be integrated now: those that were kept, and a last one that reached the goal. */
export function provenPasses(state: QuestState): PassState[] {
  return state.passes.filter((pass, at) => {
    const next = state.passes[at + 1];
    if (pass.verdict?.verdict === "ACCEPT") return !next;
    const after = next?.lastGood ?? state.lastGood;
    return pass.verdict?.verdict === "KEEP" && after.tree === pass.candidate?.tree;
  });
}

/** What may be integrated: the candidate of a last pass that reached the goal, else what was kept; null: nothing is proven. */
export function provenGood(state: QuestState): Good | null {
  if (state.spec.intent === "validate") return null;
  const pass = currentPass(state);
  if (pass?.candidate && pass.verdict?.verdict === "ACCEPT") return pass.candidate;
  return hasKept(state) ? state.lastGood : null;
}

/**
 * The commit of the target that a quest was accepted with, and the name it has there: what was integrated, or the commit
 * that `validate` was given. Null where there is none: not accepted, a patch file, or a watch, which accepts nothing.
 */
export function acceptedChange({
  spec,
  status,
  accepted,
}: QuestState): { name: string; commit: string } | null {
  if (accepted) return { name: accepted.branch, commit: accepted.commit };
  const [given] = spec.fixers;
  if (spec.intent !== "validate" || spec.watch !== null || status !== "accepted") return null;
  return given?.kind === "commit" ? { name: given.name, commit: given.commit } : null;
}

/** Where the time of last known-good goes; null when that was not found out, or last known-good has moved since. */
export const analysisOf = ({ passes, lastGood }: QuestState): Analysis | null =>
  passes.findLast((pass) => pass.analysis !== null && pass.lastGood.tree === lastGood.tree)?.analysis ?? null;

/** The gain of last known-good over the quest's base, as measured. */
export function keptGain(state: QuestState): number {
  const verdict = hasKept(state) ? provenPasses(state).findLast(isKept)?.verdict : null;
  return (verdict?.total ?? verdict?.effect)?.estimate ?? 0;
}

const isKept = ({ verdict }: PassState): boolean => verdict?.verdict === "KEEP";

export const machineOf = (state: QuestState): MachineState => state.assignments.architect.machine;

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
