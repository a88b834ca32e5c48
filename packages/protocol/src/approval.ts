import { z } from "zod";
import { artifactRef } from "./evidence.ts";
import { approvalId, assignmentId, gitOid, sha256 } from "./identity.ts";
import { limit } from "./limit.ts";
import { networkUsers } from "./sandbox.ts";

/** Operations that need an operator's word before anything of them takes effect. */

/** `git`: hooks, attributes and other settings of git; `mcp`: which tools and programs coding agents are given. */
const restrictedKinds = ["dependencies", "git", "mcp", "network"] as const;
export const restrictedKind = z.enum(restrictedKinds);

export const restrictedOperation = z.object({
  kind: restrictedKind,
  /** A path of the candidate; of the network, whose commands. */
  where: z.string().max(limit.placeCharsMax),
  /** What is done there, for people. */
  what: z.string().max(limit.reasonCharsMax),
  /** Of what would be there: an operation with another digest is another one. */
  digest: sha256,
});
export type RestrictedOperation = z.infer<typeof restrictedOperation>;

/**
 * A path of a candidate whose change may be restricted, as it is in the repository: the evidence from which that is
 * decided. Texts only of files that are restricted in part; one that is left out counts as changed in that part.
 */
export const touchedPath = z.strictObject({
  path: z.string(),
  /** The id of its content; null: it is removed. */
  oid: gitOid.nullable(),
  before: z.string().max(limit.touchedCharsMax).nullable(),
  after: z.string().max(limit.touchedCharsMax).nullable(),
});
export type TouchedPath = z.infer<typeof touchedPath>;

const reason = z.string().trim().min(1).max(limit.reasonCharsMax);

/** What the holder of a lease asks an operator for. */
const approvalAsk = z.strictObject({
  assignment: assignmentId,
  epoch: z.int().min(1),
  kind: restrictedKind,
  /** The operation in the asker's words; of `network`, whose commands want it. */
  what: reason,
  users: z.array(z.enum(networkUsers)).min(1).max(networkUsers.length).optional(),
  why: reason,
});

/** The task that waits for the operator's word; null: its asker goes on meanwhile. */
const heldTask = z.enum(["produce", "suite"]).nullable();

const decided = {
  approval: approvalId,
  /** As it was opened: what is granted is that, and nothing else. */
  hash: sha256,
  /** When the quest's time is up now, which stood meanwhile; null: it did not. */
  deadlineMs: z.int().nullable(),
};

const opened = {
  approval: approvalId,
  pass: z.int().min(1),
  /** Who asks, for people. */
  asker: z.string(),
  why: z.string(),
  operations: z.array(restrictedOperation).min(1).max(limit.operationsMax),
  diff: artifactRef.nullable(),
  /** Over the diff, the tree that it leads to, and the operations. */
  hash: sha256,
  before: heldTask,
  expiresMs: z.int(),
};

/** The bodies of the events of approvals. */
export const approvalEventBody = {
  "approval.opened": z.object(opened),
  "approval.granted": z.object({ ...decided, reason: z.string().nullable() }),
  "approval.denied": z.object({ ...decided, reason: z.string() }),
  /** Nobody decided in time: that is a no. */
  "approval.expired": z.object(decided),
} as const;

/** The data of the commands of approvals. */
export const approvalCommand = {
  approval: approvalAsk,
  grant: z.strictObject({ approval: approvalId, reason: reason.optional() }),
  deny: z.strictObject({ approval: approvalId, reason }),
} as const;

/** `withdrawn`: what it was about is over. */
export type ApprovalStatus = "open" | "granted" | "denied" | "expired" | "withdrawn";

/** An approval as it stands. */
export type Approval = Readonly<z.infer<z.ZodObject<Omit<typeof opened, "approval">>>> & {
  id: string;
  openedMs: number;
  /** Null while it is open. */
  decision: {
    word: Exclude<ApprovalStatus, "open">;
    by: string;
    reason: string | null;
    atMs: number;
  } | null;
};

/** What `approval`, `grant` and `deny` are answered with. */
export type ApprovalAnswer = {
  approval: string;
  status: ApprovalStatus;
  reason: string | null;
  expiresMs: number;
};
