import type {
  AskAnswer,
  AskGrant,
  EventBody,
  Fault,
  JournalEvent,
  Phase,
  Role,
  Stated,
} from "@questbus/protocol";
import { statedOf } from "../certainty/certainty.ts";

/** The whole of one ask; a fold of its events, and nothing else. */
export type AskState = {
  id: string;
  /** The row of the journal that it came with; asks are offered in this order. */
  seq: number;
  role: Role;
  phases: readonly Phase[];
  text: string;
  data: unknown;
  author: string;
  askedMs: number;
  status: "offered" | "leased" | "answered" | "clarification" | "failed";
  /** Fencing token: goes up with each claim, never down. */
  epoch: number;
  /** How often it was offered. */
  offers: number;
  agent: string | null;
  /** What each phase found, so far. */
  results: readonly unknown[];
  /** How sure each of them is said to be; null: it was not said. */
  stated: readonly (Stated | null)[];
  /** Answers that were sent back, by the commands that brought them. */
  returned: readonly { command: string; fault: Fault }[];
  fault: Fault | null;
  endedMs: number | null;
};

export const isOver = ({ status }: AskState): boolean => status !== "offered" && status !== "leased";

/** The phase that is to be done; undefined once it is answered. */
export const askPhase = ({ phases, results }: AskState): Phase | undefined => phases[results.length];

/** The asks that an event is about. */
export function asksIn(event: Pick<JournalEvent, "type" | "body">): string[] {
  if (!event.type.startsWith("ask.")) return [];
  const body = event.body as { ask: string } | { asks: { ask: string }[] };
  return "asks" in body ? body.asks.map(({ ask }) => ask) : [body.ask];
}

/** The ask `id` after an event that is about it: the only place where an ask changes. */
export function applyAsk(before: AskState | null, event: JournalEvent, id: string): AskState {
  if (event.type === "ask.submitted") return asked(event.body, event);
  if (!before) throw new RangeError(`row ${event.seq}: there is no ask ${id}`);
  switch (event.type) {
    case "ask.claimed": {
      const epoch = event.body.asks.find(({ ask }) => ask === id)?.epoch ?? before.epoch;
      return { ...before, status: "leased", epoch, agent: event.actor.name };
    }
    case "ask.reported":
      return reported(before, event.body, event.timeMs);
    case "ask.returned": {
      const { fault, ends } = event.body;
      const returned = [...before.returned, { command: event.command ?? "", fault }];
      const over = ends ? ({ status: "clarification", fault, endedMs: event.timeMs } as const) : {};
      return { ...before, returned, ...over };
    }
    case "ask.released":
    case "ask.expired":
      return { ...before, status: "offered", offers: before.offers + 1, agent: null };
    case "ask.ended":
      return { ...before, status: "failed", agent: null, fault: event.body.fault, endedMs: event.timeMs };
    default:
      throw new RangeError(`row ${event.seq}: ${event.type} changes no ask`);
  }
}

function asked(body: EventBody["ask.submitted"], { seq, actor, timeMs }: JournalEvent): AskState {
  const { ask: id, role, phases, text, data } = body;
  return {
    id,
    seq,
    role,
    phases,
    text,
    data,
    author: actor.name,
    askedMs: timeMs,
    status: "offered",
    epoch: 0,
    offers: 1,
    agent: null,
    results: [],
    stated: [],
    returned: [],
    fault: null,
    endedMs: null,
  };
}

/** Who reported keeps the lease for the next phase; the last one's name stays, so that its repeated report is known. */
function reported(before: AskState, body: EventBody["ask.reported"], timeMs: number): AskState {
  const { fault, result } = body;
  if (fault) {
    const status = fault.code === "CLARIFICATION_WANTED" ? "clarification" : "failed";
    return { ...before, status, fault, endedMs: timeMs };
  }
  const results = [...before.results, result];
  const said = statedOf(body);
  const stated = [...before.stated, Object.keys(said).length > 0 ? said : null];
  const isLast = results.length === before.phases.length;
  return { ...before, results, stated, ...(isLast ? { status: "answered", endedMs: timeMs } : {}) };
}

/** What its submitter is told. `takes`: the phases that agents of its role take now. */
export function askAnswer(state: AskState, takes: readonly Phase[]): AskAnswer {
  const { id: ask, status, role, agent, results, stated, fault } = state;
  if (status === "answered") return { ask, status, results, ...(stated.some(Boolean) ? { stated } : {}) };
  if (status === "failed" || status === "clarification") return { ask, status, fault: fault as Fault };
  const phase = askPhase(state) as Phase;
  const holder = status === "leased" ? `${role}/${agent}` : null;
  return { ask, status: "pending", phase, holder, takers: takes.includes(phase), takes };
}

/** What its holder gets. */
export function askGrant(state: AskState): AskGrant {
  const { id: assignment, epoch, text, data, results, returned } = state;
  const clarification = returned.at(-1)?.fault;
  const phase = askPhase(state) as Phase;
  return { assignment, epoch, phase, text, data, results, ...(clarification ? { clarification } : {}) };
}
