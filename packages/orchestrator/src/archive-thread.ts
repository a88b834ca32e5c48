import { parentPort, workerData } from "node:worker_threads";
import { limit } from "@questbus/protocol";
import { type Archive, type ArchivePlace, openArchive } from "./archive.ts";

/** The thread of the archive: looks for committed rows again and again, until it is told to stop. */
let archive: Archive | null = null;
let said = "";

function step(work: (open: Archive) => void): void {
  try {
    archive ??= openArchive(workerData as ArchivePlace);
    work(archive);
    said = "";
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (why !== said) parentPort?.postMessage(why);
    said = why;
  }
}

const timer = setInterval(() => step((open) => open.advance()), limit.archiveEveryMs);
parentPort?.once("message", () => {
  clearInterval(timer);
  step((open) => {
    open.advance();
    open.checkpoint();
  });
  archive?.close();
});
