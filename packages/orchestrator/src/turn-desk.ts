import type { DeadMessage } from "@questbus/bus";
import {
  conversationEntry,
  type DecideContext,
  type Draft,
  decideRespond,
  decideTakeTurn,
  decideTurnMissed,
  decideUnreadable,
  isTurnOf,
  openConversation,
  participantsIn,
  type QuestState,
  refuseStranger,
  standingOf,
  turnGrantOf,
} from "@questbus/core";
import {
  type Actor,
  type CommandData,
  type ConversationEntry,
  type EventType,
  type JournalEvent,
  limit,
  type MonitorAnswer,
  parseCommandSubject,
  type ReadAnswer,
  redactText,
} from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";
import { inOrderOfArrival, type QuestBook } from "./quest-book.ts";

/**
 * The part of the desk for conversations: who monitors is told of its turn, and who answers moves one on. The messages are
 * rows of the journal, read where they stand.
 *
 * Owns which roles have something new to hear, so that nobody else who waits is looked at.
 */
type TurnDeskParts = {
  quests: QuestBook;
  commit(draft: Draft, command: string | null): QuestState;
  context(actor: Actor | null): DecideContext;
  reader(): Pick<StoreReader, "readJournal">;
};
type Asked<V extends "monitor" | "read" | "respond"> = { id: string; actor: Actor; data: CommandData[V] };

const types: readonly EventType[] = ["turn.answered", "turn.offered", "turn.breached"];

export class TurnDesk {
  readonly #parts: TurnDeskParts;
  #woken = new Set<string>();

  constructor(parts: TurnDeskParts) {
    this.#parts = parts;
  }

  /** The sender's turn, or that the quest has ended; null: it waits. */
  monitor({ id, actor, data }: Asked<"monitor">): MonitorAnswer | null {
    const states = this.#watched(actor, data);
    const [named] = states;
    if (data.quest !== undefined && named?.ending)
      return { status: "ended", quest: named.id, ending: named.ending.ending };
    const isGiven = (state: QuestState): boolean =>
      isTurnOf(state, actor) && (!state.halted || openConversation(state)?.conversation.taken === true);
    const found = states.find(isGiven);
    if (!found) return null;
    const context = this.#parts.context(actor);
    const turn = turnGrantOf(this.#parts.commit(decideTakeTurn(found, context), id), context.nowMs);
    return turn && { status: "yours", turn };
  }

  /** What a monitor is told whose time is over. */
  waiting(actor: Actor, data: CommandData["monitor"]): MonitorAnswer {
    const turns = this.#watched(actor, data).flatMap((state) => {
      const standing = standingOf(state);
      return standing ? [{ ...standing, paused: state.halted !== undefined }] : [];
    });
    return { status: "waiting", turns };
  }

  #watched(actor: Actor, { quest }: CommandData["monitor"]): QuestState[] {
    const isIn = (state: QuestState): boolean => participantsIn(state).some((role) => role === actor.role);
    if (quest === undefined) return this.#parts.quests.all().filter(isIn).sort(inOrderOfArrival);
    const state = this.#parts.quests.get(quest);
    refuseStranger(state, actor);
    return [state];
  }

  read({ actor, data }: Asked<"read">): ReadAnswer {
    refuseStranger(this.#parts.quests.get(data.quest), actor);
    return readConversation(this.#parts.reader(), data);
  }

  respond({ id, actor, data }: Asked<"respond">): { quest: string; turn: number } {
    const state = this.#parts.quests.get(data.quest);
    const { draft, refused } = decideRespond(state, data, this.#parts.context(actor), (turn) =>
      this.#patchOf(state.id, turn),
    );
    this.#parts.commit(draft, id);
    if (refused) throw refused;
    return { quest: state.id, turn: data.turn };
  }

  #patchOf(quest: string, turn: number): string {
    const rows = this.#parts
      .reader()
      .readJournal({ quest, type: "turn.answered", limit: limit.turnsMax * 4 });
    for (const { type, body } of rows) {
      if (type !== "turn.answered" || body.turn !== turn) continue;
      const { change } = body.answer;
      if (change && "patch" in change) return change.patch;
      if (change) return this.#patchOf(quest, change.turn);
    }
    throw new RangeError(`${quest}: turn ${turn} has no change`);
  }

  /** A message that could not be read: of a participant's, it is a breach in the quest that it names. */
  unreadable(message: DeadMessage): void {
    const draft = this.#unreadable(message);
    if (draft) this.#parts.commit(draft, null);
  }

  /** Whether one that could not be read is a breach, and one that is recorded. */
  isBreach(message: DeadMessage): boolean {
    return (this.#unreadable(message)?.events.length ?? 0) > 0;
  }

  #unreadable({ subject, excerpt, faults }: DeadMessage): Draft | null {
    const from = parseCommandSubject(subject);
    const [, quest = ""] = /"quest"\s*:\s*"(q-[a-z0-9]{8})"/.exec(excerpt) ?? [];
    const state = from?.verb === "respond" ? this.#parts.quests.find(quest) : undefined;
    if (!from || !state) return null;
    const message = redactText(faults[0] ?? "the message cannot be read").slice(0, limit.reasonCharsMax);
    return decideUnreadable(state, message, this.#parts.context(from.actor));
  }

  /** The time of a turn is over. */
  missed(state: QuestState): void {
    this.#parts.commit(decideTurnMissed(state, this.#parts.context(null)), null);
  }

  /** A quest has changed: whoever takes part in its conversation has something to hear. */
  changed(state: QuestState): void {
    for (const role of participantsIn(state)) this.#woken.add(role);
  }

  /** The roles that have something new to hear, since this was asked last. */
  takeWoken(): ReadonlySet<string> {
    const woken = this.#woken;
    if (woken.size > 0) this.#woken = new Set();
    return woken;
  }
}

/** A page of a quest's conversation, oldest entry first. */
export function readConversation(
  reader: Pick<StoreReader, "readJournal">,
  { quest, after, limit: most }: CommandData["read"],
): ReadAnswer {
  const query = { quest, afterSeq: after, limit: most + 1 };
  const rows = types
    .flatMap((type): JournalEvent[] => reader.readJournal({ ...query, type }))
    .sort((a, b) => a.seq - b.seq);
  const entries: ConversationEntry[] = [];
  let chars = 0;
  let seen = after;
  for (const row of rows) {
    const entry = conversationEntry(row);
    chars += entry ? JSON.stringify(entry).length : 0;
    const isFull = entries.length >= most || (entries.length > 0 && chars > limit.turnsReadCharsMax);
    if (entry && isFull) return { quest, entries, next: seen };
    if (entry) entries.push(entry);
    seen = row.seq;
  }
  return { quest, entries, next: null };
}
