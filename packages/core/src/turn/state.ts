import type { Actor, EventBody, NewEvent, Role } from "@questbus/protocol";

/** What a quest's state holds of its conversation, and how each event changes it. The messages are rows of the journal. */
export type ConversationState = {
  pass: number;
  /** Counts through all passes of the quest, so that an old number never fits again. */
  turn: number;
  /** Turns of this pass before it. */
  turnsBefore: number;
  role: Role;
  /** The agent of each role that took its last turn; another one may when it let one go by, or is gone. */
  agents: Partial<Record<Role, string>>;
  /** Its agent has seen that it has the turn. */
  taken: boolean;
  untilMs: number;
  /** Who had taken it is gone. */
  freed?: true;
  /** Turns in a row that went by. */
  missed: number;
  /** Who answered which turn of this pass, and which of them brought a change. */
  answered: readonly { turn: number; by: string; change: boolean }[];
  /** How often who broke a rule in this turn; nobody did without it. */
  breaches?: Readonly<Record<string, number>>;
  /** The files that the leader claimed for the change that is the candidate. */
  claimed: readonly string[] | null;
};

/** A turn was handed on; the first one of a pass begins its conversation. */
function turnOffered(
  before: ConversationState | undefined,
  { pass, turn, role, untilMs }: EventBody["turn.offered"],
): ConversationState {
  const fresh = { turnsBefore: -1, agents: {}, missed: 0, answered: [] };
  const { turnsBefore, agents, missed, answered } = before?.pass === pass ? before : fresh;
  const next = { pass, turn, role, untilMs, agents, missed, answered };
  return { ...next, turnsBefore: turnsBefore + 1, taken: false, claimed: null };
}

const turnTaken = (
  before: ConversationState,
  { role, agent, untilMs }: EventBody["turn.taken"],
): ConversationState => ({
  ...before,
  agents: { ...before.agents, [role]: agent },
  taken: true,
  untilMs,
});

/** What the role had taken, another agent of it may take. */
function turnFreed(before: ConversationState, { role }: EventBody["turn.freed"]): ConversationState {
  const { [role]: _, ...agents } = before.agents;
  if (!before.taken || before.role !== role) return { ...before, agents };
  return { ...before, agents, taken: false, freed: true };
}

function turnAnswered(
  before: ConversationState,
  { turn, answer }: EventBody["turn.answered"],
  actor: Actor,
): ConversationState {
  const entry = { turn, by: `${actor.role}/${actor.name}`, change: answer.change !== null };
  return {
    ...before,
    agents: { ...before.agents, [before.role]: actor.name },
    answered: [...before.answered, entry],
    missed: 0,
    claimed: answer.change ? answer.files : null,
  };
}

/** A turn that went by frees its role for another agent. */
function turnBreached(
  before: ConversationState,
  { by, code }: EventBody["turn.breached"],
): ConversationState {
  const counted = { ...before, breaches: { ...before.breaches, [by]: (before.breaches?.[by] ?? 0) + 1 } };
  if (code !== "TURN_MISSED") return counted;
  const { [before.role]: _, ...agents } = before.agents;
  return { ...counted, agents, missed: before.missed + 1 };
}

/** The conversation after one of its events. */
export function applyTurn(
  before: ConversationState | undefined,
  { type, body, actor }: Pick<NewEvent, "type" | "body" | "actor">,
): ConversationState {
  if (type === "turn.offered") return turnOffered(before, body as EventBody["turn.offered"]);
  if (!before) throw new RangeError(`${type} without a conversation`);
  if (type === "turn.taken") return turnTaken(before, body as EventBody["turn.taken"]);
  if (type === "turn.freed") return turnFreed(before, body as EventBody["turn.freed"]);
  if (type === "turn.answered") return turnAnswered(before, body as EventBody["turn.answered"], actor);
  return turnBreached(before, body as EventBody["turn.breached"]);
}

/** The turn of a quest that stood for so long: nobody's time went on. */
export const heldTurn = (before: ConversationState, stoodMs: number): ConversationState => ({
  ...before,
  untilMs: before.untilMs + stoodMs,
});
