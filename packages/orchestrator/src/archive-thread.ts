import { parentPort, workerData } from "node:worker_threads";
import { limit } from "@questbus/protocol";
import { type Archive, type ArchivePlace, type ArchiveSaid, openArchive } from "./archive.ts";

/** The thread of the archive: looks for committed rows again and again, until it is told to stop. */
let archive: Archive | null = null;
/** Undefined before the first turn, which is told in any case. */
let said: string | null | undefined;

function step(work: (open: Archive) => void): void {
  try {
    archive ??= openArchive(workerData as ArchivePlace);
    work(archive);
    say(null);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
}

function say(why: string | null): void {
  if (why !== said) parentPort?.postMessage({ why } satisfies ArchiveSaid);
  said = why;
}

const advance = (): void => step((open) => open.advance());
advance();
const timer = setInterval(advance, limit.archiveEveryMs);
parentPort?.once("message", () => {
  clearInterval(timer);
  step((open) => {
    open.advance();
    open.checkpoint();
  });
  archive?.close();
});
