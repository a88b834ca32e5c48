import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import type { ArchivePlace } from "./archive.ts";

/**
 * The archive in its thread. It loads its code while the process loads its own, which is why this file imports nothing of
 * ours: a start waits for whichever takes longer.
 */
export type Archived = {
  /** Begins at a state that is there. Resolves when what was there is carried over, or it was said why it cannot be. */
  begin(place: ArchivePlace, log: Logger, tell: (why: string) => void): Promise<void>;
  stop(): Promise<void>;
};

/** What the thread says after a turn: why it does not go on, or null. */
export type ArchiveSaid = { why: string | null };

/** Starts the thread, which waits for its place; what goes wrong there is logged, and tried again. */
export function startArchive(): Archived {
  const worker = new Worker(new URL("./archive-thread.ts", import.meta.url));
  const exited = new Promise<void>((done) => worker.once("exit", () => done()));
  // One that cannot even load its code has ended before it is told where to begin.
  const ended: { error?: unknown } = {};
  worker.on("error", (error: unknown) => {
    ended.error = error;
  });
  return {
    begin(place, log, tell) {
      const { promise: atWork, resolve } = Promise.withResolvers<void>();
      worker.on("message", ({ why }: ArchiveSaid) => {
        if (why !== null) {
          log.error({ why }, "the archive does not go on");
          tell(why);
        }
        resolve();
      });
      void exited.then(() => {
        if (ended.error !== undefined) log.error({ err: ended.error }, "the archive has ended");
        resolve();
      });
      worker.postMessage(place);
      return atWork;
    },
    stop() {
      worker.postMessage("stop");
      return exited;
    },
  };
}
