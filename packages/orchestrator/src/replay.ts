import { openReplay, type VerdictFault } from "@questbus/core";
import { QuestbusError } from "@questbus/protocol";
import { dumpProjections, journalRows, type Store, type StoreReader } from "@questbus/store";
import { project } from "./projection.ts";

/** Writes the projections of `from`'s journal into the empty store `into`. */
export function replayInto(from: StoreReader, into: Store): { events: number } {
  const replay = openReplay();
  let events = 0;
  into.transact((tx) => {
    for (const event of journalRows(from)) {
      project(tx, event, replay.push(event).state);
      events += 1;
    }
  });
  return { events };
}

/**
 * Replays the journal into `empty` and compares all projections with the live ones, byte for byte.
 *
 * @throws QuestbusError REPLAY_DIFFERS, naming the first line that differs.
 */
export function checkReplay(live: StoreReader, empty: Store): { events: number } {
  // One view of a database that may be written meanwhile.
  const { events, expected } = live.snapshot(() => ({
    ...replayInto(live, empty),
    expected: dumpProjections(live).split("\n"),
  }));
  const actual = dumpProjections(empty).split("\n");
  const at = expected.findIndex((line, index) => line !== actual[index]);
  if (at < 0 && expected.length === actual.length) return { events };
  const index = at < 0 ? expected.length : at;
  throw new QuestbusError({
    code: "REPLAY_DIFFERS",
    message: `the journal does not give the stored state: ${(expected[index] ?? "(nothing)").slice(0, 120)}`,
    where: `projection line ${index + 1}`,
    next: "keep the state directory, and report this with the output of `questbus audit`",
  });
}

/** Verdicts in the journal that the stored evidence does not lead to. */
export function recheckVerdicts(store: StoreReader): { verdicts: number; faults: VerdictFault[] } {
  const replay = openReplay();
  const faults: VerdictFault[] = [];
  let verdicts = 0;
  for (const event of journalRows(store)) {
    const { fault } = replay.push(event);
    if (event.type === "pass.judged") verdicts += 1;
    if (fault) faults.push(fault);
  }
  return { verdicts, faults };
}
