import { checkReplay } from "@questbus/orchestrator";
import { openMemoryStore, type StoreReader, verifyJournal } from "@questbus/store";

/** What is wrong with a whole journal: its hash chain, the state that it replays to, its verdicts. */
export function auditProblems(store: StoreReader): string[] {
  const chain = verifyJournal(store);
  const empty = openMemoryStore("replay");
  try {
    const { difference, faults } = checkReplay(store, empty);
    return [
      ...(chain.ok ? [] : chain.faults.map(({ seq, what }) => `row ${seq}: ${what}`)),
      ...(difference ? [difference.message] : []),
      ...faults.map((fault) => JSON.stringify(fault)),
    ];
  } finally {
    empty.close();
  }
}
