import { join } from "node:path";
import { type EventBody, type EventType, type JournalEvent, QuestbusError } from "@questbus/protocol";
import { openStore, type StoreReader } from "@questbus/store";
import Database from "better-sqlite3";
import { until } from "./until.ts";

type Row<T extends EventType> = Extract<JournalEvent, { type: T }>;

/** The journal of a state directory, read while others write it. */
export type JournalWatch = {
  /** Those behind `afterSeq`; all by default. */
  rows(afterSeq?: number): JournalEvent[];
  lastSeq(): number;
  /** Every row of one type, oldest first. */
  of<T extends EventType>(type: T): Row<T>[];
  /** Waits for a row of that type whose body `fits`; rows up to `afterSeq` do not count. */
  until<T extends EventType>(
    type: T,
    fits?: (body: EventBody[T]) => boolean,
    afterSeq?: number,
  ): Promise<Row<T>>;
  close(): void;
};

const rowsMax = 100_000;
const waitMsMax = 60_000;

export function watchJournal(stateDir: string): JournalWatch {
  let store: StoreReader | null = null;
  const opened = (): StoreReader | null => {
    store ??= openedWhenThere(stateDir);
    return store;
  };
  const read = (afterSeq: number, type?: EventType): JournalEvent[] =>
    opened()?.readJournal({ afterSeq, limit: rowsMax, ...(type ? { type } : {}) }) ?? [];
  return {
    rows: (afterSeq = 0) => read(afterSeq),
    lastSeq: () => opened()?.head().seq ?? 0,
    of: <T extends EventType>(type: T) => read(0, type) as Row<T>[],
    until: <T extends EventType>(
      type: T,
      fits: (body: EventBody[T]) => boolean = () => true,
      afterSeq = 0,
    ) => {
      const look = (): Row<T> | undefined =>
        (read(afterSeq, type) as Row<T>[]).find((row) => fits(row.body as EventBody[T]));
      return until(`a row ${type} in the journal`, look, waitMsMax);
    },
    close: () => store?.close(),
  };
}

function openedWhenThere(stateDir: string): StoreReader | null {
  try {
    return openStore({ dir: stateDir, mode: "read" });
  } catch (error) {
    if (error instanceof QuestbusError && error.code === "STATE_MISSING") return null;
    throw error;
  }
}

/** Runs `sql` on the database itself, past everything that guards it. */
export function tamper(stateDir: string, sql: string, ...values: (string | number | Buffer)[]): void {
  const db = new Database(join(stateDir, "questbus.db"));
  try {
    db.prepare(sql).run(...values);
  } finally {
    db.close();
  }
}

/** One value of the database. */
export function readValue(stateDir: string, sql: string, ...values: (string | number)[]): unknown {
  const db = new Database(join(stateDir, "questbus.db"), { readonly: true });
  try {
    return db
      .prepare(sql)
      .pluck()
      .get(...values);
  } finally {
    db.close();
  }
}
