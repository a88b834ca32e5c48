import { randomUUID } from "node:crypto";
import { type BusConnection, connectBus, credentialPath } from "@questbus/bus";
import { limit, roles, spaceDefault, type Verb, wrap } from "@questbus/protocol";

const helloAtOnce = 200;

/** Agents that joined and wait for an assignment, which never comes; each claims again when its wait is over. */
export type IdleAgents = { close(): Promise<void> };

/**
 * `count` agents over one connection: the orchestrator's own account is where the broker puts a command after it has
 * checked its sender, so that one connection there can speak for each of them.
 */
export async function openIdleAgents(dir: string, url: string, count: number): Promise<IdleAgents> {
  const connection = await connectBus({ url, credential: credentialPath(dir, "orchestrator", "main") });
  const agents = Array.from({ length: count }, (_, at) => ({
    role: roles[at % roles.length] as (typeof roles)[number],
    name: `idle${at}`,
  }));
  const inbox = `idle.${randomUUID()}`;
  const answered = new Map<string, () => void>();
  connection.nats.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (!error) answered.get(message.subject)?.();
    },
  });
  const send = (at: number, verb: Verb, data: object): Promise<void> => {
    const { role, name } = agents[at] as (typeof agents)[number];
    const head = { id: randomUUID(), source: `bench/${name}`, timeMs: Date.now() };
    const reply = `${inbox}.${verb}-${at}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    answered.set(reply, resolve);
    const subject = `${spaceDefault}.cmd.${role}.${name}.${verb}`;
    connection.nats.publish(subject, JSON.stringify(wrap(`command.${verb}`, head, data)), { reply });
    return promise;
  };
  const claim = (at: number): void => {
    void send(at, "claim", { waitMs: limit.claimWaitMsMax }).then(() => claim(at));
  };
  await joinAll(agents.length, (at) => send(at, "hello", { incarnation: `idle${at}`, pid: 1 }));
  for (const at of agents.keys()) claim(at);
  await settled(connection);
  return { close: () => connection.close() };
}

/** Some at once: the orchestrator's queue is bounded. */
async function joinAll(count: number, join: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await join(next - 1);
    }
  };
  await Promise.all(Array.from({ length: helloAtOnce }, lane));
}

/** The broker has passed on all that was sent. */
const settled = (connection: BusConnection): Promise<void> => connection.nats.flush();
