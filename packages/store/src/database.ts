import { closeSync, existsSync, mkdirSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import Database from "better-sqlite3";
import { guarded } from "./failure.ts";
import { type Sql, sqlOn } from "./sql.ts";

/** Below this, two connections that write and checkpoint at once can corrupt the file (sqlite.org/wal.html#walresetbug). */
const sqliteVersionMin = [3, 51, 3] as const;

const databasePath = (dir: string): string => join(dir, "questbus.db");

function assertVersion(db: Database.Database): void {
  const text = db.prepare("SELECT sqlite_version()").pluck().get() as string;
  const parts = text.split(".").map(Number);
  const at = sqliteVersionMin.findIndex((min, place) => (parts[place] ?? 0) !== min);
  if (at < 0 || (parts[at] ?? 0) > (sqliteVersionMin[at] ?? 0)) return;
  throw new QuestbusError({
    code: "PLATFORM_UNSUPPORTED",
    message: `SQLite ${text} is too old; ${sqliteVersionMin.join(".")} is the first without a known corruption bug`,
    next: "run npm ci to get the SQLite that Questbus ships with",
  });
}

function opened(path: string, options: Database.Options, prepare: (db: Database.Database) => void): Sql {
  return guarded(path, () => {
    const db = new Database(path, { timeout: 5_000, ...options });
    try {
      db.pragma("foreign_keys = ON");
      db.pragma("trusted_schema = OFF");
      assertVersion(db);
      prepare(db);
      return sqlOn(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Makes the state directory, private to its owner; one that is there already keeps its rights. */
export function makeStateDir(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
}

/** Opens the database to write, made when it is not there; only the holder of the lock may. */
export function openToWrite(dir: string): Sql {
  const path = databasePath(dir);
  closeSync(openSync(path, "a", 0o600));
  return opened(path, { fileMustExist: true }, (db) => {
    const mode = db.pragma("journal_mode = WAL", { simple: true });
    db.pragma("synchronous = FULL");
    db.pragma("wal_autocheckpoint = 4000");
    if (mode === "wal") return;
    throw new QuestbusError({
      code: "PLATFORM_UNSUPPORTED",
      message: "the file system of the state directory cannot hold a database with a write-ahead log",
      where: dir,
      next: "put --state DIR on a local disk",
    });
  });
}

/** Opens the database to read, beside a writer or without one. */
export function openToRead(dir: string): Sql {
  const path = databasePath(dir);
  if (!existsSync(path) || statSync(path).size === 0) throw stateMissing(dir, "there is no state here yet");
  return opened(path, { readonly: true, fileMustExist: true }, () => {});
}

export const stateMissing = (dir: string, message: string): QuestbusError =>
  new QuestbusError({
    code: "STATE_MISSING",
    message,
    where: dir,
    next: "run questbus up once, or check --state DIR",
  });
