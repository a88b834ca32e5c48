import {
  type EventBody,
  type Fault,
  type JournalEvent,
  limit,
  type NewEvent,
  orchestratorActor,
} from "@questbus/protocol";

/**
 * A circuit breaker for each agent. Whose work ends badly several times in a row is offered nothing for a while, then
 * one piece of work on trial: when that ends well the breaker is closed, else the pause is twice as long.
 *
 * Invariants: I1 a state is a fold of `breaker.*` events; I2 one good end closes it, whatever was before; I3 no pause is
 * longer than `breakerPauseMsMax`, and a trial follows each, so that the only agent of a role is never shut out for good.
 */
export type Breaker = EventBody["breaker.counted"] & {
  /** How often it opened in a row, and until when nothing is offered; null: it is closed. */
  open: { times: number; untilMs: number } | null;
};

/** How work of an agent, `role/name`, ended; `bad`: what it has to answer for. */
export type WorkEnd = { agent: string; bad: string | null };

/** Faults of a report that say something of the agent, not of what it works on. */
const ownFaults: readonly string[] = ["INTERNAL", "MESSAGE_INVALID", "MESSAGE_TOO_LARGE"];
/** Refusals of a report that do not: its lease is over, which has been counted, or the quest is. */
const notItsFault: readonly string[] = [
  "LEASE_STALE",
  "QUEST_ENDED",
  "QUEST_NOT_FOUND",
  "ASSIGNMENT_NOT_FOUND",
  "ROLLBACK_UNPROVEN",
  "OVERLOADED",
];

const ownFault = (what: string, fault: Fault | null): string | null =>
  fault && ownFaults.includes(fault.code) ? `${what}: ${fault.code}: ${fault.message}` : null;

type Row = Pick<JournalEvent, "type" | "actor" | "body">;

/** The ends of work that an event tells of. */
export function workEnds({ type, actor, body }: Row): WorkEnd[] {
  const agent = `${actor.role}/${actor.name}`;
  switch (type) {
    case "lease.expired": {
      const { assignment, agent: name, reason } = body as EventBody["lease.expired"];
      const role = assignment.slice(assignment.indexOf(".") + 1);
      return [{ agent: `${role}/${name}`, bad: `${assignment}: ${reason}` }];
    }
    case "ask.expired": {
      const { asks, reason } = body as EventBody["ask.expired"];
      const holders = new Set(asks.flatMap(({ holder }) => holder ?? []));
      return [...holders].map((holder) => ({ agent: holder, bad: `asks: ${reason}` }));
    }
    case "task.reported": {
      const { task, fault } = (body as EventBody["task.reported"]).report;
      return [{ agent, bad: ownFault(task, fault) }];
    }
    case "ask.reported": {
      const { phase, fault } = body as EventBody["ask.reported"];
      return [{ agent, bad: ownFault(`ask, ${phase}`, fault) }];
    }
    case "command.refused": {
      const { verb, code, message } = body as EventBody["command.refused"];
      if (verb !== "report" || notItsFault.includes(code)) return [];
      return [{ agent, bad: `a report was refused: ${code}: ${message}` }];
    }
    case "message.dead": {
      const { subject, faults } = body as EventBody["message.dead"];
      if (!subject.endsWith(".report")) return [];
      return [{ agent, bad: `a report could not be read: ${faults[0] ?? ""}` }];
    }
    default:
      return [];
  }
}

/** What follows from the end of some work; null: nothing. */
export function decideBreaker(before: Breaker | null, end: WorkEnd, nowMs: number): NewEvent | null {
  const { agent, bad } = end;
  if (bad === null) return before && event("breaker.closed", { agent });
  // What is left of before the pause tells nothing new.
  if (before?.open && nowMs < before.open.untilMs) return null;
  const isInRow = before !== null && nowMs - before.sinceMs <= limit.breakerWindowMs;
  const failures = isInRow ? before.failures + 1 : 1;
  const sinceMs = isInRow ? before.sinceMs : nowMs;
  const counted = { agent, failures, sinceMs, reason: bad.slice(0, limit.reasonCharsMax).toWellFormed() };
  if (!before?.open && failures < limit.breakerFailuresMax) return event("breaker.counted", counted);
  const times = (before?.open?.times ?? 0) + 1;
  return event("breaker.opened", { ...counted, times, pauseMs: pauseOf(times) });
}

/** I3. */
const pauseOf = (times: number): number =>
  Math.min(limit.breakerPauseMsMax, limit.breakerPauseMs * 2 ** Math.min(times - 1, 30));

type BreakerType = Extract<JournalEvent["type"], `breaker.${string}`>;
const event = <T extends BreakerType>(type: T, body: EventBody[T]): NewEvent =>
  ({ type, quest: null, actor: orchestratorActor, body }) as NewEvent;

/** I1: the breaker of an agent after one of its events; null: nothing is held against it. */
export function applyBreaker(
  before: Breaker | null,
  { type, body, timeMs }: Pick<JournalEvent, "type" | "body" | "timeMs">,
): Breaker | null {
  if (type === "breaker.counted")
    return { ...(body as EventBody["breaker.counted"]), open: before?.open ?? null };
  if (type !== "breaker.opened") return null;
  const { times, pauseMs, ...counted } = body as EventBody["breaker.opened"];
  return { ...counted, open: { times, untilMs: timeMs + pauseMs } };
}

/** What an agent may be offered; on trial, one piece of work at a time. */
export function permitOf(
  breaker: Breaker | null,
  nowMs: number,
  isHolding: () => boolean,
): "all" | "trial" | "none" {
  if (!breaker?.open) return "all";
  return nowMs < breaker.open.untilMs || isHolding() ? "none" : "trial";
}

/** Why an open breaker keeps its agent waiting, for people. */
export function breakerText({ failures, reason, open }: Breaker, nowMs: number): string {
  if (!open) return `${failures} in a row ended badly`;
  const leftMs = open.untilMs - nowMs;
  const state = leftMs > 0 ? `held off, ${Math.ceil(leftMs / 1_000)} s more` : "on trial";
  return `${state}: ${failures} in a row ended badly, the last one: ${reason}`;
}
