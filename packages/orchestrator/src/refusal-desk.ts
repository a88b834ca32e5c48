import { type Counted, Tally } from "@questbus/core";
import {
  type Actor,
  type BrokerRefusal,
  type EventBody,
  type JournalEvent,
  limit,
  type NewEvent,
  orchestratorActor,
  type QuestbusError,
  type Verb,
} from "@questbus/protocol";
import { actorText } from "@questbus/store";

/**
 * The part of the desk that records what was refused. Owns the counts of refusals that are not recorded yet: a storm of them
 * costs no row each, and a process that is killed forgets those of one `refusalsWindowMs` at most.
 */
type RefusalDeskParts = {
  nowMs: () => number;
  record(event: NewEvent, command: string | null): JournalEvent;
};
type Body = EventBody["command.refused"];
/** `quest`: the one that the command named, where there is such a quest. */
export type RefusedCommand = { id: string; verb: Verb; actor: Actor; quest: string | null };
type Refused = { command: RefusedCommand; body: Body };

export class RefusalDesk {
  readonly #parts: RefusalDeskParts;
  readonly #tally = new Tally<Refused>({ keptMax: limit.refusalsKeptMax, windowMs: limit.refusalsWindowMs });
  /** Turned away before they were looked at; to be recorded with the next turn. */
  #away: Refused[] = [];
  /** What was recorded in this transaction. */
  #said: { counts: Counted<Refused>[]; away: Refused[] } = { counts: [], away: [] };

  constructor(parts: RefusalDeskParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.#said = { counts: [], away: [] };
  }

  rollback(): void {
    this.#tally.putBack(this.#said.counts, this.#parts.nowMs());
    this.#away.unshift(...this.#said.away);
    this.begin();
  }

  /** A command that was refused changes nothing but this record. */
  refused(command: RefusedCommand, error: QuestbusError): void {
    const refused = this.#toKeep(command, error);
    if (refused) this.#record(refused);
  }

  /** One for which there was no room. */
  turnedAway(command: RefusedCommand, error: QuestbusError): void {
    const refused = this.#toKeep(command, error);
    if (refused) this.#away.push(refused);
  }

  /** A claim that ended the one with which its sender waited: an agent that is well does so once in a while, a storm is said. */
  crowded(command: RefusedCommand): void {
    const message = "its sender waits with another claim already, which this one ended";
    const body = { verb: command.verb, code: "OVERLOADED", message };
    this.#tally.take(`${actorText(command.actor)} waits`, { command, body }, this.#parts.nowMs());
  }

  /** Null: it was counted. */
  #toKeep(command: RefusedCommand, { code, message }: QuestbusError): Refused | null {
    const refused = { command, body: { verb: command.verb, code, message } };
    return this.#tally.take(actorText(command.actor), refused, this.#parts.nowMs()) ? refused : null;
  }

  #record({ command: { id, quest, actor }, body }: Refused): void {
    this.#parts.record({ type: "command.refused", quest, actor, body }, id);
  }

  /** What the broker refused, as it says. */
  told(refusals: readonly BrokerRefusal[], command: string): void {
    for (const { agent, ...body } of refusals)
      this.#parts.record(
        { type: "broker.refused", quest: null, actor: agent ?? orchestratorActor, body },
        command,
      );
  }

  /** When something is to be recorded. */
  nextMs(): number {
    return this.#away.length > 0 ? 0 : this.#tally.nextMs();
  }

  /** Records who was turned away, and the counts that are due; with `all` those that are not, too. */
  say(all = false): void {
    for (const each of this.#away.splice(0)) {
      this.#said.away.push(each);
      this.#record(each);
    }
    for (const counted of this.#tally.due(this.#parts.nowMs(), all)) {
      this.#said.counts.push(counted);
      const { command, body } = counted.last;
      const told = { count: counted.count, ...body };
      this.#parts.record({ type: "refusals.counted", quest: null, actor: command.actor, body: told }, null);
    }
  }
}
