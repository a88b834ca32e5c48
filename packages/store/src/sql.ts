import type Database from "better-sqlite3";
import { guarded } from "./failure.ts";

export type Value = string | number | null;
/** By name, or by place, which costs half: for what is written with every command. */
type Values = Readonly<Record<string, Value>> | readonly Value[];

/** The database as the other files of this package use it: parameters by name or place, prepared once, errors made plain. */
export type Sql = {
  readonly path: string;
  run(text: string, values?: Values): void;
  get<Row>(text: string, values?: Values): Row | null;
  all<Row>(text: string, values?: Values): Row[];
  /** Row by row; nothing else may be asked meanwhile. */
  iterate<Row>(text: string, values?: Values): IterableIterator<Row>;
  /** One transaction; inside another one, a savepoint. */
  atomic<T>(kind: "read" | "write", action: () => T): T;
  exec(text: string): void;
  close(): void;
};

/** Wraps an open database; each distinct text is prepared once and kept. */
export function sqlOn(db: Database.Database, path: string): Sql {
  const prepared = new Map<string, Database.Statement<[Values]>>();
  const statement = (text: string): Database.Statement<[Values]> => {
    const known = prepared.get(text);
    if (known) return known;
    const made = db.prepare<[Values]>(text);
    prepared.set(text, made);
    return made;
  };
  const transaction = db.transaction((action: () => unknown) => action());
  return {
    path,
    run: (text, values = {}) => void guarded(path, () => statement(text).run(values)),
    get: <Row>(text: string, values: Values = {}) =>
      guarded(path, () => (statement(text).get(values) as Row | undefined) ?? null),
    all: <Row>(text: string, values: Values = {}) =>
      guarded(path, () => statement(text).all(values) as Row[]),
    iterate: <Row>(text: string, values: Values = {}) =>
      guarded(path, () => statement(text).iterate(values) as IterableIterator<Row>),
    atomic: <T>(kind: "read" | "write", action: () => T) =>
      guarded(
        path,
        () => (kind === "write" ? transaction.immediate(action) : transaction.deferred(action)) as T,
      ),
    exec: (text) => void guarded(path, () => db.exec(text)),
    close: () => void db.close(),
  };
}
