import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import Database from "better-sqlite3";

export type Lock = { release(): void };

/**
 * Makes this process the only writer of the state directory.
 *
 * The lock is an exclusive transaction on an otherwise empty database, held until `release` or the end of the
 * process: the operating system lifts it, even after kill -9, so a stale lock cannot be. (A file with a process id
 * in it can be stale, and the id can be somebody else's by then.)
 */
export function lockState(dir: string): Lock {
  const path = join(dir, "orchestrator.lock");
  closeSync(openSync(path, "a", 0o600));
  const db = new Database(path, { timeout: 0 });
  try {
    db.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    db.close();
    if (!(error instanceof Database.SqliteError) || !error.code.startsWith("SQLITE_BUSY")) throw error;
    throw new QuestbusError({
      code: "STATE_LOCKED",
      message: "another orchestrator works on this state directory",
      where: dir,
      next: "stop it first, or start with another --state DIR; a stack that is only starting is named when you try again",
    });
  }
  return { release: () => void db.close() };
}
