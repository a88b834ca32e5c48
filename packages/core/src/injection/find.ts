import {
  type EventBody,
  type EventType,
  type InjectionKind,
  type InjectionSign,
  type JournalEvent,
  limit,
  type NewEvent,
  orchestratorActor,
  pathText,
  redact,
  roles,
} from "@questbus/protocol";
import { suspectText } from "./suspect.ts";

/** A text that came from outside, with where it stands and whose words it is. */
type Said = { from: InjectionSign["from"]; where: string | readonly PropertyKey[]; text: string };

/** Shorter texts say nothing to anybody; hashes are no words. */
const charsMin = 12;
const isWords = (text: string): boolean => text.length >= charsMin && !/^[0-9a-f]+$/.test(text);

/**
 * Every text in a JSON value, with its path, which is written out for the few that show a sign. What a command printed
 * stands in an `excerpt`.
 */
function* textsIn(value: unknown, path: readonly PropertyKey[]): Generator<Said> {
  if (typeof value === "string") {
    const from = path.at(-1) === "excerpt" || path.at(-1) === "said" ? "tool" : "agent";
    if (isWords(value)) yield { from, where: path, text: value };
  } else if (Array.isArray(value)) {
    for (const [at, each] of value.entries()) yield* textsIn(each, [...path, at]);
  } else if (value !== null && typeof value === "object") {
    for (const [key, each] of Object.entries(value)) {
      // A key is a text as well; what was found in the repository is in the report already.
      if (isWords(key)) yield { from: "agent", where: path, text: key };
      if (key !== "injections") yield* textsIn(each, [...path, key]);
    }
  }
}

/**
 * Whose words the body of each event holds. `spoken`: somebody's from outside, looked at and kept without secrets. `quoting`:
 * it repeats some, and is kept without secrets. `neither`: ours, an operator's or an arbiter's, who instruct, or what repeats
 * rows that were kept.
 */
export const wordsOfEvents: Readonly<Record<EventType, "spoken" | "quoting" | "neither">> = {
  "task.reported": "spoken",
  "approval.opened": "spoken",
  "assignment.noted": "spoken",
  "assignment.released": "spoken",
  // At which step its holder said it was.
  "lease.expired": "spoken",
  // Only its data: the text is the instruction.
  "ask.submitted": "spoken",
  "ask.reported": "spoken",
  "ask.returned": "spoken",
  "ask.released": "spoken",
  "candidate.supplied": "spoken",
  "quota.awaited": "spoken",
  "turn.answered": "spoken",
  "turn.breached": "spoken",
  "message.dead": "spoken",
  "memory.kept": "spoken",
  "broker.refused": "spoken",
  "agent.joined": "spoken",

  "command.refused": "quoting",
  "refusals.counted": "quoting",
  "dead.counted": "quoting",
  "dead.retried": "quoting",
  "task.failed": "quoting",
  "candidate.awaited": "quoting",
  "turn.offered": "quoting",
  "quest.escalated": "quoting",
  "quest.paused": "quoting",
  "quest.halted": "quoting",
  "quest.ended": "quoting",
  "change.integrated": "quoting",

  // But the documents of the project that come with it.
  "quest.submitted": "neither",
  "ruling.made": "neither",
  "approval.granted": "neither",
  "approval.denied": "neither",
  "stack.paused": "neither",
  "stack.resumed": "neither",
  "dead.dropped": "neither",
  "memory.forgotten": "neither",
  // Made anew from other rows, word for word.
  "pass.judged": "neither",
  "injection.suspected": "neither",
  "breaker.counted": "neither",
  "breaker.opened": "neither",
  "breaker.closed": "neither",
  "context.given": "neither",
  "quest.started": "neither",
  "quest.resumed": "neither",
  "quest.continued": "neither",
  "pass.started": "neither",
  "assignment.offered": "neither",
  "assignment.claimed": "neither",
  "good.moved": "neither",
  "workspace.restored": "neither",
  "ask.claimed": "neither",
  "ask.expired": "neither",
  "ask.ended": "neither",
  "approval.expired": "neither",
  "turn.taken": "neither",
  "turn.freed": "neither",
  "agent.left": "neither",
  "agent.revoked": "neither",
  "memory.counted": "neither",
  "leader.began": "neither",
};

/** What is looked at in a row; of a quest, the documents of the project that came with it. */
function* saidIn(row: JournalEvent): Generator<Said> {
  const { type, body } = row;
  if (type === "quest.submitted")
    for (const { path, text } of body.context ?? []) yield { from: "repository", where: path, text };
  else if (type === "ask.submitted") yield* textsIn(body.data, ["data"]);
  else if (wordsOfEvents[type] === "spoken") yield* textsIn(body, []);
}

function reportedSigns({ type, body }: JournalEvent): readonly InjectionSign[] {
  if (type !== "task.reported") return [];
  const { task, result } = (body as EventBody["task.reported"]).report;
  return task === "review" ? (result?.injections ?? []) : [];
}

/** A dead letter is a command that could not be read, envelope and subject: that it looks like one is no sign. */
const ordinaryIn = (type: JournalEvent["type"]): readonly InjectionKind[] =>
  type === "message.dead" ? ["command"] : [];

/** The part of a text that a person needs to see what it is about. */
const excerptOf = (text: string): string => text.trim().slice(0, limit.noteCharsMax).toWellFormed();

/** The sign of a text; null: it shows none but what is `ordinary` where it stands. */
export function injectionSignOf(
  { from, where, text }: Said,
  ordinary: readonly InjectionKind[] = [],
): InjectionSign | null {
  const kinds = suspectText(text).filter((kind) => !ordinary.includes(kind));
  if (kinds.length === 0) return null;
  const place = typeof where === "string" ? where : pathText(where).slice(0, limit.placeCharsMax);
  return { from, where: place, kinds, excerpt: excerptOf(text) };
}

/**
 * An event as it may be kept: without the secrets that stood in words from outside. What a candidate changes stays as it is:
 * with one word replaced it is another candidate, which nobody supplied.
 */
export function withoutSecrets(event: NewEvent): NewEvent {
  if (event.type === "quest.submitted" && event.body.context)
    return { ...event, body: { ...event.body, context: redact(event.body.context) } };
  if (wordsOfEvents[event.type] === "neither") return event;
  const clean = { ...event, body: redact(event.body) } as NewEvent;
  if (event.type === "candidate.supplied" && clean.type === "candidate.supplied") {
    const { change } = event.body.supplied;
    return { ...clean, body: { ...clean.body, supplied: { ...clean.body.supplied, change } } };
  }
  if (event.type === "turn.answered" && clean.type === "turn.answered") {
    const { change } = event.body.answer;
    return { ...clean, body: { ...clean.body, answer: { ...clean.body.answer, change } } };
  }
  return clean;
}

/** The change of a turn, which was looked at as an answer. */
const isTurnsCandidate = ({ type, actor }: JournalEvent): boolean =>
  type === "candidate.supplied" && roles.some((role) => role === actor.role);

/** A breach by a message that could not be read, which was looked at as a dead letter. */
const isLettersBreach = (row: JournalEvent): boolean =>
  row.type === "turn.breached" && row.body.code === "MESSAGE_INVALID";

/** Whose words a row quotes. */
function speakerOf({ type, body, actor }: JournalEvent): string {
  if (type === "turn.breached") return body.by;
  if (type === "lease.expired") return `${body.assignment.split(".")[1]}/${body.agent}`;
  return `${actor.role}/${actor.name}`;
}

/** What follows from rows that were appended: one event for each in which somebody speaks to a reader. It decides nothing. */
export const injectionsIn = (rows: readonly JournalEvent[]): NewEvent[] =>
  rows.flatMap((row): NewEvent[] => {
    // What the orchestrator asks approval of was looked at where it came from.
    const isOwn = row.type === "approval.opened" && row.actor.role === "orchestrator";
    if (isOwn || isTurnsCandidate(row) || isLettersBreach(row)) return [];
    const signs = [...reportedSigns(row)];
    for (const said of saidIn(row)) {
      if (signs.length >= limit.injectionSignsMax) break;
      const sign = injectionSignOf(said, ordinaryIn(row.type));
      if (sign) signs.push(sign);
    }
    if (signs.length === 0) return [];
    const agent = speakerOf(row);
    const actor = orchestratorActor;
    const body = { agent, row: row.seq, signs: signs.slice(0, limit.injectionSignsMax) };
    return [{ type: "injection.suspected", quest: row.quest, actor, body }];
  });

/** One line for people: who said what, where. */
export function injectionText({ agent, signs }: EventBody["injection.suspected"]): string {
  const [first] = signs;
  const more = signs.length > 1 ? `, and ${signs.length - 1} more` : "";
  return `${agent} sent a text that speaks to its reader (${first?.kinds.join(", ")}; ${first?.from}, ${first?.where}${more})`;
}
