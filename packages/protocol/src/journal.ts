import { z } from "zod";
import { approvalEventBody } from "./approval.ts";
import { decision, escalationReason } from "./arbitration.ts";
import { type AskGrant, askEventBody } from "./ask.ts";
import { fault, type Grant, phase, report, settleOrder, task } from "./assignment.ts";
import { commandData } from "./command.ts";
import { actor, assignmentId, deadId, escalationId, gitOid, questId, sha256 } from "./identity.ts";
import { injectionEventBody } from "./injection.ts";
import { contextGiven, memoryEventBody } from "./memory.ts";
import { pauseEventBody } from "./pause.ts";
import { refusalEventBody } from "./refusal.ts";
import { sandboxLevels } from "./sandbox.ts";
import { supplied } from "./supply.ts";
import { turnEventBody } from "./turn.ts";
import { verdict } from "./verdict.ts";

export const endings = ["accepted", "reverted", "abandoned", "cancelled", "unfit"] as const;
/** How a quest ended. `unfit`: the target, its bench or the machine could not be judged on. */
export const ending = z.enum(endings);
export type Ending = z.infer<typeof ending>;

const pass = z.int().min(1);

const badEndings = { agent: z.string(), failures: z.int().min(1), sinceMs: z.int(), reason: z.string() };

/** The body of each event, by its type. An event is a fact that was committed; nothing in it is ever changed. */
export const eventBody = {
  "quest.submitted": z.object({ ...commandData.submit.shape, seed: z.string() }),
  /** The quest holds the measurement lease of this machine, and its first pass begins. */
  "quest.started": z.object({ deadlineMs: z.int() }),
  "pass.started": z.object({ pass, lastGood: z.object({ commit: gitOid, tree: gitOid }) }),
  "assignment.offered": z.object({
    assignment: assignmentId,
    pass,
    phase,
    task,
    settle: settleOrder.nullable(),
  }),
  "assignment.claimed": z.object({ assignment: assignmentId, agent: z.string(), epoch: z.int().min(1) }),
  /** What the next holder of the assignment is given beyond its task, once a pass, and what it looked up. */
  "context.given": contextGiven,
  /** What its holder does meanwhile: it waits for something, say. */
  "assignment.noted": z.object({ assignment: assignmentId, epoch: z.int(), text: z.string() }),
  "assignment.released": z.object({ assignment: assignmentId, epoch: z.int(), reason: z.string() }),
  "lease.expired": z.object({
    assignment: assignmentId,
    epoch: z.int(),
    agent: z.string(),
    reason: z.string(),
  }),
  "task.reported": z.object({ report }),
  /** A task that nobody finished, however often it was offered. */
  "task.failed": z.object({ assignment: assignmentId, pass, phase, task, fault }),
  /** A pass waits for a candidate from outside; `refused`: why the one before was not taken. */
  "candidate.awaited": z.object({ pass, fixer: z.int(), refused: fault.nullable() }),
  /** A pass waits for its fixer's quota; no agent and no running slot is held meanwhile. */
  "quota.awaited": z.object({ pass, fixer: z.int(), untilMs: z.int(), pauseMs: z.int(), said: z.string() }),
  "candidate.supplied": z.object({ pass, fixer: z.int(), supplied }),
  /** `cut`: why the pass was ended before its evidence was complete. */
  "pass.judged": z.object({
    pass,
    fixer: z.int().nullable(),
    tree: gitOid.nullable(),
    cut: z.string().nullable(),
    verdict,
  }),
  /** Last known-good moved to a proven gain below the goal. */
  "good.moved": z.object({ pass, commit: gitOid, tree: gitOid }),
  /** The workspace was put back, and its tree hash proves it. */
  "workspace.restored": z.object({ pass, tree: gitOid }),
  "quest.escalated": z.object({ escalation: escalationId, reason: escalationReason, detail: z.string() }),
  "ruling.made": z.object({
    escalation: escalationId,
    decision,
    reason: z.string(),
    guidance: z.string().nullable(),
  }),
  "change.integrated": z.object({ branch: z.string(), commit: gitOid, tree: gitOid }),
  "quest.ended": z.object({ ending, reason: z.string(), fault: fault.nullable() }),
  ...askEventBody,
  ...pauseEventBody,
  ...approvalEventBody,
  ...injectionEventBody,
  ...turnEventBody,
  ...refusalEventBody,
  ...memoryEventBody,
  "agent.joined": z.object({
    incarnation: z.string(),
    pid: z.int(),
    sandbox: z.enum(sandboxLevels).optional(),
  }),
  /** A node of a cluster leads from here on; no row behind this one is of an earlier tenure. */
  "leader.began": z.object({ node: z.string(), epoch: z.int().min(1) }),
  /** A command was refused; nothing changed but this record. */
  "command.refused": z.object({ verb: z.string(), code: z.string(), message: z.string() }),
  /** A message could not be read; its text is kept with the reason, or the first part of a long one. */
  "message.dead": z.object({
    subject: z.string(),
    code: z.string(),
    faults: z.array(z.string()),
    sha256,
    excerpt: z.string(),
  }),
  /** So many messages of this sender could not be read, and were counted only: enough of its letters are open. */
  "dead.counted": z.object({
    count: z.int().min(1),
    subject: z.string(),
    code: z.string(),
    fault: z.string(),
  }),
  /** Work of an agent, `role/name`, ended badly: so often in a row, since then. */
  "breaker.counted": z.object(badEndings),
  /** It is offered nothing for `pauseMs`, then one piece of work; `times`: how often that was in a row. */
  "breaker.opened": z.object({ ...badEndings, times: z.int().min(1), pauseMs: z.int().min(1) }),
  /** Its work ended well again. */
  "breaker.closed": z.object({ agent: z.string() }),
  /** A letter was read again; without faults it was carried out. */
  "dead.retried": z.object({ letter: deadId, faults: z.array(z.string()) }),
  "dead.dropped": z.object({ letter: deadId, reason: z.string() }),
} as const;

export const eventTypes = Object.keys(eventBody) as EventType[];
export type EventType = keyof typeof eventBody;
export type EventBody = { [T in EventType]: z.infer<(typeof eventBody)[T]> };

/** An event before it is committed: what happened, to which quest, by whom. */
export type NewEvent = {
  [T in EventType]: { type: T; quest: string | null; actor: z.infer<typeof actor>; body: EventBody[T] };
}[EventType];

/** A committed event, as the journal holds it and the journal stream carries it. */
export const journalRow = z.object({
  seq: z.int().min(1),
  /** `<seq>` of this installation; also the message id on the stream. */
  id: z.string(),
  timeMs: z.int(),
  type: z.enum(eventTypes as [EventType, ...EventType[]]),
  quest: questId.nullable(),
  actor,
  /** Id of the command that caused it; null for the orchestrator's own. */
  command: z.string().nullable(),
  body: z.unknown(),
  /** SHA-256 over the row and the hash before it (see the store). */
  hash: sha256,
});
export type JournalRow = z.infer<typeof journalRow>;

/** The same with its body typed by its type. */
export type JournalEvent = Omit<JournalRow, "type" | "body" | "quest" | "actor"> & NewEvent;

/** What a claim is answered with. */
export type ClaimAnswer =
  | { status: "granted"; grant: Grant }
  | { status: "asked"; leaseMs: number; asks: AskGrant[] }
  | { status: "none" };
