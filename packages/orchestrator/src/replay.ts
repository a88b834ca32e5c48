import { type AskState, openReplay, type QuestState, type VerdictFault } from "@questbus/core";
import { type JournalEvent, QuestbusError } from "@questbus/protocol";
import {
  journalRows,
  projectionLines,
  type Share,
  type Store,
  type StoreReader,
  type StoreWrites,
} from "@questbus/store";
import { openProjection, setTimers } from "./projection.ts";

/** What one walk over a journal finds. */
export type Replay = {
  events: number;
  /** How many verdicts were recomputed, and those that their stored evidence does not lead to. */
  verdicts: number;
  faults: VerdictFault[];
};

/** With how its projections differ from the stored ones; null where they do not. */
export type Checked = Replay & { difference: QuestbusError | null };

/** Writes the projections of `from`'s journal into the empty store `into`, and recomputes every verdict on the way. */
export function replayInto(from: StoreReader, into: Store, share?: Share): Replay {
  const replay = openReplay();
  const found: Replay = { events: 0, verdicts: 0, faults: [] };
  into.transact((tx) => {
    const projection = openProjection(tx);
    for (const event of journalRows(from, { share })) {
      const { state, asks, fault } = replay.push(event);
      projection.take(event, state);
      for (const ask of asks) projection.takeAsk(event, ask);
      found.events += 1;
      if (event.type === "pass.judged") found.verdicts += 1;
      if (fault) found.faults.push(fault);
    }
    projection.flush();
  });
  return found;
}

type Followed = { state: QuestState | null; asks: readonly AskState[] };

/**
 * Projects events that others decided: what a store holds of a quest is where it goes on from. Timers are set as they were
 * when the event was committed.
 */
export function openFollower(store: Store): {
  /**
   * One transaction: `take` is called for each event that is in the journal now, in their order; it gives what the event
   * was about, as it is after it.
   */
  transact(work: (take: (event: JournalEvent) => Followed, tx: StoreWrites) => void): void;
} {
  return {
    transact: (work) =>
      store.transact((tx) => {
        const replay = openReplay({
          quest: (id) => tx.getQuestState(id) as QuestState | null,
          ask: (id) => tx.getAsk(id),
        });
        const projection = openProjection(tx);
        work((event) => {
          const { state, asks } = replay.push(event);
          projection.take(event, state);
          for (const ask of asks) projection.takeAsk(event, ask);
          setTimers(tx, event, state);
          return { state, asks };
        }, tx);
        projection.flush();
      }),
  };
}

/** Takes away the rows behind `seq`, and all that was projected from them. */
export const cutBack = (store: Store, seq: number): void =>
  openFollower(store).transact((take, tx) => {
    tx.cutBack(seq);
    for (const event of journalRows(tx)) take(event);
  });

/**
 * Replays the journal into `empty`, and compares all projections with the live ones, byte for byte; or those of one share.
 * `difference` is a REPLAY_DIFFERS that names the first line that differs; null when none does.
 */
export function checkReplay(live: StoreReader, empty: Store, share?: Share): Checked {
  // One view of a database that may be written meanwhile.
  return live.snapshot(() => ({
    ...replayInto(live, empty, share),
    difference: differenceOf(live, empty, share),
  }));
}

/** All that was replayed is compared, so that a share that projects into another one differs. */
function differenceOf(
  live: StoreReader,
  replayed: StoreReader,
  share: Share | undefined,
): QuestbusError | null {
  const actual = projectionLines(replayed);
  try {
    let at = 0;
    for (const expected of projectionLines(live, share)) {
      at += 1;
      if (actual.next().value !== expected) return replayDiffers(expected, at);
    }
    return actual.next().done ? null : replayDiffers("(nothing)", at + 1);
  } finally {
    actual.return();
  }
}

const replayDiffers = (expected: string, line: number): QuestbusError =>
  new QuestbusError({
    code: "REPLAY_DIFFERS",
    message: `the journal does not give the stored state: ${expected.slice(0, 120)}`,
    where: `projection line ${line}`,
    next: "keep the state directory, and report this with the output of `questbus audit`",
  });
