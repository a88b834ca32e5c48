import { parentPort } from "node:worker_threads";
import { type Fault, faultsOf, limit, QuestbusError } from "@questbus/protocol";
import { type Archive, type ArchivePlace, openArchive } from "./archive.ts";
import type { ArchiveSaid } from "./archive-worker.ts";

/** The thread of the archive: told its place, it looks for committed rows again and again, until it is told to stop. */
let archive: Archive | null = null;
/** Undefined before the first turn, which is told in any case. */
let said: string | null | undefined;

function step(place: ArchivePlace, work: (open: Archive) => void): void {
  try {
    archive ??= openArchive(place);
    work(archive);
    say(null);
  } catch (error) {
    const { message, next } = faultsOf(error)[0] as Fault;
    say(error instanceof QuestbusError && next ? `${message}; ${next}` : message);
  }
}

function say(why: string | null): void {
  if (why !== said) parentPort?.postMessage({ why } satisfies ArchiveSaid);
  said = why;
}

parentPort?.once("message", (place: ArchivePlace) => {
  const advance = (): void => step(place, (open) => open.advance());
  advance();
  const timer = setInterval(advance, limit.archiveEveryMs);
  parentPort?.once("message", () => {
    clearInterval(timer);
    step(place, (open) => {
      open.advance();
      open.checkpoint();
    });
    archive?.close();
  });
});
