import type { AskAnswer, AskGrant, EventBody, Fault, JournalEvent, Phase, Role } from "@questbus/protocol";

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
  status: "offered" | "leased" | "answered" | "failed";
  /** Fencing token: goes up with each claim, never down. */
  epoch: number;
  /** How often it was offered. */
  offers: number;
  agent: string | null;
  /** What each phase found, so far. */
  results: readonly unknown[];
  fault: Fault | null;
  endedMs: number | null;
};

export const isOver = ({ status }: AskState): boolean => status === "answered" || status === "failed";

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
    fault: null,
    endedMs: null,
  };
}

/** Who reported keeps the lease for the next phase; the last one's name stays, so that its repeated report is known. */
function reported(before: AskState, body: EventBody["ask.reported"], timeMs: number): AskState {
  const { fault, result } = body;
  if (fault) return { ...before, status: "failed", fault, endedMs: timeMs };
  const results = [...before.results, result];
  const isLast = results.length === before.phases.length;
  return { ...before, results, ...(isLast ? { status: "answered", endedMs: timeMs } : {}) };
}

/** What its submitter is told. */
export function askAnswer({ id: ask, status, results, fault }: AskState): AskAnswer {
  if (status === "answered") return { ask, status, results };
  if (status === "failed") return { ask, status, fault: fault as Fault };
  return { ask, status: "pending" };
}

/** What its holder gets. */
export const askGrant = (state: AskState): AskGrant => ({
  assignment: state.id,
  epoch: state.epoch,
  phase: askPhase(state) as Phase,
  text: state.text,
  data: state.data,
  results: state.results,
});
