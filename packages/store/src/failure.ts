import { type Fault, QuestbusError } from "@questbus/protocol";
import Database from "better-sqlite3";

/** The way out of a damaged state, said wherever one is found. */
export const wayOut = "keep a copy of the state directory, then run questbus backup restore";

/** What SQLite's refusal means to the user; null where it is a mistake of ours. */
function faultOf(code: string, message: string, path: string): Fault | null {
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_SHMSIZE") {
    return {
      code: "DISK_FULL",
      message: "the disk is full; nothing of this change was stored",
      where: path,
      next: "free some space, then try again",
    };
  }
  if (code === "SQLITE_NOTADB" || code.startsWith("SQLITE_CORRUPT")) {
    return {
      code: "STATE_BROKEN",
      message: `the state cannot be read: ${message}`,
      where: path,
      next: wayOut,
    };
  }
  if (
    code.startsWith("SQLITE_IOERR") ||
    code.startsWith("SQLITE_CANTOPEN") ||
    code.startsWith("SQLITE_READONLY")
  ) {
    return {
      code: "STATE_BROKEN",
      message: `the state cannot be read or written: ${message}`,
      where: path,
      next: "check the disk and the rights of the state directory",
    };
  }
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) {
    return {
      code: "STATE_LOCKED",
      message: "another process keeps the state locked",
      where: path,
      next: "close programs that have the database open, then try again",
    };
  }
  return null;
}

/** Runs `action`; an error of SQLite that a user can act on becomes a {@link QuestbusError}. */
export function guarded<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Database.SqliteError)) throw error;
    const fault = faultOf(error.code, error.message, path);
    throw fault ? new QuestbusError(fault) : error;
  }
}
