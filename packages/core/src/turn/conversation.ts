import type { Actor, Role, TurnGrant, TurnStanding, TurnsSpec } from "@questbus/protocol";
import { analysisOf, currentPass, historyOf, keptGain, type QuestState } from "../quest/state.ts";
import { awaitingPass } from "../supply/supply.ts";
import type { ConversationState } from "./state.ts";

/**
 * Conversations: whether one goes on, whose turn it is, and what its current agent needs.
 *
 * A pass whose fixer is one waits for a candidate, as it does for a person's: while it does, its conversation is open,
 * and exactly one turn of it is somebody's.
 */

/** The fixer of the open pass, where that is a conversation, open or over. */
export function turnsFixer(state: QuestState): TurnsSpec | null {
  const pass = currentPass(state);
  const fixer = pass && !pass.verdict && pass.fixer !== null ? state.spec.fixers[pass.fixer] : null;
  return fixer?.kind === "turns" ? fixer : null;
}

/** The conversation that goes on now; null: none does. */
export function openConversation(
  state: QuestState,
): { conversation: ConversationState; fixer: TurnsSpec; pass: number } | null {
  const fixer = turnsFixer(state);
  const pass = awaitingPass(state);
  const { conversation } = state;
  return fixer && pass && conversation ? { conversation, fixer, pass: pass.n } : null;
}

const participantsOf = ({ leader, workers }: TurnsSpec): Role[] => [leader, ...workers];

/** The roles that take part in a conversation of the quest, in this pass or another. */
export const participantsIn = ({ spec }: QuestState): Role[] =>
  spec.fixers.flatMap((each) => (each.kind === "turns" ? participantsOf(each) : []));

/** Whose turn it is. */
export function standingOf(state: QuestState): TurnStanding | null {
  const open = openConversation(state);
  if (!open) return null;
  const { turn, role, agents } = open.conversation;
  return { quest: state.id, pass: open.pass, turn, role, agent: agents[role] ?? null };
}

/** The turn is this agent's, or its role's and nobody's yet. */
export function isTurnOf(state: QuestState, { role, name }: Actor): boolean {
  const standing = standingOf(state);
  return standing !== null && standing.role === role && (standing.agent ?? name) === name;
}

/** What the current agent needs for its turn. */
export function turnGrantOf(state: QuestState, nowMs: number): TurnGrant | null {
  const open = openConversation(state);
  const standing = standingOf(state);
  if (!open || !standing) return null;
  const { fixer, conversation } = open;
  const { title, goal, measure, tests, guards, authority, target } = state.spec;
  const guidance = state.escalation?.ruling?.guidance ?? null;
  return {
    ...standing,
    part: standing.role === fixer.leader ? "leader" : "worker",
    leader: fixer.leader,
    workers: fixer.workers,
    ask: fixer.ask,
    leftMs: Math.max(0, conversation.untilMs - nowMs),
    turnsLeft: Math.max(0, fixer.turnsMax - conversation.turnsBefore - 1),
    base: { repo: target.repo, commit: state.base.commit },
    lastGood: state.lastGood,
    brief: {
      ...{ title, goal, measure, tests, guards, authority, guidance },
      ...{ history: historyOf(state), analysis: analysisOf(state), kept: keptGain(state) },
    },
  };
}
