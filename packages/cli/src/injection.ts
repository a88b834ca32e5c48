import { type EventBody, limit, plural } from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";

type Suspected = EventBody["injection.suspected"];
const type = "injection.suspected";

/** How often each agent, `role/name`, sent a text that speaks to its reader, in the last rows of the journal. */
export function countInjections(store: StoreReader): Map<string, number> {
  const afterSeq = Math.max(0, store.head().seq - limit.injectionRowsMax);
  const counts = new Map<string, number>();
  for (const { body } of store.readJournal({ afterSeq, type, limit: limit.injectionRowsMax })) {
    const { agent, signs } = body as Suspected;
    counts.set(agent, (counts.get(agent) ?? 0) + signs.length);
  }
  return counts;
}

export const injectionsCounted = (count: number): string =>
  `sent ${plural(count, "text")} that ${count === 1 ? "speaks to its reader" : "speak to their reader"}`;

/** How many of one quest are shown; all of them are in its audit. */
const shownMax = 3;

/** The first such texts of a quest. */
export const injectionsOf = (store: StoreReader, quest: string): Suspected[] =>
  store.readJournal({ quest, type, limit: shownMax }).map(({ body }) => body as Suspected);
