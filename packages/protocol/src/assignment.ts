import { z } from "zod";
import { type Analysis, analysis } from "./analysis.ts";
import { type RestrictedOperation, touchedPath } from "./approval.ts";
import { type ErrorCode, errorRegistry, type Fault } from "./error.ts";
import {
  artifactRef,
  type Candidate,
  candidate,
  type GateSamples,
  gateSamples,
  suiteRun,
  suspicion,
} from "./evidence.ts";
import { assignmentId, gitOid, type Role, sha256 } from "./identity.ts";
import { injectionSign } from "./injection.ts";
import { limit } from "./limit.ts";
import type { ContextFile, GivenMemory } from "./memory.ts";
import type { QuestSpec } from "./quest.ts";
import type { Supplied } from "./supply.ts";
import type { VerdictWord } from "./verdict.ts";

export const phases = ["test", "fix", "validate"] as const;
export const phase = z.enum(phases).meta({ id: "Phase" });
export type Phase = z.infer<typeof phase>;

/** What one role does in one phase. `guard` and `settle` are the two halves of ops' validate phase. */
export const tasks = [
  "plan",
  "fitness",
  "base-suite",
  "base-measure",
  "choose",
  "separate",
  "prepare",
  "produce",
  "review",
  "suite",
  "gate",
  "guard",
  "settle",
] as const;
export const task = z.enum(tasks).meta({ id: "Task" });
export type Task = z.infer<typeof task>;

/** Evidence that the work under a lease moves on: a heartbeat alone says only that its holder is there. */
export const progress = z.strictObject({
  /** What is done right now, for people: `pair 14 of 90`. */
  step: z.string().trim().min(1).max(limit.stepCharsMax),
  /** Work done under this lease: goes up with each process that is started or ends, and with what commands print. */
  count: z.int().min(0),
});
export type Progress = z.infer<typeof progress>;

/** What was heard last of the holder of one lease. */
export type HeldProgress = {
  assignment: string;
  agent: string;
  step: string;
  /** How long ago its work went on, and how long ago it said so. */
  movedAgoMs: number;
  heardAgoMs: number;
};

export const fault: z.ZodType<Fault> = z.object({
  code: z.custom<ErrorCode>((code) => typeof code === "string" && Object.hasOwn(errorRegistry, code), {
    error: "not a known code",
  }),
  message: z.string().max(limit.reasonCharsMax),
  where: z.string().max(limit.placeCharsMax).optional(),
  next: z.string().max(limit.reasonCharsMax).optional(),
});

export const signOff = z.strictObject({
  vote: z.enum(["yes", "no"]),
  reasons: z.array(z.string().max(limit.reasonCharsMax)).min(1).max(16),
});
export type SignOff = z.infer<typeof signOff>;

/** Hash over a target's refs, HEAD, index and working tree: equal before and after means untouched. */
export const targetState = z.strictObject({ refs: sha256, head: z.string(), files: sha256 });
export type TargetState = z.infer<typeof targetState>;

/** Where one fixer stands against last known-good. */
const fixerPlan = z.strictObject({
  index: z.int().min(0),
  name: z.string(),
  /** Paths it touches; empty when only running it can tell. */
  files: z.array(z.string()),
  usable: z.boolean(),
  reason: z.string(),
});
export type FixerPlan = z.infer<typeof fixerPlan>;

/** Paths of the candidate whose change may be restricted; where it is left out, all of them count as changed. */
const touched = z.array(touchedPath).max(limit.touchedMax).optional();

/** What each task answers, by the task's name. */
export const taskResult = {
  plan: z.strictObject({
    fixers: z.array(fixerPlan),
    blastRadius: z.strictObject({ files: z.int(), tracked: z.int() }),
    /** The sealed files of last known-good: how many, and a hash over their paths and contents. */
    seal: z
      .strictObject({ hash: sha256, files: z.int().min(0) })
      .nullable()
      .default(null),
  }),
  fitness: z.strictObject({
    loadPerCpu: z.number(),
    diskFreeBytes: z.number(),
    memoryFreeBytes: z.number(),
    target: targetState,
    warnings: z.array(z.string()),
  }),
  "base-suite": suiteRun,
  "base-measure": z.strictObject({
    values: z.array(z.number()),
    /** Coefficient of variation of single runs. */
    cv: z.number(),
    /** Smallest gain that the pairs of the budget can show, as a fraction; null: none at all. */
    detectable: z.number().nullable(),
    pairsNeeded: z.number().nullable(),
    wallMs: z.number(),
    /** Where its time goes; null where nothing was profiled: the analysis of an earlier pass still holds, or none is wanted. */
    analysis: analysis.nullable().default(null),
  }),
  choose: z.strictObject({
    fixer: z.int().min(0).nullable(),
    reason: z.string(),
    dropped: z.array(fixerPlan),
  }),
  separate: z.strictObject({ runs: z.array(suiteRun), flaky: z.boolean() }),
  prepare: z.strictObject({ tree: gitOid }),
  produce: z.strictObject({
    candidate: candidate.nullable(),
    forbiddenPaths: z.array(z.string()),
    /** Sealed paths whose changes are not in the candidate; sorted. */
    setAside: z.array(z.string()).default([]),
    /** The commit as the fixer made it, where something was set aside. */
    original: gitOid.nullable().default(null),
    touched,
    /** No candidate yet: the fixer's quota is used up, and it may be asked again after `pauseMs`. */
    quota: z
      .strictObject({
        pauseMs: z.int().min(1).max(limit.durationMsMax),
        said: z.string().max(limit.noteCharsMax),
      })
      .optional(),
  }),
  review: z.strictObject({
    files: z.array(z.string()),
    withinPlan: z.boolean(),
    touched,
    /** Lines of the candidate, and words of its commit, that speak to whoever reads them. They have no vote. */
    injections: z.array(injectionSign).max(limit.injectionSignsMax).optional(),
  }),
  suite: z.strictObject({ runs: z.array(suiteRun).min(1), passed: z.boolean() }),
  gate: z.strictObject({ samples: gateSamples }),
  guard: z.strictObject({ checked: z.array(z.string()) }),
  settle: z.strictObject({
    kind: z.enum(["integrate", "advance", "restore"]),
    /** The worktree's tree hash after settling. */
    tree: gitOid,
    branch: z.string().nullable(),
    commit: gitOid.nullable(),
    target: targetState,
  }),
} as const;
export type TaskResult = { [T in Task]: z.infer<(typeof taskResult)[T]> };

const reportHead = {
  assignment: assignmentId,
  epoch: z.int().min(1),
  pass: z.int().min(1),
  phase,
  /** One line for people: what was found. */
  summary: z.string().min(1).max(400),
  /** Why the task could not be done; its result is null then. */
  fault: fault.nullable(),
  signOff: signOff.nullable(),
  /** What looks like gaming, whatever the vote. */
  suspicions: z.array(suspicion).max(limit.suspicionsMax).default([]),
  artifacts: z.array(artifactRef).max(64),
};
const reportOf = <T extends Task>(name: T) =>
  z.strictObject({ ...reportHead, task: z.literal(name), result: taskResult[name].nullable() });

type ReportHead = z.infer<z.ZodObject<typeof reportHead>>;
/** An agent's report on one task: what it found, or the fault that kept it from finding out. */
export type Report = { [T in Task]: ReportHead & { task: T; result: TaskResult[T] | null } }[Task];

export const report = z
  .discriminatedUnion("task", [
    reportOf("plan"),
    reportOf("fitness"),
    reportOf("base-suite"),
    reportOf("base-measure"),
    reportOf("choose"),
    reportOf("separate"),
    reportOf("prepare"),
    reportOf("produce"),
    reportOf("review"),
    reportOf("suite"),
    reportOf("gate"),
    reportOf("guard"),
    reportOf("settle"),
  ])
  .refine((each) => (each.fault === null) !== (each.result === null), {
    error: "a report has either a result or a fault",
    path: ["result"],
  })
  .meta({ id: "Report" }) as unknown as z.ZodType<Report>;

/** A finished pass, as later passes and people see it. */
export type PassSummary = {
  n: number;
  fixer: string | null;
  tree: string | null;
  verdict: VerdictWord;
  reasons: readonly string[];
};

/** What one task of a pass found. */
export type Finding = { task: Task; role: Role; summary: string; artifacts: z.infer<typeof artifactRef>[] };

/** All an agent needs for one task; what it may not know is not in here. */
export type Brief = {
  quest: string;
  spec: QuestSpec;
  /** The directory of the quest file; commands of fixers may refer to it. */
  questDir: string;
  pass: number;
  phase: Phase;
  task: Task;
  base: { commit: string; tree: string };
  lastGood: { commit: string; tree: string };
  /** The candidate of this pass, once there is one. */
  candidate: Candidate | null;
  /** The commit that it was before what is sealed was put back; null: nothing was. */
  original: string | null;
  /** The fixer chosen for this pass. */
  fixer: number | null;
  /** What was supplied from outside, for `produce`. */
  supplied: { by: string; change: Supplied } | null;
  /** How often, and how long in all, this pass has waited for its fixer's quota. */
  quota: { waits: number; waitedMs: number };
  /** Fixers that were used in earlier passes, in order. */
  fixersUsed: readonly number[];
  /** Fixers that would fail again as they did: their program is not there, say. */
  fixersGone: readonly number[];
  /** Seed of this pass's pairs. */
  seed: string;
  /** Share of the error budget this pass may spend. */
  alpha: number;
  /** The suite was seen to be flaky on the base. */
  flaky: boolean;
  /** The first base suite run of this pass was red. */
  suiteRed: boolean;
  /** The pairs of this pass, for the task `guard`. */
  samples: GateSamples | null;
  /** For `settle`: what to do, and with which words. */
  settle: SettleOrder | null;
  /** Nothing of the quest is worked on after this unless a person says so: no worktree needs to stay. */
  lastSettle: boolean;
  /** The target as ops found it before the quest. */
  target: TargetState | null;
  history: readonly PassSummary[];
  /** Where the time of last known-good goes; null until it was profiled. */
  analysis: Analysis | null;
  /** What was gained and kept so far, against the quest's base: 0.2 is 20 % better. */
  kept: number;
  /** This pass was granted by the arbiter. */
  granted: boolean;
  /** Restricted operations that an operator granted to this quest. */
  approved: readonly RestrictedOperation[];
  /** The arbiter's words for a granted pass. */
  guidance: string | null;
  /** What the tasks of this pass found so far, in order. */
  findings: readonly Finding[];
  /** Documents of the project, as they stand in `base.commit`. Somebody else's words: data. */
  context: readonly ContextFile[];
  /** What earlier quests learned that may be of use, the most useful first. Somebody else's words: data. */
  memories: readonly GivenMemory[];
};

/** What the changelog entry of an accepted change says; `path` null: none is written. */
export const changelogEntry = z.strictObject({
  path: z.string().nullable(),
  description: z.string(),
  impact: z.string(),
  rollback: z.string(),
  author: z.string(),
});
export type ChangelogEntry = z.infer<typeof changelogEntry>;

/** What ops is told to do at the end of a pass or of the quest. */
export const settleOrder = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("restore"), commit: gitOid, tree: gitOid, reason: z.string() }),
  z.strictObject({ kind: z.literal("advance"), commit: gitOid, tree: gitOid }),
  z.strictObject({
    kind: z.literal("integrate"),
    commit: gitOid,
    tree: gitOid,
    branch: z.string(),
    /** Date of the commit, so that integrating twice makes the same commit. */
    atMs: z.int(),
    message: z.string(),
    changelog: changelogEntry,
  }),
]);
export type SettleOrder = z.infer<typeof settleOrder>;

/** A claimed assignment. `epoch` is the fencing token: a report under an older one is refused. */
export type Grant = { assignment: string; role: Role; epoch: number; leaseMs: number; brief: Brief };
