import {
  type Actor,
  type EventBody,
  type EventType,
  type Fault,
  type NewEvent,
  orchestratorActor,
  QuestbusError,
} from "@questbus/protocol";
import { withoutSecrets } from "../injection/find.ts";
import { applyEvent } from "./apply.ts";
import type { QuestState } from "./state.ts";

/** What a decision may know of the world: the time, who asks, and fresh random names. All of it is passed in. */
export type DecideContext = {
  nowMs: number;
  actor: Actor;
  /** A name that was not used before: `prefix` and eight characters. */
  newId: (prefix: "q-" | "e-") => string;
  /** Seed for the order inside pairs; 128 bits or more. */
  newSeed: () => string;
};

/** Events decided so far, and the state they lead to. */
export type Draft = { state: QuestState; events: NewEvent[]; readonly context: DecideContext };

/** Adds one event and moves the draft's state on. `by` is the caller, or the orchestrator acting on its own. */
export function emit<T extends EventType>(
  draft: Draft,
  type: T,
  body: EventBody[T],
  by: "caller" | "self" = "self",
): void {
  const actor = by === "caller" ? draft.context.actor : orchestratorActor;
  // Before what follows is decided: its reasons repeat these words, and are recomputed from what was kept.
  const event = withoutSecrets({ type, quest: draft.state.id, actor, body } as NewEvent);
  const next = applyEvent(draft.state, { ...event, timeMs: draft.context.nowMs });
  if (next) draft.state = next;
  draft.events.push(event);
}

/** Refuses a command: nothing of it is stored but the record of its refusal. */
export function refuse(code: Fault["code"], message: string, next: string, where?: string): never {
  throw new QuestbusError({ code, message, next, ...(where ? { where } : {}) });
}
