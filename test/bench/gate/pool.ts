import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { addTally, type Job, type Tally } from "./job.ts";

/** Quests that one message to a thread carries. */
const chunk = 100;

export type Pool = {
  /** Plays `quests` quests of a job on all threads; the sums do not depend on who plays what. */
  readonly play: (job: Job, quests: number) => Promise<Tally>;
  readonly close: () => Promise<void>;
};

export function openPool(size = availableParallelism()): Pool {
  const workers = Array.from({ length: size }, () => new Worker(new URL("./worker.ts", import.meta.url)));
  const ask = (worker: Worker, job: Job, from: number, to: number): Promise<Tally> =>
    new Promise((done, failed) => {
      const answered = (tally: Tally): void => {
        worker.off("error", failed);
        done(tally);
      };
      worker.once("message", answered).once("error", failed);
      worker.postMessage({ job, from, to });
    });
  const play = async (job: Job, quests: number): Promise<Tally> => {
    const sum: Tally = {};
    let next = 0;
    await Promise.all(
      workers.map(async (worker) => {
        while (next < quests) {
          const from = next;
          next = Math.min(quests, next + chunk);
          addTally(sum, await ask(worker, job, from, next));
        }
      }),
    );
    return sum;
  };
  return { play, close: async () => void (await Promise.all(workers.map((worker) => worker.terminate()))) };
}
