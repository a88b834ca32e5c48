import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { openScratchStore, openStore, type Share } from "@questbus/store";
import { type Checked, checkReplay } from "./replay.ts";

/**
 * A long journal is replayed on several processors. What is projected of a quest follows from its own rows alone, so that
 * each thread takes the quests of one share, reads them in a view of its own, and compares what it finds.
 *
 * - R1: each row of the journal, and each projected row, is checked in one share.
 * - R2: a thread answers for what is in order. Where one finds anything else, all is replayed once more on one thread, which
 *   says the first thing that is wrong.
 */

/** Below these rows a thread takes longer to start than to replay them. */
const rowsMin = 25_000;
const sharesMax = 4;

export type SharePlace = { dir: string; share: Share };
/** What a share that is in order holds. */
type Sound = { events: number; verdicts: number };

/**
 * Replays the journal of the state in `dir` into empty databases, which are gone afterwards, as {@link checkReplay} does.
 * `shares`: how many threads; as many as there are processors to the journal's length, without it.
 */
export async function auditReplay(dir: string, shares = sharesFor(dir)): Promise<Checked> {
  const parts = Array.from({ length: shares }, (_, at) => ({ dir, share: { at, of: shares } }));
  const [own, ...others] = shares > 1 ? parts : [];
  if (!own) return replayed(dir);
  const told = others.map(inThread);
  const sound = [soundShare(own), ...(await Promise.all(told))].filter((each) => each !== null);
  if (sound.length < shares) return replayed(dir);
  const sum = (of: keyof Sound): number => sound.reduce((total, each) => total + each[of], 0);
  return { events: sum("events"), verdicts: sum("verdicts"), faults: [], difference: null };
}

/** Null where anything is wrong with the share. */
export function soundShare({ dir, share }: SharePlace): Sound | null {
  try {
    const { events, verdicts, faults, difference } = replayed(dir, share);
    return faults.length > 0 || difference ? null : { events, verdicts };
  } catch {
    return null;
  }
}

function sharesFor(dir: string): number {
  const live = openStore({ dir, mode: "read" });
  try {
    return Math.max(1, Math.min(availableParallelism(), sharesMax, Math.floor(live.head().seq / rowsMin)));
  } finally {
    live.close();
  }
}

function replayed(dir: string, share?: Share): Checked {
  const live = openStore({ dir, mode: "read" });
  const empty = openScratchStore();
  try {
    return checkReplay(live, empty, share);
  } finally {
    live.close();
    empty.close();
  }
}

/** A thread that ends without an answer has found nothing in order. */
function inThread(place: SharePlace): Promise<Sound | null> {
  const worker = new Worker(new URL("./replay-thread.ts", import.meta.url), { workerData: place });
  const { promise, resolve } = Promise.withResolvers<Sound | null>();
  worker.once("message", (found: Sound | null) => resolve(found));
  worker.once("error", () => resolve(null));
  worker.once("exit", () => resolve(null));
  return promise;
}
