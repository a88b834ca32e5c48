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

type Bytes = Buffer | null;
type RawRow = {
  seq: number;
  id: Bytes;
  timeMs: number;
  type: Bytes;
  quest: Bytes;
  actorRole: Bytes;
  actorName: Bytes;
  command: Bytes;
  body: Bytes;
  hash: Bytes;
};

const texts = ["id", "type", "quest", "actorRole", "actorName", "command", "body", "hash"] as const;

/** Texts as bytes: reading them as text would mend what is not UTF-8. */
const select = `SELECT seq, time_ms AS timeMs, CAST(id AS BLOB) AS id, CAST(type AS BLOB) AS type,
  CAST(quest AS BLOB) AS quest, CAST(actor_role AS BLOB) AS actorRole, CAST(actor_name AS BLOB) AS actorName,
  CAST(command AS BLOB) AS command, CAST(body AS BLOB) AS body, CAST(hash AS BLOB) AS hash
  FROM journal NOT INDEXED ORDER BY seq`;

type Read = { row: TextRow; hash: string; problem: string | null };

function isCanonical(body: string): boolean {
  try {
    return canonicalText(JSON.parse(body)) === body;
  } catch {
    return false;
  }
}

function readRow(raw: RawRow): Read {
  const damaged = texts.find((name) => raw[name] !== null && !isUtf8(raw[name] as Buffer));
  const text = (name: (typeof texts)[number]): string => raw[name]?.toString("utf8") ?? "";
  const orNull = (name: "quest" | "command"): string | null => (raw[name] === null ? null : text(name));
  const row: TextRow = {
    seq: raw.seq,
    id: text("id"),
    timeMs: raw.timeMs,
    type: text("type"),
    quest: orNull("quest"),
    actor: { role: text("actorRole"), name: text("actorName") },
    command: orNull("command"),
    body: text("body"),
  };
  const problem = damaged
    ? `its ${damaged} is not text`
    : isCanonical(row.body)
      ? null
      : "its body is not canonical JSON";
  return { row, hash: text("hash"), problem };
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

  constructor(installation: string, lastSeq: number) {
    this.installation = installation;
    this.lastSeq = lastSeq;
    this.before = [genesisHash(installation)];
  }

  fault(seq: number, what: string): void {
    if (this.faults.length < faultsMax) this.faults.push({ seq, what });
    else this.more += 1;
  }

  take(raw: RawRow): void {
    const read = readRow(raw);
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

  check(seq: number, { row, hash, problem }: Read): void {
    const computed = this.before.map((before) => rowHash(row, before));
    const known = this.before.length > 0;
    if (problem) this.fault(seq, `row ${seq}: ${problem}`);
    else if (row.seq !== seq) this.fault(seq, `row ${seq}: its number reads ${row.seq}`);
    else if (row.id !== rowId(this.installation, seq))
      this.fault(seq, `row ${seq}: its id does not belong to it`);
    else if (!/^[0-9a-f]{64}$/.test(hash)) this.fault(seq, `row ${seq}: its hash is not a hash`);
    else if (known && !computed.includes(hash))
      this.fault(seq, `row ${seq}: its content does not match its hash`);
    this.before = [...new Set([hash, ...computed])];
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
export function verifyChain(sql: Sql, installation: string): Verification {
  let walk: Walk | null = null;
  try {
    return sql.atomic("read", () => {
      const found = sql.get<Head>("SELECT seq, hash FROM head");
      const head = found ?? { seq: lastSeqOf(sql), hash: "" };
      walk = new Walk(installation, head.seq);
      for (const raw of sql.iterate<RawRow>(select)) walk.take(raw);
      walk.end(head);
      if (!found) walk.fault(0, "the head of the journal is missing");
      return walk.result(head);
    });
  } catch (error) {
    if (!walk) throw error;
    return (walk as Walk).broken(error instanceof Error ? error.message : String(error));
  }
}
