import { z } from "zod";
import { questId, roles } from "./identity.ts";
import { limit } from "./limit.ts";

/** What an operator stops for a while: one quest, one role, everything, or all but reads and arbitration. */

/** `all`: every role, and so every quest. `safe-mode`: what an arbiter rules is carried out, and nothing else begins. */
export const stackScopes = [...roles, "all", "safe-mode"] as const;
export const stackScope = z.enum(stackScopes);
export type StackScope = z.infer<typeof stackScope>;

export const pauseScope = z.union([questId, stackScope]);
export type PauseScope = z.infer<typeof pauseScope>;

export const pauseWhy = z.string().trim().min(1).max(limit.reasonCharsMax);

/** A pause of more than one quest, as it stands. */
export const stackPause = z.object({ scope: stackScope, why: z.string(), by: z.string(), atMs: z.int() });
export type StackPause = z.infer<typeof stackPause>;

/** Everything that is paused beyond single quests, after the event: the last such row says it all. */
const changed = { scope: stackScope, pauses: z.array(stackPause) };

/** The bodies of the events of pauses. */
export const pauseEventBody = {
  "quest.paused": z.object({ why: z.string() }),
  "quest.resumed": z.object({}),
  /** The quest stands: its clock is stopped, nothing of it is offered, and the machine is free once nothing of it is held. */
  "quest.halted": z.object({ scope: z.string(), why: z.string() }),
  /** It goes on; `deadlineMs` is as much later as it stood. */
  "quest.continued": z.object({ deadlineMs: z.int() }),
  "stack.paused": z.object({ ...changed, why: z.string() }),
  "stack.resumed": z.object(changed),
} as const;

/** What `pause` and `resume` are answered with. */
export type PauseAnswer = {
  scope: PauseScope;
  paused: boolean;
  /** False: it was so before, and nothing changed. */
  changed: boolean;
  /** The pause that holds, and since when; null: none. */
  pause: Omit<StackPause, "scope"> | null;
};
