import { closeSync, existsSync, openSync, statSync } from "node:fs";
import { join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import Database from "better-sqlite3";
import { guarded, wayOut } from "./failure.ts";
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

/**
 * What every connection of ours has. SQLite answers a pragma that it does not know, or cannot apply, with silence: so
 * each is read back.
 */
const connectionSettings = { busy_timeout: 5_000, foreign_keys: 1, trusted_schema: 0 } as const;

/**
 * What the writer has besides. A checkpoint comes every 16,384 pages (64 MiB): 30 to 40 % more rows a second than with
 * 4,000, and a lower p99. A write-ahead log that a slow reader let grow beyond that is cut back at the next one.
 */
const writerSettings = {
  journal_mode: "wal",
  synchronous: 2,
  wal_autocheckpoint: 16_384,
  journal_size_limit: 16_384 * 4_096,
} as const;

function applySettings(db: Database.Database, settings: Readonly<Record<string, number | string>>): void {
  for (const [name, wanted] of Object.entries(settings)) {
    db.pragma(`${name} = ${wanted}`);
    const found = db.pragma(name, { simple: true });
    if (found === wanted) continue;
    throw new QuestbusError({
      code: "PLATFORM_UNSUPPORTED",
      message: `the database cannot be kept safely here: SQLite has ${name} = ${found}, and ${wanted} is needed`,
      where: db.name,
      next: "put --state DIR on a local disk",
    });
  }
}

function opened(
  path: string,
  options: Database.Options,
  settings: Readonly<Record<string, number | string>>,
): Sql {
  return guarded(path, () => {
    const db = new Database(path, options);
    try {
      assertVersion(db);
      applySettings(db, settings);
      return sqlOn(db, path);
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Opens the database to write, made when it is not there; only the holder of the lock may. */
export function openToWrite(dir: string): Sql {
  const path = databasePath(dir);
  closeSync(openSync(path, "a", 0o600));
  return opened(path, { fileMustExist: true }, { ...connectionSettings, ...writerSettings });
}

/** A database of this process alone. */
export const openInMemory = (): Sql => opened(":memory:", {}, { foreign_keys: 1, trusted_schema: 0 });

/** An empty database of this process alone, in a file that is gone when it is closed. */
export const openScratch = (): Sql => opened("", {}, { foreign_keys: 1, trusted_schema: 0 });

/** The database that is there. @throws QuestbusError STATE_MISSING */
export function statePath(dir: string): string {
  const path = databasePath(dir);
  if (!existsSync(path) || statSync(path).size === 0) throw stateMissing(dir, "there is no state here yet");
  return path;
}

/** Opens the database to read, beside a writer or without one. */
export function openToRead(dir: string): Sql {
  const path = statePath(dir);
  return opened(path, { readonly: true, fileMustExist: true }, connectionSettings);
}

export const stateMissing = (dir: string, message: string): QuestbusError =>
  new QuestbusError({
    code: "STATE_MISSING",
    message,
    where: dir,
    next: "run questbus up once, or check --state DIR",
  });

/** What a copy of a database is of. */
export type Copied = {
  installation: string;
  schema: number;
  head: { seq: number; hash: string };
  lastRowMs: number;
};

/** Pages that one step copies: some milliseconds, in which nothing else of this process goes on. */
const pagesPerStep = 2_048;

/**
 * Copies the database beside its writer, and checks the copy: its structure, page by page. The copy is of one moment: it
 * is read in one transaction, without which every commit of the writer would start it anew.
 *
 * @throws QuestbusError STATE_MISSING, STATE_BROKEN, DISK_FULL, and what `signal` was aborted with
 */
export async function copyDatabase(dir: string, to: string, signal?: AbortSignal): Promise<Copied> {
  const path = statePath(dir);
  const copied = await copiedPages(path, to, signal);
  signal?.throwIfAborted();
  settleCopy(to);
  return copied;
}

async function copiedPages(path: string, to: string, signal: AbortSignal | undefined): Promise<Copied> {
  const db = new Database(path, { readonly: true, fileMustExist: true });
  try {
    const copied = guarded(path, () => {
      db.exec("BEGIN");
      return copiedOf(db);
    });
    // SQLite would make one that others may read.
    closeSync(openSync(to, "a", 0o600));
    await db.backup(to, {
      progress: () => {
        signal?.throwIfAborted();
        return pagesPerStep;
      },
    });
    return copied;
  } catch (error) {
    return guarded(path, () => {
      throw error;
    });
  } finally {
    db.close();
  }
}

function copiedOf(db: Database.Database): Copied {
  const one = <T>(text: string): T => db.prepare(text).pluck().get() as T;
  return {
    installation: one("SELECT id FROM installation"),
    schema: db.pragma("user_version", { simple: true }) as number,
    head: db.prepare("SELECT seq, hash FROM head").get() as Copied["head"],
    lastRowMs: one<number | null>("SELECT time_ms FROM journal ORDER BY seq DESC LIMIT 1") ?? 0,
  };
}

/** A copy that is one file, without a log beside it, and in order. */
function settleCopy(path: string): void {
  guarded(path, () => {
    const db = new Database(path, { fileMustExist: true });
    try {
      db.pragma("journal_mode = DELETE");
      const found = db.pragma("integrity_check(1)", { simple: true });
      if (found === "ok") return;
      throw new QuestbusError({
        code: "STATE_BROKEN",
        message: `the database is damaged: ${String(found).replace(/\s+/g, " ")}`,
        where: path,
        next: wayOut,
      });
    } finally {
      db.close();
    }
  });
}
