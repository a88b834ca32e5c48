import { hash } from "node:crypto";
import {
  type Actor,
  type AskOutcome,
  type CommandData,
  type Fault,
  limit,
  type NewEvent,
  orchestratorActor,
  type Phase,
} from "@questbus/protocol";
import { clarificationOf, statedOf } from "../certainty/certainty.ts";
import { refuse } from "../quest/draft.ts";
import { type AskState, askPhase, isOver } from "./state.ts";

/**
 * The decisions on asks: each takes states and a command and gives the events that follow, or refuses.
 *
 * Invariants: I1 an outcome counts only under the current epoch of a lease its sender holds, once a phase; I2 the same
 * command is the same ask; I3 an ask that is over stays over; I4 no answer counts that is less sure than it may be without a
 * source, and none is sent back more than `askReturnsMax` times before the ask ends.
 */

/** I2: the id follows from the command, so that one that comes again needs no answer of its own to be stored. */
export const askIdOf = ({ role, name }: Actor, command: string): string =>
  `a-${hash("sha256", `${role}/${name}/${command}`, "hex").slice(0, 24)}`;

export function decideAsk(
  id: string,
  { role, phases, text, data = null, routing }: CommandData["ask"],
  open: number,
  actor: Actor,
): NewEvent {
  if (open >= limit.asksOpenMax)
    refuse("OVERLOADED", `${limit.asksOpenMax} asks wait already`, "ask again when some were answered");
  const body = { ask: id, role, phases, text, data, ...(routing ? { routing } : {}) };
  return { type: "ask.submitted", quest: null, actor, body };
}

/** The first of `offered` in these phases that `wanted` asks, and one message, have room for. */
export function asksToGrant(
  offered: Iterable<AskState>,
  wanted: number,
  takes: readonly Phase[],
): AskState[] {
  const taken: AskState[] = [];
  let chars = 0;
  for (const ask of offered) {
    if (taken.length >= wanted) break;
    if (!takes.includes(askPhase(ask) as Phase)) continue;
    const before = ask.results.length > 0 ? JSON.stringify(ask.results).length : 0;
    chars += ask.text.length + JSON.stringify(ask.data).length + before;
    if (taken.length > 0 && chars > limit.askGrantCharsMax) break;
    taken.push(ask);
  }
  return taken;
}

export const decideTake = (asks: readonly AskState[], actor: Actor): NewEvent => ({
  type: "ask.claimed",
  quest: null,
  actor,
  body: { asks: asks.map(({ id, epoch }) => ({ ask: id, epoch: epoch + 1 })) },
});

type Lease = Pick<AskOutcome, "assignment" | "epoch">;

/** I1: refuses a lease that is over, or another's. */
export function heldAsk(state: AskState | null, { assignment, epoch }: Lease, actor: Actor): AskState {
  if (!state) refuse("ASSIGNMENT_NOT_FOUND", `there is no ask ${assignment}`, "claim one first");
  if (state.role !== actor.role)
    refuse("ROLE_FORBIDDEN", `${actor.role} may not act on ${assignment}`, `it was asked of ${state.role}`);
  if (state.status !== "leased" || !isOwn(state, epoch, actor)) {
    refuse(
      "LEASE_STALE",
      `the lease of ${assignment} under epoch ${epoch} is over (epoch is now ${state.epoch}, ${state.status})`,
      "stop this work, and claim again",
    );
  }
  return state;
}

const isOwn = (state: AskState, epoch: number, actor: Actor): boolean =>
  state.epoch === epoch && state.agent === actor.name;

/**
 * Null: this phase was reported under this lease before, or this very report sent back, and what stands is answered again.
 */
export function decideOutcome(
  state: AskState | null,
  outcome: AskOutcome,
  actor: Actor,
  command: string,
): NewEvent | null {
  const { assignment: ask, epoch, phase, result = null, fault } = outcome;
  if (state && state.role === actor.role && isOwn(state, epoch, actor)) {
    const done = state.phases.slice(0, state.results.length + (state.fault ? 1 : 0));
    if (!isOver(state) && returnOf(state, command)) return null;
    if (done.includes(phase)) return null;
  }
  const held = heldAsk(state, outcome, actor);
  if (askPhase(held) !== phase)
    refuse("REPORT_OUT_OF_TURN", `${ask} is in its ${askPhase(held)} phase, not ${phase}`, "report that");
  const said = { ask, epoch, phase, result, ...statedOf(outcome) };
  const missing = fault ? null : clarificationOf(outcome);
  if (!missing) return { type: "ask.reported", quest: null, actor, body: { ...said, fault } };
  const ends = held.returned.length >= limit.askReturnsMax;
  return { type: "ask.returned", quest: null, actor, body: { ...said, fault: missing, ends } };
}

/** I4: what this very report was sent back for. */
export const returnOf = ({ returned }: AskState, command: string): Fault | undefined =>
  returned.find((each) => each.command === command)?.fault;

export function decideReleaseAsk(
  state: AskState | null,
  data: CommandData["release"],
  actor: Actor,
): NewEvent[] {
  const held = heldAsk(state, data, actor);
  const { id: ask, epoch } = held;
  return [
    { type: "ask.released", quest: null, actor, body: { ask, epoch, reason: data.reason } },
    ...lost([held]),
  ];
}

/** Leases that are over, for whatever reason: what was offered often enough fails, the rest is offered again. */
export function decideExpireAsks(asks: readonly AskState[], reason: string): NewEvent[] {
  if (asks.length === 0) return [];
  const body = {
    asks: asks.map(({ id, epoch, role, agent }) => ({ ask: id, epoch, holder: `${role}/${agent}` })),
    reason,
  };
  return [{ type: "ask.expired", quest: null, actor: orchestratorActor, body }, ...lost(asks)];
}

const lost = (asks: readonly AskState[]): NewEvent[] =>
  asks
    .filter(({ offers }) => offers >= limit.offersMax)
    .map((ask) =>
      ended(ask, {
        code: "AGENT_LOST",
        message: `${askPhase(ask)} was taken ${limit.offersMax} times and never finished`,
        next: `read the log of the agents of ${ask.role}`,
      }),
    );

/** Nobody answered it for as long as an ask may live. */
export const decideTooOld = (asks: readonly AskState[]): NewEvent[] =>
  asks
    .filter((ask) => !isOver(ask))
    .map((ask) =>
      ended(ask, {
        code: "AGENT_LOST",
        message: `nobody answered for ${limit.askLifeMs / 3_600_000} hours`,
        next: `start an agent of role ${ask.role} that takes asks, and ask again`,
      }),
    );

const ended = (ask: AskState, fault: Fault): NewEvent => ({
  type: "ask.ended",
  quest: null,
  actor: orchestratorActor,
  body: { ask: ask.id, fault },
});
