import type { Command } from "@questbus/bus";
import { type Actor, type CommandData, type Phase, phases } from "@questbus/protocol";
import { actorText } from "@questbus/store";
import { Deadlines } from "./deadline.ts";

/**
 * Commands that wait: claims (and `requests`) for work, by role and agent, asks for their answers, by ask, and monitors for
 * a turn, by agent. Ten thousand idle agents cost a command no time: nothing here looks at all claims or asks, but for
 * claims of other phases than the asks that are offered, and at all monitors only where a conversation has something new
 * for them.
 */
export type Received = { command: Command; atMs: number };

const waitMsOf = ({ command }: Received): number => (command.data as { waitMs: number }).waitMs;
export const isLate = (received: Received, nowMs: number): boolean =>
  received.atMs + waitMsOf(received) <= nowMs;

const takesAsks = ({ command }: Received): boolean =>
  command.verb === "claim" && (command.data.asks ?? 0) > 0;

const takesOf = ({ command }: Received): readonly Phase[] =>
  (command.data as CommandData["claim"]).askPhases ?? phases;

type Claims = { askers: Map<string, Received>; others: Map<string, Received> };

export class Waiting {
  readonly #claims = new Map<string, Claims>();
  readonly #claimsDue = new Deadlines<Received>();
  readonly #answers = new Map<string, Set<Received>>();
  readonly #answersDue = new Deadlines<Received>();
  readonly #askOf = new Map<Received, string>();
  readonly #monitors = new Map<string, Received>();
  readonly #monitorsDue = new Deadlines<Received>();

  /** An agent waits once: gives the claim that it waited with before. */
  parkClaim(received: Received): Received | null {
    const { actor } = received.command;
    const before = this.forgetClaim(actor);
    const claims = this.#claims.get(actor.role) ?? { askers: new Map(), others: new Map() };
    this.#claims.set(actor.role, claims);
    (takesAsks(received) ? claims.askers : claims.others).set(actorText(actor), received);
    // One that was looked at, and waits on, is due when it was.
    if (!this.#claimsDue.has(received, waitMsOf(received)))
      this.#claimsDue.set(received, received.atMs, waitMsOf(received));
    return before;
  }

  forgetClaim(actor: Actor): Received | null {
    const claims = this.#claims.get(actor.role);
    const key = actorText(actor);
    const found = claims?.askers.get(key) ?? claims?.others.get(key) ?? null;
    if (found) this.#dropClaim(found);
    return found;
  }

  #dropClaim(received: Received): void {
    this.#takeOut(received);
    this.#claimsDue.delete(received, waitMsOf(received));
  }

  #takeOut(received: Received): void {
    const { actor } = received.command;
    const claims = this.#claims.get(actor.role);
    for (const map of [claims?.askers, claims?.others])
      if (map?.get(actorText(actor)) === received) map.delete(actorText(actor));
  }

  /** Whatever it waits for. */
  drop(received: Received): void {
    this.#dropClaim(received);
    this.#dropAnswer(received);
    this.#dropMonitor(received);
  }

  /** An agent monitors once, beside its claim: gives the monitor that it waited with before. */
  parkMonitor(received: Received): Received | null {
    const key = actorText(received.command.actor);
    // One that was looked at, and waits on, keeps its place.
    if (this.#monitors.get(key) === received) return null;
    const before = this.forgetMonitor(received.command.actor);
    this.#monitors.set(key, received);
    this.#monitorsDue.set(received, received.atMs, waitMsOf(received));
    return before;
  }

  forgetMonitor(actor: Actor): Received | null {
    const found = this.#monitors.get(actorText(actor)) ?? null;
    if (found) this.#dropMonitor(found);
    return found;
  }

  /** Who monitors as one of these roles. */
  monitorsOf(roles: ReadonlySet<string>): Received[] {
    if (roles.size === 0 || this.#monitors.size === 0) return [];
    return [...this.#monitors.values()].filter(({ command }) => roles.has(command.actor.role));
  }

  #dropMonitor(received: Received): void {
    const key = actorText(received.command.actor);
    if (this.#monitors.get(key) === received) this.#monitors.delete(key);
    this.#monitorsDue.delete(received, waitMsOf(received));
  }

  /**
   * Takes out claims of a role for `tasks` assignments, and then one at most for each of `asks`, which it takes by the phase
   * that it is in: those that wait longest first, of who may. Each is parked again, behind the others, or dropped.
   */
  takeClaims(
    role: string,
    tasks: number,
    asks: ReadonlyMap<Phase, number>,
    may: (agent: Actor) => boolean,
  ): Received[] {
    const claims = this.#claims.get(role);
    if (!claims) return [];
    const taken = firstOf(claims.others, tasks, (each) => may(each.command.actor));
    const left = new Map(asks);
    const most = tasks - taken.length + sumOf(asks);
    let tasksLeft = tasks - taken.length;
    const fits = (each: Received): boolean => {
      if (!may(each.command.actor)) return false;
      if (tasksLeft-- > 0) return true;
      const phase = takesOf(each).find((one) => left.get(one));
      if (phase) left.set(phase, (left.get(phase) ?? 0) - 1);
      return phase !== undefined;
    };
    taken.push(...firstOf(claims.askers, most, fits));
    for (const each of taken) this.#takeOut(each);
    return taken;
  }

  /** The phases of asks that are waited for. */
  awaited(role: string): ReadonlySet<Phase> {
    const found = new Set<Phase>();
    for (const each of this.#claims.get(role)?.askers.values() ?? []) {
      for (const phase of takesOf(each)) found.add(phase);
      if (found.size === phases.length) break;
    }
    return found;
  }

  parkAnswer(ask: string, received: Received): void {
    const waiting = this.#answers.get(ask) ?? new Set();
    this.#answers.set(ask, waiting.add(received));
    this.#askOf.set(received, ask);
    this.#answersDue.set(received, received.atMs, waitMsOf(received));
  }

  /** Callers that wait for the answer of an ask. */
  get answersCount(): number {
    return this.#askOf.size;
  }

  /** Takes out who waits for the answer of this ask. */
  takeAnswers(ask: string): Received[] {
    const found = [...(this.#answers.get(ask) ?? [])];
    for (const each of found) this.#dropAnswer(each);
    return found;
  }

  #dropAnswer(received: Received): void {
    const ask = this.#askOf.get(received) ?? "";
    const waiting = this.#answers.get(ask);
    waiting?.delete(received);
    if (waiting?.size === 0) this.#answers.delete(ask);
    this.#askOf.delete(received);
    this.#answersDue.delete(received, waitMsOf(received));
  }

  nextMs(): number {
    return Math.min(this.#claimsDue.nextMs(), this.#answersDue.nextMs(), this.#monitorsDue.nextMs());
  }

  /** Takes out the claims, the asks and the monitors that have waited long enough. */
  late(nowMs: number): {
    claims: Received[];
    asks: { ask: string; received: Received }[];
    monitors: Received[];
  } {
    const claims = this.#claimsDue.due(nowMs);
    for (const each of claims) this.#dropClaim(each);
    const asks = this.#answersDue.due(nowMs).map((received) => {
      const ask = this.#askOf.get(received) as string;
      this.#dropAnswer(received);
      return { ask, received };
    });
    const monitors = this.#monitorsDue.due(nowMs);
    for (const each of monitors) this.#dropMonitor(each);
    return { claims, asks, monitors };
  }
}

/** How many there are in all phases. */
export function sumOf(asks: ReadonlyMap<Phase, number>): number {
  let sum = 0;
  for (const count of asks.values()) sum += count;
  return sum;
}

function firstOf(
  map: ReadonlyMap<string, Received>,
  count: number,
  fits: (each: Received) => boolean,
): Received[] {
  const found: Received[] = [];
  for (const each of map.values()) {
    if (found.length >= count) break;
    if (fits(each)) found.push(each);
  }
  return found;
}
