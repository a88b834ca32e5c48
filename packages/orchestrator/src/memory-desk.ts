import {
  countedOf,
  type DecideContext,
  type Draft,
  decideGive,
  decideRemember,
  type Given,
  heldAssignment,
  learnedOf,
  leastUseful,
  matchOf,
  memoryIdOf,
  memorySeqOf,
  memoryThere,
  type QuestState,
  ranked,
  suspectText,
  topicOf,
  wordsOf,
} from "@questbus/core";
import {
  type Actor,
  type CommandData,
  type ContextFile,
  type EventBody,
  type GivenMemory,
  type Grant,
  type JournalEvent,
  limit,
  type Memory,
  type NewEvent,
  orchestratorActor,
  QuestbusError,
  type RecallAnswer,
  type RememberAnswer,
  type Role,
} from "@questbus/protocol";
import type { StoreReads, StoreWrites } from "@questbus/store";

/**
 * The part of the desk that gives assignments what is known beyond their task, and keeps what is learned. What was given is
 * part of its quest's state; what became of memories are rows of the journal that are of no quest.
 *
 * Owns nothing but the documents of quests, as they came or as it read them back from the journal; they never change.
 */
type MemoryDeskParts = {
  record(event: NewEvent, command: string | null): JournalEvent;
  /** @throws QuestbusError QUEST_NOT_FOUND */
  questOf(assignment: string): QuestState;
  context(actor: Actor): DecideContext;
  /** The store within the transaction. */
  reader(): StoreReads;
  commit(draft: Draft, command: string | null): QuestState;
};
type Asked<V extends "remember" | "recall" | "forget"> = { id: string; actor: Actor; data: CommandData[V] };

/** Quests whose documents are kept at hand. */
const questsAtHand = 64;

export class MemoryDesk {
  readonly #parts: MemoryDeskParts;
  readonly #documents = new Map<string, readonly ContextFile[]>();

  constructor(parts: MemoryDeskParts) {
    this.#parts = parts;
  }

  get #store(): StoreReads {
    return this.#parts.reader();
  }

  /** What a role that claims is to be given; null: it was in this pass, or there is nothing. */
  toGive(state: QuestState, role: Role): Given | null {
    if (state.passes.at(-1)?.given?.[role]) return null;
    const match = matchOf(topicOf(state, role));
    const memories = this.#found(state, { match, most: limit.memoriesGivenMax });
    const files = this.#documentsOf(state.id).map(({ path, sha256 }) => ({ path, sha256 }));
    return memories.length + files.length > 0 ? { memories: memories.map(idOf), files } : null;
  }

  #found(
    state: QuestState,
    { match, most, kind }: { match: string | null; most: number; kind?: Memory["kind"] | undefined },
  ): Memory[] {
    if (match === null) return [];
    const found = this.#store.findMemories({
      match,
      kind,
      project: state.spec.target.repo,
      harmless: true,
      notOf: state.id,
      limit: limit.memoriesRankedMax,
    });
    return ranked(found, most);
  }

  /** A grant with the texts of what its role was given in this pass. */
  completed(state: QuestState, grant: Grant): Grant {
    return completedOn(this.#store, state, grant, () => this.#documentsOf(state.id));
  }

  #documentsOf(quest: string): readonly ContextFile[] {
    const known = this.#documents.get(quest);
    if (known) return known;
    return this.#atHand(quest, documentsOf(this.#store, quest));
  }

  #atHand(quest: string, documents: readonly ContextFile[]): readonly ContextFile[] {
    if (this.#documents.size >= questsAtHand) this.#documents.clear();
    this.#documents.set(quest, documents);
    return documents;
  }

  /**
   * What follows from verdicts: what was learned, and what they say of the memories that were given. What a quest brings is
   * kept at hand: its first claim comes at once, and would read it back.
   */
  learn(events: Draft["events"], state: QuestState): void {
    for (const event of events) {
      if (event.type === "quest.submitted") this.#atHand(state.id, harmless(event.body.context));
      if (event.type !== "pass.judged") continue;
      const pass = state.passes.find(({ n }) => n === event.body.pass);
      const counted = pass && countedOf(state, pass, event.body.cut);
      if (counted)
        this.#parts.record(
          { type: "memory.counted", quest: null, actor: orchestratorActor, body: counted },
          null,
        );
      const learned = pass && event.body.cut === null ? learnedOf(state, pass) : null;
      if (learned) this.#keep(learned, orchestratorActor, null);
    }
  }

  /** The same words of one kind are one memory. */
  remember({ actor, data, id }: Asked<"remember">): RememberAnswer {
    const state = actor.role === "operator" ? null : this.#heldQuest(heldIn(data), actor);
    const ofQuest = state ? this.#store.countMemoriesOfQuest(state.id, actor.role) : 0;
    const body = decideRemember(data, actor, state, ofQuest);
    return this.#keep(body, actor, id);
  }

  /** A full role forgets its least useful one: what is learned late counts as much as what was learned early. */
  #keep(body: EventBody["memory.kept"], actor: Actor, command: string | null): RememberAnswer {
    const same = this.#store.sameMemory(body);
    if (same !== null) return { memory: memoryIdOf(same), isNew: false, suspected: body.suspected };
    const others = this.#store.memoriesOfRole(body.project, actor.role);
    const { seq } = this.#parts.record({ type: "memory.kept", quest: null, actor, body }, command);
    const least = others.length >= limit.memoriesOfRoleMax ? leastUseful(others) : null;
    if (least)
      this.#drop(
        least.seq,
        `${actor.role} has no room for more, and this was the least useful`,
        orchestratorActor,
        null,
      );
    return { memory: memoryIdOf(seq), isNew: true, suspected: body.suspected };
  }

  /** What is found was given: its quest's outcome counts for it. */
  recall({ actor, data }: Asked<"recall">): RecallAnswer {
    const state = this.#heldQuest(data, actor);
    const match = matchOf(wordsOf([data.query]));
    const found = this.#found(state, { match, kind: data.kind, most: data.limit });
    this.#parts.commit(
      decideGive(state, actor.role as Role, found.map(idOf), this.#parts.context(actor)),
      null,
    );
    return { memories: found.map(givenOf) };
  }

  /** The quest of an assignment that the caller holds. */
  #heldQuest({ assignment, epoch }: Held, actor: Actor): QuestState {
    const state = this.#parts.questOf(assignment);
    heldAssignment(state, assignment, epoch, this.#parts.context(actor));
    return state;
  }

  forget({ actor, data: { memory, reason }, id }: Asked<"forget">): { memory: string } {
    const { seq } = memoryThere(this.#store.getMemory(memorySeqOf(memory)), memory);
    this.#drop(seq, reason, actor, id);
    return { memory };
  }

  #drop(seq: number, reason: string, actor: Actor, command: string | null): void {
    const body = { memory: memoryIdOf(seq), reason };
    this.#parts.record({ type: "memory.forgotten", quest: null, actor, body }, command);
  }
}

type Held = { assignment: string; epoch: number };

/** @throws QuestbusError MESSAGE_INVALID: an agent remembers as the holder of an assignment. */
function heldIn({ assignment, epoch }: CommandData["remember"]): Held {
  if (assignment !== undefined && epoch !== undefined) return { assignment, epoch };
  throw new QuestbusError({
    code: "MESSAGE_INVALID",
    message: "an agent remembers under an assignment that it holds",
    where: "data.assignment",
    next: "give assignment and epoch of the grant",
  });
}

const idOf = ({ seq }: Memory): string => memoryIdOf(seq);

const givenOf = (memory: Memory): GivenMemory => {
  const { kind, text, tags, quest, keptMs, uses, successes } = memory;
  return {
    memory: idOf(memory),
    kind,
    text,
    tags,
    by: `${memory.role}/${memory.name}`,
    quest,
    keptMs,
    uses,
    successes,
  };
};

/** The documents that came with a quest, but those that speak to their reader. */
function documentsOf(store: Pick<StoreReads, "readJournal">, quest: string): readonly ContextFile[] {
  const [row] = store.readJournal({ quest, limit: 1 });
  return harmless(row?.type === "quest.submitted" ? row.body.context : undefined);
}

const harmless = (brought: readonly ContextFile[] = []): readonly ContextFile[] =>
  brought.filter(({ text }) => suspectText(text).length === 0);

/** A grant with the texts of what its role was given; those of memories that were forgotten since are not there. */
export function completedOn(
  store: Pick<StoreReads, "readJournal" | "getMemories">,
  state: QuestState,
  grant: Grant,
  documents: () => readonly ContextFile[] = () => documentsOf(store, state.id),
): Grant {
  const given = state.passes.at(-1)?.given?.[grant.role];
  if (!given) return grant;
  // What was looked up besides was answered with its texts, and is not sent again with every task.
  const first = given.slice(0, limit.memoriesGivenMax);
  const memories = first.length > 0 ? store.getMemories(first.map(memorySeqOf)).map(givenOf) : [];
  return { ...grant, brief: { ...grant.brief, context: documents(), memories } };
}

/** What an event says of memories. */
export function projectMemory(store: StoreWrites, { type, seq, timeMs, actor, body }: JournalEvent): void {
  if (type === "memory.kept") {
    const { role, name } = actor;
    store.addMemory({ ...body, seq, role, name, keptMs: timeMs, uses: 0, successes: 0 });
  }
  if (type === "memory.forgotten") store.removeMemory(memorySeqOf(body.memory));
  if (type === "memory.counted")
    for (const each of body.memories) store.countMemoryUse(memorySeqOf(each), body.success);
}
