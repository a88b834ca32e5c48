import { type JournalEvent, limit } from "@questbus/protocol";

/**
 * What must hold of conversations in a journal: one turn at a time, answered by the agent that has it, in its time; each
 * answer is followed at once by what it decided; what breaks a rule moves nothing; a conversation ends.
 */
type Turns = { leader: string; workers: readonly string[]; turnsMax: number };

type Conversation = {
  fixer: Turns;
  turn: number;
  role: string;
  /** The turn waits for its answer. */
  isOpen: boolean;
  /** The present turn was seen by the agent that has it. */
  isTaken: boolean;
  isFreed: boolean;
  untilMs: number;
  /** The agent that has each role, in this pass. */
  agents: Map<string, string>;
  /** Turns of this pass. */
  offered: number;
  missed: number;
  breaches: Map<string, number>;
  haltedMs: number | null;
  /** The command of the last answer. */
  answer: string | null;
  /** What has to follow at once. */
  next: Next | null;
};

type Next = { type: JournalEvent["type"]; role: string | null };

export function turnProblems(rows: readonly JournalEvent[]): string[] {
  const conversations = new Map<string, Conversation>();
  return rows.flatMap((row) => {
    if (row.type === "quest.submitted" && row.quest) {
      const [fixer] = row.body.document.fixers;
      if (fixer && "turns" in fixer) conversations.set(row.quest, conversationOf(fixer.turns));
      return [];
    }
    const talk = conversations.get(row.quest ?? "");
    if (!talk || row.type === "command.refused" || row.type === "injection.suspected") return [];
    return [...inPlace(talk, row), ...step(talk, row)].map((what) => `row ${row.seq}: ${row.type}: ${what}`);
  });
}

const conversationOf = (fixer: Turns): Conversation => ({
  ...{ fixer, turn: 0, role: "", isOpen: false, isTaken: false, isFreed: false, untilMs: 0 },
  ...{
    agents: new Map(),
    offered: 0,
    missed: 0,
    breaches: new Map(),
    haltedMs: null,
    answer: null,
    next: null,
  },
});

/** Whether the row is the one that had to follow. A breach that pauses its quest says so before what follows of the turn. */
function inPlace(talk: Conversation, row: JournalEvent): string[] {
  const { next } = talk;
  if (!next || row.type === "quest.paused") return [];
  talk.next = null;
  const isRight =
    row.type === next.type && (next.role === null || next.role === (row.body as { role?: string }).role);
  return isRight ? [] : [`in the place of ${next.type} ${next.role ?? ""}`];
}

function step(talk: Conversation, row: JournalEvent): string[] {
  switch (row.type) {
    case "pass.started":
      talk.agents.clear();
      talk.offered = 0;
      talk.missed = 0;
      return [];
    case "turn.offered":
      return offered(talk, row);
    case "turn.taken":
      return taken(talk, row);
    case "turn.freed": {
      const { role, agent } = row.body;
      const had = talk.agents.get(role);
      talk.agents.delete(role);
      if (talk.isTaken && role === talk.role) [talk.isTaken, talk.isFreed] = [false, true];
      return had === agent ? [] : [`${role} was ${had}'s, not ${agent}'s`];
    }
    case "turn.answered":
      return answered(talk, row);
    case "turn.breached":
      return breached(talk, row);
    case "candidate.supplied":
      // Where an answer decided it, that was the row that had to follow.
      return row.command === talk.answer ? [] : ["without an answer"];
    case "quest.halted":
      talk.haltedMs = row.timeMs;
      return [];
    case "quest.continued":
      talk.untilMs += row.timeMs - (talk.haltedMs ?? row.timeMs);
      talk.haltedMs = null;
      return [];
    case "pass.judged":
    case "quest.escalated":
    case "quest.ended":
      talk.isOpen = false;
      talk.haltedMs = row.type === "pass.judged" ? talk.haltedMs : null;
      return [];
    default:
      return [];
  }
}

type Of<T extends JournalEvent["type"]> = Extract<JournalEvent, { type: T }>;

function offered(talk: Conversation, { body }: Of<"turn.offered">): string[] {
  const { turn, isOpen } = talk;
  Object.assign(talk, { turn: body.turn, role: body.role, untilMs: body.untilMs, isOpen: true });
  Object.assign(talk, { isTaken: false, isFreed: false, breaches: new Map(), offered: talk.offered + 1 });
  return [
    ...(isOpen ? [`turn ${turn} waits for its answer`] : []),
    ...(body.turn === turn + 1 ? [] : [`turn ${body.turn} follows ${turn}`]),
  ];
}

function taken(talk: Conversation, { body, actor }: Of<"turn.taken">): string[] {
  const { turn, role, isOpen, isTaken, isFreed, untilMs } = talk;
  const had = talk.agents.get(body.role) ?? actor.name;
  talk.agents.set(body.role, actor.name);
  Object.assign(talk, { isTaken: true, untilMs: body.untilMs });
  return [
    ...(isOpen && body.turn === turn && body.role === role
      ? []
      : [`turn ${body.turn} of ${body.role} is not open`]),
    ...(actor.role === body.role && actor.name === body.agent && had === actor.name
      ? []
      : [`it is ${had}'s`]),
    ...(isTaken ? ["it was taken before"] : []),
    ...(isFreed && body.untilMs !== untilMs ? ["its time began anew"] : []),
    ...(talk.haltedMs === null ? [] : ["its quest is halted"]),
  ];
}

function answered(talk: Conversation, { body, actor, command }: Of<"turn.answered">): string[] {
  const { turn, role, isOpen, fixer } = talk;
  const had = talk.agents.get(role) ?? actor.name;
  talk.agents.set(role, actor.name);
  Object.assign(talk, { isOpen: false, missed: 0, answer: command });
  const { next, change } = body.answer;
  const isLeader = actor.role === fixer.leader;
  if (next || !isLeader) talk.next = { type: "turn.offered", role: next ?? fixer.leader };
  else talk.next = { type: change ? "candidate.supplied" : "task.failed", role: null };
  return [
    ...(isOpen && body.turn === turn
      ? []
      : [`turn ${body.turn}, and it is ${turn}, ${isOpen ? "open" : "over"}`]),
    ...(actor.role === role && had === actor.name
      ? []
      : [`${actor.role}/${actor.name} answers for ${role}/${had}`]),
    ...(next && !(isLeader && fixer.workers.includes(next)) ? [`${actor.role} hands it to ${next}`] : []),
    ...(next && talk.offered >= fixer.turnsMax ? [`turn ${talk.offered} of this pass is its last`] : []),
  ];
}

/** A turn that goes by is a breach, too, and goes back to the leader, or ends the conversation. */
function breached(talk: Conversation, { body, timeMs, quest }: Of<"turn.breached">): string[] {
  const { by, code, policy } = body;
  const count = (talk.breaches.get(by) ?? 0) + 1;
  talk.breaches.set(by, count);
  const [role = ""] = by.split("/");
  const takesPart = [talk.fixer.leader, ...talk.fixer.workers].includes(role);
  const problems = [
    ...(takesPart ? [] : [`${by} takes no part in ${quest}`]),
    ...(count <= limit.turnBreachesMax ? [] : [`the ${count}th of ${by} in one turn`]),
  ];
  if (policy === "cancel") talk.next = { type: "pass.judged", role: null };
  if (code !== "TURN_MISSED") return problems;
  const { isOpen, untilMs } = talk;
  talk.isOpen = false;
  talk.missed += 1;
  talk.agents.delete(talk.role);
  if (policy !== "cancel")
    talk.next =
      talk.missed >= limit.turnsMissedMax
        ? { type: "task.failed", role: null }
        : { type: "turn.offered", role: talk.fixer.leader };
  return [
    ...problems,
    ...(isOpen ? [] : ["no turn is open"]),
    ...(timeMs >= untilMs ? [] : [`${untilMs - timeMs} ms before its end`]),
  ];
}
