import { z } from "zod";
import { agentName, principal } from "./identity.ts";
import { limit } from "./limit.ts";

/** What somebody tried and may not: the words for it, where no command of his was there to be refused. */

export const brokerRefusalKinds = [
  /** Published to a subject that is not the credential's. */
  "publish",
  /** Subscribed to one. */
  "subscribe",
  /** No credential, a wrong one, or one that was revoked. */
  "credential",
  /** A message larger than the broker takes. */
  "size",
  /** Bytes that are not the broker's protocol. */
  "protocol",
  /** More subscriptions or connections than one may have, or answers that nobody fetches. */
  "limit",
] as const;

const refusalShape = {
  kind: z.enum(brokerRefusalKinds),
  /** The subject, or what the broker says of it. */
  detail: z.string().max(limit.noteCharsMax),
  /** How often, since it was said last. */
  count: z.int().min(1),
};

/** One of the broker's refusals; `agent`: whose credential it was, null where it was nobody's. */
export const brokerRefusal = z.strictObject({
  agent: z.strictObject({ role: principal, name: agentName }).nullable(),
  ...refusalShape,
});
export type BrokerRefusal = z.infer<typeof brokerRefusal>;

/** The bodies of their events, and of those that tell of an agent's end. */
export const refusalEventBody = {
  /** The broker refused this: it did not reach the orchestrator. */
  "broker.refused": z.object(refusalShape),
  /** So many more commands of this sender were refused, and were counted only; of the last one is said what it was. */
  "refusals.counted": z.object({
    count: z.int().min(1),
    verb: z.string(),
    code: z.string(),
    message: z.string(),
  }),
  /** An agent said that it stops: it waits for nothing any more, and holds nothing. */
  "agent.left": z.object({}),
  /** The credential of an agent, `role/name`, was taken back, and with it what it held. */
  "agent.revoked": z.object({ agent: z.string() }),
} as const;
