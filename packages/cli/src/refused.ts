import { type EventBody, type JournalEvent, limit, plural } from "@questbus/protocol";
import { actorText, type StoreReader } from "@questbus/store";

/** Under `nobody`: attempts without a credential of this stack. */
const nobody = "nobody";

const types = ["broker.refused", "refusals.counted"] as const;

/** How often each agent, `role/name`, was refused by the broker, or in a storm by the orchestrator, in the last rows of the journal. */
export function countRefused(store: StoreReader): Map<string, number> {
  const afterSeq = Math.max(0, store.head().seq - limit.injectionRowsMax);
  const counts = new Map<string, number>();
  for (const type of types)
    for (const row of store.readJournal({ afterSeq, type, limit: limit.injectionRowsMax })) {
      const who = senderOf(row);
      const { count } = row.body as EventBody[(typeof types)[number]];
      counts.set(who, (counts.get(who) ?? 0) + count);
    }
  return counts;
}

const senderOf = ({ actor }: JournalEvent): string =>
  actor.role === "orchestrator" ? nobody : actorText(actor);

export const refusedCounted = (count: number): string =>
  `tried ${plural(count, "thing")} that ${count === 1 ? "was" : "were"} refused`;

/** What is told of attempts that no agent listed here made; null: there are none. */
export function othersRefused(counts: ReadonlyMap<string, number>, listed: readonly string[]): string | null {
  const others = [...counts].filter(([who]) => !listed.includes(who));
  if (others.length === 0) return null;
  const told = others.map(([who, count]) =>
    who === nobody ? `${count} without a credential of this stack` : `${count} of ${who}`,
  );
  return `refused attempts of others: ${told.join(", ")}; see questbus audit`;
}
