import {
  type Actor,
  type Authority,
  type CommandData,
  type ErrorCode,
  type Fault,
  forbiddenPaths,
  inspectPatch,
  limit,
  QuestbusError,
  type Role,
  redact,
  redactText,
  type TurnAnswer,
  type TurnsSpec,
} from "@questbus/protocol";
import { clarificationOf } from "../certainty/certainty.ts";
import { type DecideContext, type Draft, emit, refuse } from "../quest/draft.ts";
import { breach, failCandidate, offerTurn } from "../quest/follow.ts";
import { currentPass, isEnded, type QuestState } from "../quest/state.ts";
import { nameList } from "../verdict/phrase.ts";
import { isTurnOf, openConversation, participantsIn, turnsFixer } from "./conversation.ts";
import { filesFault } from "./files.ts";
import type { ConversationState } from "./state.ts";

/**
 * The decisions on turns. Invariants: I1 only the agent whose turn it is moves a conversation on; I2 every turn ends:
 * with its answer, or when its time is over; I3 what breaks a rule is refused, recorded as a breach, and the quest's
 * policy is carried out, at most `turnBreachesMax` times of one agent and turn; I4 who takes no part can do none of that,
 * and so cannot have a quest paused or cancelled; I5 a conversation ends with a change or with a fault, and accepts
 * nothing: a change is a candidate like any other; I6 a turn is answered by who has taken it, and none is given out while the
 * quest is halted, so that a pause holds the conversation.
 *
 * | the answer is | code | a breach |
 * |---|---|---|
 * | of a role that takes no part | NOT_A_PARTICIPANT | no |
 * | of a conversation that is over | CONVERSATION_ENDED | no |
 * | of an earlier turn that its sender answered | TURN_ANSWERED | yes |
 * | of an earlier turn otherwise | TURN_STALE | yes |
 * | not of the current agent, or of a turn that never was | TURN_OUT_OF_TURN | yes |
 * | of the current role, before one of its agents has taken the turn | TURN_NOT_TAKEN | no |
 * | well-formed, and no move of the conversation | TURN_MALFORMED | yes |
 * | with other files than its diff, or ones that may not be written | TURN_FILES_WRONG, PATH_FORBIDDEN | yes |
 * | unsure, without a source | SOURCE_MISSING | no |
 */
type Response = CommandData["respond"];
/** Gives the patch of a turn that brought one. */
export type PatchOf = (turn: number) => string;

/** The current agent sees that it has the turn; its time begins. */
export function decideTakeTurn(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const open = openConversation(state);
  if (!open || open.conversation.taken || state.halted || !isTurnOf(state, context.actor)) return draft;
  const { turn, role, freed } = open.conversation;
  // One that agents take and leave in turn must end, too (I2).
  const untilMs = freed ? open.conversation.untilMs : context.nowMs + open.fixer.turnMs;
  const body = { pass: open.pass, turn, role, agent: context.actor.name, untilMs };
  emit(draft, "turn.taken", body, "caller");
  return draft;
}

/** An agent is gone: of the conversation that goes on, or may again, it has no turn any more. */
export function decideFreeTurns(state: QuestState, { role, name }: Actor, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const { conversation } = state;
  if (!conversation || !turnsFixer(state) || conversation.pass !== currentPass(state)?.n) return draft;
  const { pass, turn, agents } = conversation;
  const found = participantsIn(state).find((each) => each === role && agents[each] === name);
  if (found) emit(draft, "turn.freed", { pass, turn, role: found, agent: name });
  return draft;
}

/** Refuses who takes no part in any conversation of the quest (I4). */
export function refuseStranger(state: QuestState, { role }: Actor): void {
  if (participantsIn(state).some((each) => each === role)) return;
  const names = participantsIn(state);
  const who = names.length > 0 ? `those of ${state.id} are ${nameList(names)}` : "it has none";
  refuse("NOT_A_PARTICIPANT", `${role} takes no part in a conversation of this quest: ${who}`, "leave it");
}

/** `refused`: a rule was broken; the draft holds what follows from that. */
export function decideRespond(
  state: QuestState,
  { quest: _, turn, ...given }: Response,
  context: DecideContext,
  patchOf: PatchOf,
): { draft: Draft; refused: QuestbusError | null } {
  const draft: Draft = { state, events: [], context };
  if (isEnded(state))
    refuse("QUEST_ENDED", `quest ${state.id} has ended: ${state.status}`, "monitor another one");
  refuseStranger(state, context.actor);
  const open = openConversation(state);
  if (!open)
    refuse(
      "CONVERSATION_ENDED",
      `no conversation of ${state.id} goes on`,
      "monitor it: another pass may begin",
    );
  const { conversation, fixer } = open;
  const { change } = given;
  const answer: TurnAnswer = { ...redact(given), change };
  const known =
    change &&
    "turn" in change &&
    conversation.answered.some((each) => each.change && each.turn === change.turn);
  const patch = !change ? null : "patch" in change ? change.patch : known ? patchOf(change.turn) : undefined;
  const outOfTurn = faultOfTurn(conversation, turn, context.actor);
  if (!outOfTurn && !conversation.taken) refuseUntaken(conversation, state.halted !== undefined);
  const fault =
    outOfTurn ??
    faultOfMove(open, context.actor, answer, patch) ??
    faultOfFiles(answer, patch ?? null, state.spec.authority);
  const unsure = fault === null && answer.status === "completed" ? clarificationOf(answer) : null;
  // It was sent back, and broke no rule: the turn goes on.
  if (unsure) throw new QuestbusError(unsure);
  if (fault) {
    breachOfSender(draft, fault);
    return { draft, refused: new QuestbusError(fault) };
  }
  emit(draft, "turn.answered", { pass: open.pass, turn, answer }, "caller");
  if (conversation.role !== fixer.leader) offerTurn(draft, fixer.leader, null);
  else if (answer.next) offerTurn(draft, answer.next, null);
  else if (patch) supplied(draft, open.pass, { turn, patch });
  else failCandidate(draft, blocked(answer));
  return { draft, refused: null };
}

/** A storm of one sender in one turn is refused as ever, and costs the journal so many rows. */
function breachOfSender(draft: Draft, fault: Fault): void {
  const { role, name } = draft.context.actor;
  const by = `${role}/${name}`;
  const count = openConversation(draft.state)?.conversation.breaches?.[by] ?? 0;
  if (count < limit.turnBreachesMax) breach(draft, by, fault);
}

const code = (of: ErrorCode, message: string, next: string, where?: string): Fault => ({
  code: of,
  message,
  next,
  ...(where ? { where } : {}),
});

const lookAgain = "monitor the quest, and answer the turn that is yours";

/** I1: whether this is the turn that may be answered now, by this agent. */
function faultOfTurn(conversation: ConversationState, turn: number, actor: Actor): Fault | null {
  const { role, agents, answered } = conversation;
  const now = `it is turn ${conversation.turn}, of ${role}${agents[role] ? `/${agents[role]}` : ""}`;
  const by = `${actor.role}/${actor.name}`;
  if (turn < conversation.turn) {
    if (answered.some((each) => each.turn === turn && each.by === by))
      return code("TURN_ANSWERED", `turn ${turn} was answered before: ${now}`, lookAgain, "turn");
    return code("TURN_STALE", `turn ${turn} is over: ${now}`, lookAgain, "turn");
  }
  if (turn > conversation.turn)
    return code("TURN_OUT_OF_TURN", `turn ${turn} never was: ${now}`, lookAgain, "turn");
  if (role === actor.role && (agents[role] ?? actor.name) === actor.name) return null;
  return code("TURN_OUT_OF_TURN", `it is not the turn of ${by}: ${now}`, lookAgain);
}

/** I6: it broke no rule, and learns what to do. */
function refuseUntaken({ turn, role }: ConversationState, isHalted: boolean): never {
  const why = isHalted ? "the quest stands, and gives it out when it goes on" : `no ${role} has monitored it`;
  refuse("TURN_NOT_TAKEN", `turn ${turn} is not taken: ${why}`, "monitor the quest: that gives the turn");
}

type Open = { conversation: ConversationState; fixer: TurnsSpec };
const malformed = (message: string, where: string): Fault =>
  code("TURN_MALFORMED", message, "answer this turn again, within its time", where);

/** A worker's answer goes back to the leader; the leader's names who is next, or ends the conversation. */
function faultOfMove(
  { conversation, fixer }: Open,
  actor: Actor,
  { status, next, change }: TurnAnswer,
  patch: string | null | undefined,
): Fault | null {
  if (change && status !== "completed")
    return malformed(`an answer that is ${status} brings no change`, "change");
  if (patch === undefined && change && "turn" in change)
    return malformed(`turn ${change.turn} of this pass brought no change`, "change.turn");
  if (actor.role !== fixer.leader)
    return next ? malformed("only the leader says whose turn is next", "next") : null;
  if (!next) {
    if (change || status === "blocked") return null;
    return malformed(
      "a leader names who is next, or ends with completed and a change, or with blocked",
      "next",
    );
  }
  if (!fixer.workers.includes(next))
    return malformed(`${next} is no worker here: ${nameList(fixer.workers)}`, "next");
  if (change || status === "blocked")
    return malformed(
      `an answer that ends the conversation names nobody: it has ${change ? "a change" : "blocked"}`,
      "next",
    );
  if (conversation.turnsBefore + 1 >= fixer.turnsMax)
    return malformed(`the conversation has had its ${fixer.turnsMax} turns: end it`, "next");
  return null;
}

/** The files that are claimed, against those of the diff, and those against what may be written. */
function faultOfFiles({ files }: TurnAnswer, patch: string | null, authority: Authority): Fault | null {
  try {
    const real = patch === null ? [] : inspectPatch(patch, { name: "the change" }).files;
    const outside = forbiddenPaths(real, authority);
    if (outside.length === 0) return filesFault(files, real);
    const paths = redactText(outside.join(", ")).slice(0, limit.placeCharsMax);
    return code(
      "PATH_FORBIDDEN",
      `the change touches what may not be written: ${paths}`,
      "leave it out",
      "change",
    );
  } catch (error) {
    if (error instanceof QuestbusError) return error.faults[0] as Fault;
    throw error;
  }
}

function supplied(draft: Draft, pass: number, { turn, patch }: { turn: number; patch: string }): void {
  const fixer = draft.state.passes.at(-1)?.fixer as number;
  const by = draft.context.actor.name;
  const change = { name: `turn ${turn}, of ${by}`, note: null, change: { patch } };
  emit(draft, "candidate.supplied", { pass, fixer, supplied: change }, "caller");
}

const blocked = ({ message }: TurnAnswer): Fault => ({
  code: "TURN_BLOCKED",
  message: `the leader is blocked: ${message}`.slice(0, limit.reasonCharsMax),
  next: "read the conversation: questbus conversation",
});

/** A message of a participant that could not be read at all; who takes no part changes nothing. */
export function decideUnreadable(state: QuestState, message: string, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  if (!openConversation(state) || !participantsIn(state).includes(context.actor.role as Role)) return draft;
  breachOfSender(draft, { code: "MESSAGE_INVALID", message });
  return draft;
}

/** The time of a turn is over: it goes back to the leader; a leader that lets too many go by ends the conversation. */
export function decideTurnMissed(state: QuestState, context: DecideContext): Draft {
  const draft: Draft = { state, events: [], context };
  const open = openConversation(state);
  if (!open || state.halted || open.conversation.untilMs > context.nowMs) return draft;
  const { turn, role, agents } = open.conversation;
  const who = agents[role] ? `${role}/${agents[role]}` : role;
  const fault = code("TURN_MISSED", `${who} did not answer turn ${turn} in time`, "look after that agent");
  breach(draft, who, fault);
  const after = openConversation(draft.state);
  if (!after) return draft;
  if (after.conversation.missed >= limit.turnsMissedMax) failCandidate(draft, fault);
  else offerTurn(draft, open.fixer.leader, fault.message);
  return draft;
}
