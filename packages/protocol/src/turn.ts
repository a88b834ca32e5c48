import { z } from "zod";
import { statedShape } from "./certainty.ts";
import { questId, role } from "./identity.ts";
import { limit } from "./limit.ts";

/**
 * Quest mode: a leader and workers of a quest take turns on one conversation, and make a candidate in it. What each
 * message may say, what becomes of it in the journal, and what those who take part are answered. See docs/turns.md.
 */

/** What becomes of a quest in whose conversation the rules were broken. */
export const breachPolicies = ["warn", "pause", "cancel"] as const;
export type BreachPolicy = (typeof breachPolicies)[number];

/** How an agent answers its turn. */
const turnStatus = z.enum(["completed", "clarification", "blocked"]);

const turn = z.int().min(1);

/** A change that goes with an answer: a unified diff against last known-good, or the one of an earlier turn. */
const turnChange = z.union([
  z.strictObject({ patch: z.string().min(1).max(limit.suppliedPatchCharsMax) }),
  z.strictObject({ turn }),
]);

export const turnAnswerShape = {
  status: turnStatus,
  message: z.string().trim().min(1).max(limit.turnCharsMax),
  /** The files that the change touches: exactly those of its diff, and none without a change. */
  files: z.array(z.string().min(1).max(512)).max(limit.turnFilesMax).default([]),
  ...statedShape,
  /** Whose turn is next: only the leader says so. */
  next: role.nullable().default(null),
  change: turnChange.nullable().default(null),
} as const;
const turnAnswer = z.object(turnAnswerShape);
/** One message of a quest's conversation. */
export type TurnAnswer = z.infer<typeof turnAnswer>;

/** The data of the commands of quest mode. */
export const turnCommandData = {
  /** Whose turn is it: waits at most `waitMs` until it is the sender's. Without a quest: in any. */
  monitor: z.strictObject({
    quest: questId.optional(),
    waitMs: z.int().min(0).max(limit.monitorWaitMsMax),
  }),
  /** A page of a quest's conversation; `after`: the last entry that is known. */
  read: z.strictObject({
    quest: questId,
    after: z.int().min(0).default(0),
    limit: z.int().min(1).max(limit.turnsReadMax).default(limit.turnsReadMax),
  }),
  /** The answer of the turn `turn`. */
  respond: z.strictObject({ quest: questId, turn, ...turnAnswerShape }),
} as const;

const pass = z.int().min(1);

/** Bodies of the events of a conversation. */
export const turnEventBody = {
  /** A turn is a role's until `untilMs`; `said`: what it should know of the way there. */
  "turn.offered": z.object({ pass, turn, role, untilMs: z.int(), said: z.string().nullable() }),
  /** An agent of that role has it: the conversation's current agent. */
  "turn.taken": z.object({ pass, turn, role, agent: z.string(), untilMs: z.int() }),
  /** That agent has left or was revoked: its role's turns are another's, and nobody broke a rule. */
  "turn.freed": z.object({ pass, turn, role, agent: z.string() }),
  "turn.answered": z.object({ pass, turn, answer: turnAnswer }),
  /** A rule of the conversation was broken by `by`, `role/name` or a role; what follows says `policy`. */
  "turn.breached": z.object({
    pass,
    turn,
    by: z.string(),
    code: z.string(),
    message: z.string(),
    policy: z.enum(breachPolicies),
  }),
} as const;
