import {
  type AgentId,
  type BusClient,
  type BusConnection,
  type Credentials,
  connectBus,
  createClient,
  credentialPath,
  type LoggedRefusal,
  listCredentials,
  pause,
  readRefusal,
  systemTime,
} from "@questbus/bus";
import { Tally } from "@questbus/core";
import { type BrokerRefusal, limit } from "@questbus/protocol";

/**
 * What the brokers of a stack refuse, told to the orchestrator for the journal: the log is the only place that says it.
 *
 * Invariants: F1 each refusal is told one by one or in a count; F2 a storm of them costs no more than `refusalsKeptMax` lines
 * and rows a sender and minute, in the log too; F3 whose key it was is what the credentials say.
 */
export type BrokerRefusals = {
  /** Takes a line of a broker's log; false: it is one of a storm, and is counted instead of written. */
  take(line: string): boolean;
  /** Who has a credential now. */
  know(credentials: Credentials): void;
  /** Tells what is left, for a moment. */
  stop(): Promise<void>;
};

type Options = { dir: string; address: () => { url: string; space: string } };

/** Who has a credential, and since when that is known here. */
type Holder = { agent: AgentId; sinceMs: number };

/** The broker may take so long to read its configuration again. */
const letInWithinMs = 2_000;
const lookEveryMs = 1_000;
const lastWordMs = 1_000;

export function tellRefusals({ dir, address }: Options): BrokerRefusals {
  const tally = new Tally<BrokerRefusal>({
    keptMax: limit.refusalsKeptMax,
    windowMs: limit.refusalsWindowMs,
  });
  const holders = new Map<string, Holder>();
  const stopping = new AbortController();
  const waiting: BrokerRefusal[] = [];
  let link: { connection: BusConnection; client: BusClient } | null = null;
  let telling: Promise<void> | null = null;

  const request = async (
    refusals: BrokerRefusal[],
    retryForMs: number,
    signal?: AbortSignal,
  ): Promise<void> => {
    if (!link) {
      const credential = credentialPath(dir, "operator", "operator");
      const connection = await connectBus({ ...address(), credential });
      link = { connection, client: createClient(connection) };
    }
    await link.client.request("refusals", { refusals }, { retryForMs, signal });
  };
  const tell = async (): Promise<void> => {
    while (waiting.length > 0 && !stopping.signal.aborted) {
      const some = waiting.slice(0, limit.refusalsToldMax);
      try {
        await request(some, Number.POSITIVE_INFINITY, stopping.signal);
        waiting.splice(0, some.length);
      } catch {
        await pause(systemTime, lookEveryMs, stopping.signal);
      }
    }
  };
  const kick = (): void => {
    telling ??= tell().finally(() => {
      telling = null;
    });
  };
  const sayCounts = (): void => {
    for (const { count, last } of tally.due(systemTime.nowMs())) waiting.push({ ...last, count });
    if (waiting.length > 0) kick();
  };
  const timer = setInterval(() => sayCounts(), lookEveryMs);
  timer.unref();

  return {
    take(line) {
      const found = readRefusal(line);
      const refusal = found && named(found, holders, dir);
      if (!refusal) return true;
      const { agent, kind } = refusal;
      const sender = agent ? `${agent.role}/${agent.name}` : "nobody";
      if (!tally.take(`${sender} ${kind}`, refusal, systemTime.nowMs())) return false;
      waiting.push(refusal);
      kick();
      return true;
    },
    know({ agents }) {
      const sinceMs = systemTime.nowMs();
      for (const { role, name, publicKey } of agents)
        if (!holders.has(publicKey)) holders.set(publicKey, { agent: { role, name } as AgentId, sinceMs });
    },
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await telling?.catch(() => {});
      for (const { count, last } of tally.due(systemTime.nowMs(), true)) waiting.push({ ...last, count });
      if (waiting.length > 0) {
        const told = request(waiting.splice(0, limit.refusalsToldMax), 0).catch(() => {});
        await Promise.race([told, pause(systemTime, lastWordMs)]);
      }
      await link?.connection.close();
    },
  };
}

/** Null: somebody whom the broker does not know yet, because it was added a moment ago. */
function named(
  { kind, publicKey, detail }: LoggedRefusal,
  holders: ReadonlyMap<string, Holder>,
  dir: string,
): BrokerRefusal | null {
  const holder = publicKey === null ? undefined : holders.get(publicKey);
  const { agent = null } = holder ?? {};
  if (kind !== "credential") return { agent, kind, detail, count: 1 };
  if (!listCredentials(dir).some((each) => each.publicKey === publicKey))
    return { agent, kind, detail, count: 1 };
  if (!holder || systemTime.nowMs() < holder.sinceMs + letInWithinMs) return null;
  // Whoever has the key itself is let in: this is somebody else.
  const { role, name } = holder.agent;
  return { agent: null, kind, detail: `the key of ${role}/${name}, with a wrong signature`, count: 1 };
}
