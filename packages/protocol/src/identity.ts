import { z } from "zod";

/** The four role agents, in the order in which a pass asks them. */
export const roles = ["architect", "performance", "qa", "ops"] as const;
export const role = z.enum(roles).meta({ id: "Role" });
export type Role = z.infer<typeof role>;

/** Who may speak on the bus besides the role agents. */
export const principals = [...roles, "operator", "arbiter", "worker"] as const;
export const principal = z.enum(principals);
export type Principal = z.infer<typeof principal>;

/** The name of one agent or person, as its credential gives it; one token of a subject. */
export const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: "use a-z, 0-9 and -, at most 63" });

/** Who acted: the role of the credential and its name. The orchestrator itself acts as `orchestrator`. */
export const actor = z.object({ role: z.union([principal, z.literal("orchestrator")]), name: agentName });
export type Actor = z.infer<typeof actor>;

/** Who acts where nobody that is known sent a command. */
export const orchestratorActor: Actor = { role: "orchestrator", name: "orchestrator" };

export const questId = z.string().regex(/^q-[a-z0-9]{8}$/, { error: "a quest id looks like q-7k3m9x2p" });
export const assignmentId = z.string().regex(/^q-[a-z0-9]{8}\.(architect|performance|qa|ops)$/);
export const escalationId = z
  .string()
  .regex(/^e-[a-z0-9]{8}$/, { error: "an escalation id looks like e-7k3m9x2p" });
/** The quest that it is of, and which of its approvals it is. */
export const approvalId = z.string().regex(/^q-[a-z0-9]{8}\.approval-[1-9][0-9]{0,3}$/, {
  error: "an approval id looks like q-7k3m9x2p.approval-1",
});
/** The row of the journal that the letter came with. */
export const deadId = z
  .string()
  .regex(/^d-[1-9][0-9]{0,14}$/, { error: "the id of a dead letter looks like d-17" });
/** The row of the journal that the memory came with. */
export const memoryId = z
  .string()
  .regex(/^m-[1-9][0-9]{0,14}$/, { error: "the id of a memory looks like m-17" });
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** A git object name: SHA-1 or SHA-256. */
export const gitOid = z.string().regex(/^([0-9a-f]{40}|[0-9a-f]{64})$/);

/** Made from who asks and the id of the command, so that the same command is the same ask. */
export const askId = z.string().regex(/^a-[0-9a-f]{24}$/);

/** The id of a quest's assignment for a role. */
export const assignmentOf = (quest: string, forRole: Role): string => `${quest}.${forRole}`;
