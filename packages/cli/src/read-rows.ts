import { resolve } from "node:path";
import { type AgentId, listCredentials } from "@questbus/bus";
import { acceptedChange, evidenceMatrix, type QuestState } from "@questbus/core";
import { readBreakers } from "@questbus/orchestrator";
import { actorText, type QuestQuery, type StoreReader } from "@questbus/store";
import { keysOf } from "./connected.ts";
import { heldProgress } from "./held.ts";
import { countInjections } from "./injection.ts";
import { questState } from "./journal-view.ts";
import { countRefused } from "./refused.ts";
import { withStore } from "./session.ts";
import { findStack } from "./stack-record.ts";
import { intentOf, outcomeOf, type QuestSummary, summaryOf } from "./summary.ts";
import { openWithheld } from "./withheld.ts";

/** What reads give to programs: `--json` prints it, and MCP clients get it. */

export const listMax = 1_000;

/** Newest first. */
export function questRows(store: StoreReader, query: QuestQuery) {
  const whyNot = openWithheld(store);
  return store.listQuests(query).map((each) => {
    const state = questState(store, each.id);
    return { ...each, intent: intentOf(state), outcome: outcomeOf(state), withheld: whyNot(state) };
  });
}

export type SummarizedQuest = { state: QuestState; watches: readonly QuestState[]; summary: QuestSummary };

/** @throws QuestbusError QUEST_NOT_FOUND */
export function summarizedQuest(store: StoreReader, id: string): SummarizedQuest {
  const state = questState(store, id);
  const watches = acceptedChange(state) ? watchesOf(store, id) : [];
  return { state, watches, summary: summaryOf(state, store, watches) };
}

/** The rechecks of a quest, oldest first, among the newest quests. */
const watchesOf = (store: StoreReader, quest: string): QuestState[] =>
  store
    .listQuests({ limit: listMax })
    .map(({ id }) => questState(store, id))
    .filter(({ spec }) => spec.watch === quest)
    .reverse();

/** What waits for an arbiter, oldest first. */
export const escalationRows = (store: StoreReader) =>
  store
    .listEscalations({ status: "open" })
    .map((each) => ({ ...each, matrix: evidenceMatrix(questState(store, each.quest)) }));

export type Presence = "connected" | "stopped" | "revoked";

/** Whether an agent that joined is still there; null: the broker does not say. */
async function presence(stateDir: string): Promise<(agent: AgentId) => Presence | null> {
  const dir = resolve(stateDir);
  const stack = findStack(dir);
  const keys = stack && (await keysOf(stack, dir));
  const credentials = listCredentials(dir);
  return ({ role, name }) => {
    const own = credentials.find((each) => each.role === role && each.name === name);
    if (!own) return "revoked";
    if (!keys) return null;
    return keys.has(own.publicKey) ? "connected" : "stopped";
  };
}

/** The agents that joined, and what each holds. */
export async function agentRows(stateDir: string) {
  const progress = await heldProgress(stateDir);
  const isHere = await presence(stateDir);
  return withStore(stateDir, (store) => {
    const held = store.listAssignments({ status: "leased" });
    const breakers = readBreakers(store);
    const injections = countInjections(store);
    const refused = countRefused(store);
    return store.listAgents().map((agent) => {
      const holds = held.find((each) => each.role === agent.role && each.holder === agent.name)?.id ?? null;
      const breaker = breakers.get(actorText(agent)) ?? null;
      return {
        ...agent,
        holds,
        breaker,
        injections: injections.get(actorText(agent)) ?? 0,
        refused: refused.get(actorText(agent)) ?? 0,
        presence: isHere(agent),
        progress: progress.find((each) => each.assignment === holds) ?? null,
      };
    });
  });
}
