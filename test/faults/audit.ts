import { checkReplay } from "@questbus/orchestrator";
import { journalRows, openMemoryStore, type StoreReader, verifyJournal } from "@questbus/store";
import { type Answered, answerProblems, effectsIn, journalProblems } from "./invariant.ts";

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

/** Looks at the rows of one run after the other. */
export type RunCheck = {
  /** What is wrong with the rows that came since the last look, and with these answers. */
  problems(answered: readonly Answered[]): string[];
};

export function openRunCheck(store: StoreReader): RunCheck {
  let checkedSeq = 0;
  /** Commands that left a row; an answer can arrive after the rows of its run were looked at. */
  const effects = new Set<string>();
  return {
    problems(answered) {
      const rows = [...journalRows(store, { afterSeq: checkedSeq })];
      checkedSeq = rows.at(-1)?.seq ?? checkedSeq;
      for (const command of effectsIn(rows)) effects.add(command);
      return [...journalProblems(rows), ...answerProblems(answered, effects)];
    },
  };
}
