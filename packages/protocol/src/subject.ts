import { type Verb, verbs } from "./command.ts";
import { type Actor, agentName, principal } from "./identity.ts";

/**
 * Subjects start with the space, so that several installations share one broker.
 *
 * - `<space>.cmd.<role>.<name>.<verb>`: a command, as the orchestrator sees it. Role and name come from the
 *   credential: each account can publish only its own (see the broker's configuration).
 * - `<space>.<role>.<name>.<verb>`: the same, as the caller's account publishes it.
 * - `<space>.event.<quest or "stack">.<type>`: a committed event; `<space>.event.stack.rows`: several, none of a quest.
 * - `<space>.dead.<reason>`: a message that was refused, with the reason.
 * - `<space>.batch`: what a cluster's leader committed, for its standbys alone.
 */
export const spaceDefault = "local";

export const commandSubject = (space: string, from: Actor, verb: Verb): string =>
  `${space}.${from.role}.${from.name}.${verb}`;
export const commandsOf = (space: string, role: string): string => `${space}.cmd.${role}.>`;
export const commandsAll = (space: string): string => `${space}.cmd.>`;
export const eventSubject = (space: string, quest: string | null, type: string): string =>
  `${space}.event.${quest ?? "stack"}.${type}`;
/** What may end a lease that its holder did not give back itself. */
export const leaseEvents = ["quest.ended", "pass.judged", "lease.expired"] as const;
/**
 * The events that a role may hear, of one quest or of all: an operator and an arbiter every one, an agent those that may
 * end its lease. The others tell what is asked, said and remembered elsewhere.
 */
export function eventsHeardBy(role: string, space: string, quest?: string): string[] {
  const hearsAll = ["operator", "arbiter", "orchestrator"].includes(role);
  if (hearsAll) return [quest ? `${space}.event.${quest}.>` : eventsAll(space)];
  return leaseEvents.map((type) => eventSubject(space, quest ?? "*", type));
}
/** Stands for the type of an event in what carries several. */
export const eventPage = "rows";
export const eventsAll = (space: string): string => `${space}.event.>`;
export const batchSubject = (space: string): string => `${space}.batch`;
export const deadSubject = (space: string, code: string): string => `${space}.dead.${code.toLowerCase()}`;
export const deadAll = (space: string): string => `${space}.dead.>`;

/** Reads `<space>.cmd.<role>.<name>.<verb>`; null when it is anything else. */
export function parseCommandSubject(subject: string): { actor: Actor; verb: Verb } | null {
  const [, kind, roleToken, nameToken, verbToken, ...rest] = subject.split(".");
  const role = principal.safeParse(roleToken);
  const name = agentName.safeParse(nameToken);
  const known = verbs.find((each) => each === verbToken);
  if (kind !== "cmd" || rest.length > 0 || !role.success || !name.success || !known) return null;
  return { actor: { role: role.data, name: name.data }, verb: known };
}
