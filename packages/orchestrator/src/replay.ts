import { openReplay, type VerdictFault } from "@questbus/core";
import { QuestbusError } from "@questbus/protocol";
import { dumpProjections, journalRows, type Store, type StoreReader } from "@questbus/store";
import { project } from "./projection.ts";

/** What one walk over a journal finds. */
export type Replay = {
  events: number;
  /** How many verdicts were recomputed, and those that their stored evidence does not lead to. */
  verdicts: number;
  faults: VerdictFault[];
};

/** Writes the projections of `from`'s journal into the empty store `into`, and recomputes every verdict on the way. */
export function replayInto(from: StoreReader, into: Store): Replay {
  const replay = openReplay();
  const found: Replay = { events: 0, verdicts: 0, faults: [] };
  into.transact((tx) => {
    for (const event of journalRows(from)) {
      const { state, fault } = replay.push(event);
      project(tx, event, state);
      found.events += 1;
      if (event.type === "pass.judged") found.verdicts += 1;
      if (fault) found.faults.push(fault);
    }
  });
  return found;
}

/**
 * Replays the journal into `empty`, and compares all projections with the live ones, byte for byte. `difference` is a
 * REPLAY_DIFFERS that names the first line that differs; null when none does.
 */
export function checkReplay(live: StoreReader, empty: Store): Replay & { difference: QuestbusError | null } {
  // One view of a database that may be written meanwhile.
  const { expected, ...found } = live.snapshot(() => ({
    ...replayInto(live, empty),
    expected: dumpProjections(live).split("\n"),
  }));
  return { ...found, difference: differenceOf(expected, dumpProjections(empty).split("\n")) };
}

function differenceOf(expected: readonly string[], actual: readonly string[]): QuestbusError | null {
  const at = expected.findIndex((line, index) => line !== actual[index]);
  if (at < 0 && expected.length === actual.length) return null;
  const index = at < 0 ? expected.length : at;
  return new QuestbusError({
    code: "REPLAY_DIFFERS",
    message: `the journal does not give the stored state: ${(expected[index] ?? "(nothing)").slice(0, 120)}`,
    where: `projection line ${index + 1}`,
    next: "keep the state directory, and report this with the output of `questbus audit`",
  });
}
