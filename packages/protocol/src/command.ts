import { z } from "zod";
import { approvalCommand } from "./approval.ts";
import { decision } from "./arbitration.ts";
import { ask, askPhases, askReport } from "./ask.ts";
import { progress, type Report, report } from "./assignment.ts";
import {
  agentName,
  askId,
  assignmentId,
  deadId,
  escalationId,
  gitOid,
  type Principal,
  principal,
  questId,
  sha256,
} from "./identity.ts";
import { limit } from "./limit.ts";
import { memoryCommand, projectContext } from "./memory.ts";
import { pauseScope, pauseWhy } from "./pause.ts";
import { questDocument } from "./quest.ts";
import { brokerRefusal } from "./refusal.ts";
import { sandboxLevels } from "./sandbox.ts";
import { suppliedShape } from "./supply.ts";
import { turnCommandData } from "./turn.ts";

const resolvedFixer = z.union([
  z.strictObject({ name: z.string(), sha256 }),
  z.strictObject({ name: z.string(), commit: gitOid }),
]);

const reason = z.string().trim().min(1).max(limit.reasonCharsMax);

const anyReport = z.discriminatedUnion("task", [
  report as unknown as z.ZodObject<{ task: z.ZodLiteral<Report["task"]> }>,
  askReport,
]) as unknown as z.ZodType<Report | z.infer<typeof askReport>>;

/** The data of each command, by the command's verb (the last token of its subject). */
export const commandData = {
  /** An agent's process has started; leases of an earlier process of the same name are taken back. */
  hello: z.strictObject({
    incarnation: z.string().min(1).max(64),
    pid: z.int().min(1),
    /** What its commands are shut in; who says nothing runs none. */
    sandbox: z.enum(sandboxLevels).optional(),
  }),
  /** Ask for work of the caller's role; waits at most `waitMs`. */
  claim: z.strictObject({
    waitMs: z.int().min(0).max(limit.claimWaitMsMax),
    /** How many asks the caller takes, where no assignment is offered; who says nothing gets none. */
    asks: z.int().min(0).max(limit.asksClaimedMax).optional(),
    /** The phases of asks that the caller takes; who says nothing takes all. Assignments come in any phase. */
    askPhases: askPhases.optional(),
  }),
  /** The agent stops: what it waits for is withdrawn, what it holds is given back. */
  leave: z.strictObject({}),
  renew: z.strictObject({
    assignment: z.union([assignmentId, askId]),
    epoch: z.int().min(1),
    /** Who says nothing is believed as long as it renews; of asks it is not asked. */
    progress: progress.optional(),
  }),
  /** What the holder of a lease does meanwhile, for people who wait: one line. */
  note: z.strictObject({
    assignment: assignmentId,
    epoch: z.int().min(1),
    text: z.string().trim().min(1).max(limit.noteCharsMax),
  }),
  report: anyReport,
  /** Give an assignment back undone. */
  release: z.strictObject({ assignment: z.union([assignmentId, askId]), epoch: z.int().min(1), reason }),
  ...memoryCommand,
  /** A question or task for one role, outside any quest; waits at most `waitMs` for its answer. */
  ask,
  submit: z.strictObject({
    document: questDocument,
    /** Absolute path of the folder of the quest file. */
    questDir: z.string().min(1),
    base: z.strictObject({ commit: gitOid, tree: gitOid }),
    resolved: z.array(resolvedFixer).max(limit.fixersMax),
    /** SHA-256 of everything above: submitting the same unfinished quest again answers with its id. */
    digest: sha256,
    /** The project's own documents, as they stand in `base.commit`. */
    context: projectContext.optional(),
  }),
  cancel: z.strictObject({ quest: questId, reason }),
  /** Stops a quest, a role or everything for a while; what is held may be finished. */
  pause: z.strictObject({ scope: pauseScope, why: pauseWhy }),
  resume: z.strictObject({ scope: pauseScope }),
  /** What was heard last of each agent that holds an assignment: it is not in the journal. */
  progress: z.strictObject({}),
  /** What candidates are asked for of programs; waits at most `waitMs` for one. */
  requests: z.strictObject({ waitMs: z.int().min(0).max(limit.claimWaitMsMax) }),
  /** A candidate from outside, for a pass that waits for one. */
  supply: z.strictObject({
    quest: questId,
    /** Refused when another pass waits by now. */
    pass: z.int().min(1).optional(),
    ...suppliedShape,
  }),
  ...turnCommandData,
  /** Read a dead letter again, as its sender's: what it may not do, it still may not. */
  retry: z.strictObject({ letter: deadId }),
  /** Nothing is to be done with a dead letter any more. */
  drop: z.strictObject({ letter: deadId, reason }),
  /** Ask an operator for a restricted operation, grant that, or deny it. */
  ...approvalCommand,
  /** The credential of this agent was taken back; what it holds is offered again at once. */
  revoke: z.strictObject({ role: principal, name: agentName }),
  /** What the broker refused, for the record: its log says it, and nobody else does. */
  refusals: z.strictObject({ refusals: z.array(brokerRefusal).min(1).max(limit.refusalsToldMax) }),
  rule: z.strictObject({
    escalation: escalationId,
    decision,
    reason,
    guidance: z.string().trim().min(1).max(limit.reasonCharsMax).nullable(),
  }),
} as const;

export const verbs = Object.keys(commandData) as (keyof typeof commandData)[];
export type Verb = keyof typeof commandData;
export type CommandData = { [V in Verb]: z.infer<(typeof commandData)[V]> };

/** Who may send which command; the broker's permissions are made from it, and the orchestrator checks it again. */
const agentVerbs = [
  "hello",
  "claim",
  "leave",
  "renew",
  "note",
  "report",
  "release",
  "approval",
  "monitor",
  "read",
  "respond",
  "remember",
  "recall",
] as const satisfies readonly Verb[];
export const verbsOf: Record<Principal, readonly Verb[]> = {
  architect: agentVerbs,
  performance: agentVerbs,
  qa: agentVerbs,
  ops: agentVerbs,
  operator: [
    "submit",
    "cancel",
    "progress",
    "supply",
    "ask",
    "pause",
    "resume",
    "retry",
    "drop",
    "grant",
    "deny",
    "revoke",
    "refusals",
    "remember",
    "forget",
  ],
  arbiter: ["rule"],
  worker: ["requests", "supply"],
};

const faultShape = z.object({
  code: z.string(),
  message: z.string(),
  where: z.string().optional(),
  next: z.string().optional(),
});

/** Every answer: what was committed, or every fault. `seq` is the journal's last row that the command wrote. */
export const answer = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true), seq: z.int().min(0), data: z.unknown() }),
  z.object({ ok: z.literal(false), faults: z.array(faultShape).min(1), retryable: z.boolean() }),
]);
export type Answer = z.infer<typeof answer>;
