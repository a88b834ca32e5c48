import { isUtf8 } from "node:buffer";
import { canonicalText } from "@questbus/protocol";
import { genesisHash, rowHash, rowId, type TextRow } from "./chain.ts";
import type { Head } from "./journal.ts";
import type { Sql } from "./sql.ts";

/**
 * Verification of the journal.
 *
 * - V1: a change to any byte of any column of a row is found, and that row is named.
 * - V2: so is a row that was removed, also at the end (the head tells), put in, or moved.
 * - V3: one bad row does not put its neighbours under suspicion: the row after it is checked against both the hash
 *   that the bad row carries and the one that it should carry.
 *
 * Who rewrites the whole journal with its head is not found by this: that takes a checkpoint kept elsewhere.
 */

export type ChainFault = { seq: number; what: string };
export type Verification =
  | { ok: true; length: number; head: string }
  /** `more`: faults beyond those listed. */
  | { ok: false; faults: ChainFault[]; more: number };

const faultsMax = 100;

type RawRow = Omit<TextRow, "actor"> & { actorRole: string; actorName: string; hash: string };

const texts = ["id", "type", "quest", "actorRole", "actorName", "command", "body", "hash"] as const;
const columnOf: Partial<Record<string, string>> = { actorRole: "actor_role", actorName: "actor_name" };

const selectAfter = (
  where: "" | "WHERE seq > @afterSeq",
) => `SELECT seq, time_ms AS timeMs, id, type, quest, actor_role AS actorRole, actor_name AS actorName,
  command, body, hash FROM journal NOT INDEXED ${where} ORDER BY seq`;

/** The same texts as bytes. */
const selectBytes = `SELECT ${texts.map((name) => `CAST(${columnOf[name] ?? name} AS BLOB) AS ${name}`).join(", ")}
  FROM journal WHERE seq = @seq`;

type Read = { row: TextRow; hash: string; damaged: string | null };

function isCanonical(body: string): boolean {
  try {
    return canonicalText(JSON.parse(body)) === body;
  } catch {
    return false;
  }
}

/** Reading text mends what is not UTF-8, and leaves this where it did; a sound text may have it, too. */
const mended = "\uFFFD";

function readRow(sql: Sql, raw: RawRow): Read {
  const { actorRole, actorName, hash, ...rest } = raw;
  const row: TextRow = { ...rest, actor: { role: actorRole, name: actorName } };
  if (!texts.some((name) => raw[name]?.includes(mended))) return { row, hash, damaged: null };
  const bytes = sql.get<Record<string, Buffer | null>>(selectBytes, { seq: raw.seq }) ?? {};
  return { row, hash, damaged: texts.find((name) => bytes[name] && !isUtf8(bytes[name])) ?? null };
}

const range = (from: number, to: number): string =>
  from === to ? `row ${from} is` : `rows ${from} to ${to} are`;

/** Walks the rows in order and gathers faults. */
class Walk {
  readonly faults: ChainFault[] = [];
  more = 0;
  /** The row that should come next. */
  expected = 1;
  /** Hashes that the row before may have; none when it is missing. */
  before: readonly string[];
  readonly installation: string;
  readonly lastSeq: number;

  readonly sql: Sql;

  constructor(sql: Sql, installation: string, lastSeq: number) {
    this.sql = sql;
    this.installation = installation;
    this.lastSeq = lastSeq;
    this.before = [genesisHash(installation)];
  }

  /** Goes on behind a row whose hash is taken as it is. */
  startAfter({ seq, hash }: Head): void {
    this.expected = seq + 1;
    this.before = [hash];
  }

  fault(seq: number, what: string): void {
    if (this.faults.length < faultsMax) this.faults.push({ seq, what });
    else this.more += 1;
  }

  take(raw: RawRow): void {
    const read = readRow(this.sql, raw);
    const { row } = read;
    const isNext = row.seq === this.expected || row.id === rowId(this.installation, this.expected);
    if (!isNext || this.expected > this.lastSeq) {
      if (row.seq < this.expected || row.seq > this.lastSeq) {
        this.fault(row.seq, `row ${row.seq} does not belong there: it was put in, or moved`);
        return;
      }
      this.missing(row.seq - 1, "missing");
    }
    this.check(this.expected, read);
    this.expected += 1;
  }

  missing(to: number, how: string): void {
    this.fault(this.expected, `${range(this.expected, to)} ${how}`);
    this.expected = to + 1;
    this.before = [];
  }

  check(seq: number, { row, hash, damaged }: Read): void {
    const computed = this.before.map((before) => rowHash(row, before));
    const isNext = computed.includes(hash) || computed.length === 0;
    // One whose hash was computed from it has a hash: no need to look at nearly every row's letters.
    const isHash = (isNext && computed.length > 0) || /^[0-9a-f]{64}$/.test(hash);
    if (damaged) this.fault(seq, `row ${seq}: its ${damaged} is not text`);
    else if (row.seq !== seq) this.fault(seq, `row ${seq}: its number reads ${row.seq}`);
    else if (row.id !== rowId(this.installation, seq))
      this.fault(seq, `row ${seq}: its id does not belong to it`);
    else if (!isHash) this.fault(seq, `row ${seq}: its hash is not a hash`);
    else if (!isNext && !isCanonical(row.body)) this.fault(seq, `row ${seq}: its body is not canonical JSON`);
    else if (!isNext) this.fault(seq, `row ${seq}: its content does not match its hash`);
    this.before = isNext && computed.length === 1 ? computed : [...new Set([hash, ...computed])];
  }

  result(head: Head): Verification {
    const { faults, more } = this;
    return faults.length > 0 ? { ok: false, faults, more } : { ok: true, length: head.seq, head: head.hash };
  }

  /** The file cannot be read any further. */
  broken(why: string): Verification {
    this.fault(this.expected, `row ${this.expected} cannot be read: ${why}`);
    return { ok: false, faults: this.faults, more: this.more };
  }

  end(head: Head): void {
    const last = this.expected - 1;
    if (head.seq > last) this.missing(head.seq, "missing at the end");
    else if (head.seq === last && !this.before.includes(head.hash)) {
      this.fault(last, `row ${last}: the head of the journal does not match its hash`);
    }
  }
}

const lastSeqOf = (sql: Sql): number =>
  sql.get<{ seq: number | null }>("SELECT max(seq) AS seq FROM journal")?.seq ?? 0;

/** Recomputes the chain from its first row. */
export const verifyChain = (sql: Sql, installation: string): Verification =>
  walked(sql, installation, () => null);

/** Recomputes it for the last rows alone, from the hash of the row before them. */
export const verifyTail = (sql: Sql, installation: string, rows: number): Verification =>
  walked(sql, installation, (head) =>
    sql.get<Head>("SELECT seq, hash FROM journal WHERE seq = @seq", { seq: head.seq - rows }),
  );

function walked(sql: Sql, installation: string, startOf: (head: Head) => Head | null): Verification {
  let walk: Walk | null = null;
  try {
    return sql.atomic("read", () => {
      const found = sql.get<Head>("SELECT seq, hash FROM head");
      const head = found ?? { seq: lastSeqOf(sql), hash: "" };
      walk = new Walk(sql, installation, head.seq);
      const start = startOf(head);
      if (start) walk.startAfter(start);
      const rows = start
        ? sql.iterate<RawRow>(selectAfter("WHERE seq > @afterSeq"), { afterSeq: start.seq })
        : sql.iterate<RawRow>(selectAfter(""));
      for (const raw of rows) walk.take(raw);
      walk.end(head);
      if (!found) walk.fault(0, "the head of the journal is missing");
      return walk.result(head);
    });
  } catch (error) {
    if (!walk) throw error;
    return (walk as Walk).broken(error instanceof Error ? error.message : String(error));
  }
}
