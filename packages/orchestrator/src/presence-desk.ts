import {
  type DecideContext,
  type Draft,
  decideExpire,
  decideFreeTurns,
  decideRelease,
  isHeldBy,
} from "@questbus/core";
import {
  type Actor,
  assignmentOf,
  type CommandData,
  type JournalEvent,
  type NewEvent,
  orchestratorActor,
  type Role,
  roles,
} from "@questbus/protocol";
import { actorText } from "@questbus/store";
import type { AskDesk } from "./ask-desk.ts";
import type { QuestBook } from "./quest-book.ts";

/** The part of the desk that knows who holds what: agents that come, leave or are revoked. Owns nothing. */
type PresenceDeskParts = {
  quests: Pick<QuestBook, "all" | "find">;
  asks: Pick<AskDesk, "heldBy" | "forget" | "release" | "holderOf">;
  commit(draft: Draft, command: string | null): unknown;
  record(event: NewEvent, command: string | null): JournalEvent;
  context(actor: Actor): DecideContext;
};
type Asked<V extends keyof CommandData> = { id: string; actor: Actor; data: CommandData[V] };
type Lease = { assignment: string };

/** Quests and asks have ids of different kinds. */
export const isAsk = ({ assignment }: Lease): boolean => assignment.startsWith("a-");

export class PresenceDesk {
  readonly #parts: PresenceDeskParts;

  constructor(parts: PresenceDeskParts) {
    this.#parts = parts;
  }

  hello({ actor, data, id }: Asked<"hello">): object {
    this.#parts.record({ type: "agent.joined", quest: null, actor, body: data }, id);
    this.#takeBack(actor, "the agent started anew");
    return {};
  }

  /** What it gives back itself says nothing against it. */
  leave({ actor, id }: Asked<"leave">): object {
    const { quests, asks, record, commit, context } = this.#parts;
    const reason = "the agent stops";
    record({ type: "agent.left", quest: null, actor, body: {} }, id);
    const role = actor.role as Role;
    for (const state of quests.all()) {
      if (!isHeldBy(state, actor)) continue;
      const { epoch } = state.assignments[role];
      const lease = { assignment: assignmentOf(state.id, role), epoch, reason };
      commit(decideRelease(state, lease, context(actor)), null);
    }
    for (const { id: assignment, epoch } of asks.heldBy(actor))
      asks.release(actor, { assignment, epoch, reason }, null);
    this.#freeTurns(actor);
    return {};
  }

  revoke({ actor, data: agent, id }: Asked<"revoke">): object {
    const body = { agent: actorText(agent) };
    this.#parts.record({ type: "agent.revoked", quest: null, actor, body }, id);
    this.#takeBack(agent, "its credential was revoked");
    this.#freeTurns(agent);
    return {};
  }

  /** Its role's turns in conversations are another's: nobody waits for one that is gone. */
  #freeTurns(agent: Actor): void {
    const { quests, commit, context } = this.#parts;
    for (const state of quests.all()) commit(decideFreeTurns(state, agent, context(orchestratorActor)), null);
  }

  isHolding(agent: Actor): boolean {
    const { quests, asks } = this.#parts;
    return asks.heldBy(agent).length > 0 || quests.all().some((each) => isHeldBy(each, agent));
  }

  /** Whether a command names what another agent holds. */
  isOthers({ actor, data }: { actor: Actor; data: object }): boolean {
    if (!("assignment" in data)) return false;
    const lease = data as Lease;
    const holder = isAsk(lease)
      ? this.#parts.asks.holderOf(lease.assignment)
      : this.#holderOf(lease.assignment);
    return holder !== null && actorText(holder) !== actorText(actor);
  }

  #holderOf(assignment: string): Actor | null {
    const [quest = "", role] = assignment.split(".");
    const held = this.#parts.quests.find(quest)?.assignments[role as Role];
    return held?.status === "leased" ? { role: role as Role, name: held.agent ?? "" } : null;
  }

  /** Whatever an agent holds is offered again. */
  #takeBack(agent: Actor, reason: string): void {
    const { quests, asks, commit, context } = this.#parts;
    const role = roles.find((each) => each === agent.role);
    if (!role) return;
    for (const state of quests.all())
      if (isHeldBy(state, agent)) commit(decideExpire(state, role, reason, context(orchestratorActor)), null);
    asks.forget(agent, reason);
  }
}
