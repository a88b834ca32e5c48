import { randomBytes } from "node:crypto";
import { QuestbusError } from "@questbus/protocol";
import { type Answers, answersOn } from "./answer.ts";
import { assertSound } from "./boot.ts";
import { genesisHash } from "./chain.ts";
import { type Cursors, cursorsOn } from "./cursor.ts";
import { openInMemory, openScratch, openToRead, openToWrite, stateMissing } from "./database.ts";
import { wayOut } from "./failure.ts";
import { assertHeadHolds, type Journal, journalOn } from "./journal.ts";
import { lockState } from "./lock.ts";
import { applyMigrations, assertMigrationsHold, migrationsIn, schemaVersion } from "./migration.ts";
import { makeDir } from "./place.ts";
import {
  clearProjections,
  linesOf,
  type ProjectionReader,
  type ProjectionWriter,
  projectionReaderOn,
  projectionWriterOn,
} from "./projection.ts";
import type { Share } from "./share.ts";
import type { Sql } from "./sql.ts";
import { type Timers, timersOn, type WriterTimers, writerTimersOn } from "./timer.ts";
import { type Verification, verifyChain } from "./verify.ts";

/**
 * The memory of one installation: a SQLite database in the state directory.
 *
 * - S1: one process writes; the lock is taken before the database is touched.
 * - S2: what changes, changes in `transact`; when it returned, the change is on the disk (`synchronous=FULL`).
 * - S3: a transaction that fails, for lack of disk space too, leaves nothing behind.
 *
 * It does not decide anything: events and projected rows are computed by its caller.
 */

export type StoreReads = Pick<Journal, "readJournal" | "readLines" | "head"> &
  Pick<Answers, "answerOf"> &
  ProjectionReader &
  Pick<Timers, "dueTimers" | "nextTimerMs"> &
  Pick<Cursors, "getCursor">;

/** What can be done inside a transaction. */
export type StoreWrites = StoreReads &
  Pick<Journal, "append" | "appendCommitted"> & {
    /** Takes away all behind row `seq`, and every projected row and timer: the caller projects the rest anew. */
    cutBack(seq: number): void;
  } & Pick<Answers, "rememberAnswer" | "forgetAnswers" | "answersAfter"> &
  ProjectionWriter &
  Pick<Timers, "setTimer" | "deleteTimer"> &
  Pick<Cursors, "setCursor">;

/** A store opened to read: it sees what was committed, and never waits for the writer. */
export type StoreReader = StoreReads & {
  readonly dir: string;
  /** Random id of this installation, made once; the journal's chain starts from it. */
  readonly installation: string;
  /** Runs `action` on one unchanging view of the database. */
  snapshot<T>(action: () => T): T;
  close(): void;
};

export type Store = StoreReader & {
  /** One transaction: all of `action`'s writes, or none. Synchronous, so that nothing comes between. */
  transact<T>(action: (tx: StoreWrites) => T): T;
};

/** `installation`: the id that a new state gets, where it is to take up another one's journal; else a random one. */
type Where = { dir: string; nowMs?: () => number; installation?: string };

const sqlOf = new WeakMap<StoreReader, Sql>();
const sqlUnder = (store: StoreReader): Sql => {
  const sql = sqlOf.get(store);
  if (!sql) throw new TypeError("not a store of openStore");
  return sql;
};

export function openStore(options: Where & { mode: "write" }): Store;
export function openStore(options: Where & { mode: "read" }): StoreReader;
export function openStore(options: Where & { mode: "read" | "write" }): Store | StoreReader {
  return options.mode === "write" ? openWriter(options) : openReader(options);
}

function openWriter({ dir, nowMs = Date.now, installation }: Where): Store {
  makeDir(dir);
  const lock = lockState(dir);
  try {
    const sql = openToWrite(dir);
    try {
      bringUp(sql, nowMs(), installation ?? randomBytes(8).toString("hex"));
      assertHeadHolds(sql);
      assertSound(sql, installationOf(sql));
      return writerOn(sql, dir, () => lock.release());
    } catch (error) {
      sql.close();
      throw error;
    }
  } catch (error) {
    lock.release();
    throw error;
  }
}

function openReader({ dir }: Where): StoreReader {
  const sql = openToRead(dir);
  try {
    if (knownSchema(sql, dir) < migrationsIn().length)
      throw stateMissing(dir, "the state is of an older Questbus");
    return readerOn(sql, dir);
  } catch (error) {
    sql.close();
    throw error;
  }
}

/** The version of a schema that this release or an earlier one made. */
function knownSchema(sql: Sql, dir: string): number {
  const migrations = migrationsIn();
  const version = schemaVersion(sql, migrations);
  if (version === 0) throw stateMissing(dir, "there is no state here yet");
  assertMigrationsHold(sql, migrations, version);
  return version;
}

/** A store that is gone with this process and writes to no disk: for simulations. */
export function openMemoryStore(installation: string): Store {
  const used = spare.pop();
  const sql = used ?? openInMemory();
  if (used) sql.atomic("write", () => begin(sql, installation));
  else bringUp(sql, 0, installation);
  const close = (): void => {
    empty(sql);
    spare.push(sql);
  };
  return writerOn({ ...sql, close }, sql.path);
}

/**
 * Databases in memory whose stores were closed: one that is used again has its schema and its statements, which cost more
 * than all that a simulated world does with them.
 */
const spare: Sql[] = [];

/** Takes away all but the schema; the tables of a search are emptied by those that they follow. */
function empty(sql: Sql): void {
  const tables = sql.all<{ name: string }>(
    "SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main' AND name NOT IN ('migration', 'sqlite_schema')",
  );
  sql.atomic("write", () => {
    for (const { name } of tables) sql.run(`DELETE FROM ${name}`);
  });
}

/** A store for as long as it is open: what memory does not hold goes into a file that nobody else sees. */
export function openScratchStore(): Store {
  const sql = openScratch();
  bringUp(sql, 0, "scratch");
  return writerOn(sql, sql.path);
}

/** Makes or updates the schema, in one transaction. */
function bringUp(sql: Sql, nowMs: number, id: string): void {
  const migrations = migrationsIn();
  sql.atomic("write", () => {
    const version = schemaVersion(sql, migrations);
    if (version > 0) assertMigrationsHold(sql, migrations, version);
    applyMigrations(sql, migrations.slice(version), nowMs);
    if (version === 0) begin(sql, id);
  });
}

function begin(sql: Sql, id: string): void {
  sql.run("INSERT INTO installation (one, id) VALUES (1, @id)", { id });
  sql.run("INSERT INTO head (one, seq, hash) VALUES (1, 0, @hash)", { hash: genesisHash(id) });
}

function installationOf(sql: Sql): string {
  const row = sql.get<{ id: string }>("SELECT id FROM installation");
  if (row) return row.id;
  throw new QuestbusError({
    code: "STATE_BROKEN",
    message: "the state has lost the id of its installation",
    where: sql.path,
    next: wayOut,
  });
}

function readsOn(sql: Sql, installation: string): StoreReads {
  const { readJournal, readLines, head } = journalOn(sql, installation);
  const { answerOf } = answersOn(sql);
  const { dueTimers, nextTimerMs } = timersOn(sql);
  const { getCursor } = cursorsOn(sql);
  return {
    readJournal,
    readLines,
    head,
    answerOf,
    dueTimers,
    nextTimerMs,
    getCursor,
    ...projectionReaderOn(sql),
  };
}

function writesOn(sql: Sql, journal: Journal, timers: WriterTimers): StoreWrites {
  const parts = { ...journal, ...answersOn(sql), ...timers, ...cursorsOn(sql) };
  return {
    ...parts,
    ...projectionReaderOn(sql),
    ...projectionWriterOn(sql),
    cutBack(seq) {
      journal.cutBack(seq);
      clearProjections(sql);
      sql.run("DELETE FROM command WHERE seq > @seq", { seq });
      sql.run("DELETE FROM timer");
      timers.forgetNext();
    },
  };
}

function readerOn(sql: Sql, dir: string): StoreReader {
  const installation = installationOf(sql);
  const store: StoreReader = {
    ...readsOn(sql, installation),
    dir,
    installation,
    snapshot: (action) => sql.atomic("read", action),
    close: () => sql.close(),
  };
  sqlOf.set(store, sql);
  return store;
}

function writerOn(sql: Sql, dir: string, closed: () => void = () => {}): Store {
  const reader = readerOn(sql, dir);
  const journal = journalOn(sql, reader.installation);
  const timers = writerTimersOn(sql);
  const tx = writesOn(sql, journal, timers);
  const store: Store = {
    ...reader,
    readJournal: journal.readJournal,
    nextTimerMs: timers.nextTimerMs,
    transact(action) {
      try {
        return sql.atomic("write", () => {
          const result = action(tx);
          journal.settle();
          return result;
        });
      } catch (error) {
        journal.forget();
        timers.forgetNext();
        throw error;
      }
    },
    close() {
      sql.close();
      closed();
    },
  };
  sqlOf.set(store, sql);
  return store;
}

/** Recomputes the journal's hash chain, and names every row that is not as it was written. */
export const verifyJournal = (store: StoreReader): Verification =>
  verifyChain(sqlUnder(store), store.installation);

/** The same of a database that no store is open on, also where an earlier release wrote it: its journal is no other. */
export function verifyDatabase(dir: string): Verification {
  const sql = openToRead(dir);
  try {
    knownSchema(sql, dir);
    return verifyChain(sql, installationOf(sql));
  } finally {
    sql.close();
  }
}

/** Every projection as text, or those of one share, a row a line; equal lines mean equal projections. */
export const projectionLines = (store: StoreReader, share?: Share): Generator<string, void> =>
  linesOf(sqlUnder(store), share);
