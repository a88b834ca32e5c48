import type { AgentId } from "@questbus/bus";
import { principals, QuestbusError } from "@questbus/protocol";

/** Names that are not for agents of a user's own. */

/** The agents that the stack starts, and its operator and arbiter: each is named as its role. */
export const isOfStack = ({ role, name }: AgentId): boolean =>
  principals.some((each) => each === role && each === name);

export const ofStack = (
  { role, name }: AgentId,
  next: string = "take a name that is no role",
): QuestbusError =>
  new QuestbusError({
    code: "AGENT_EXISTS",
    message: `${role}/${name} is the stack's own`,
    next,
  });
