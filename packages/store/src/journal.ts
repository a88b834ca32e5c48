import { canonicalText, type JournalEvent, limit, type NewEvent, QuestbusError } from "@questbus/protocol";
import { genesisHash, rowHash, rowId, type TextRow } from "./chain.ts";
import { inShare, type Share } from "./share.ts";
import type { Sql } from "./sql.ts";

/**
 * The journal: the append-only, hash-chained table of events, and its head.
 *
 * - J1: a row's `seq` is the one before it plus one, starting at 1.
 * - J2: the head names the last row, and moves in the transaction that appends.
 * - J3: what `append` returns is what a later read returns.
 */

/** Rows that the writer keeps in memory. */
const tailRows = 1_000;

export type Head = { seq: number; hash: string };
export type AppendContext = { timeMs: number; command: string | null };
export type JournalQuery = {
  afterSeq?: number;
  limit: number;
  quest?: string | undefined;
  type?: JournalEvent["type"];
  share?: Share | undefined;
};

export type Journal = {
  /** Writes the head where the last `append`s left it; the end of every transaction. */
  settle(): void;
  /** The transaction failed: what is known of the head is read again. */
  forget(): void;
  append(events: readonly NewEvent[], context: AppendContext): JournalEvent[];
  /**
   * Puts in a row as it was committed before, in this store or another one of the same installation.
   * @throws QuestbusError AUDIT_BROKEN when it does not follow from the last row
   */
  appendCommitted(row: JournalEvent): void;
  /** Takes away the rows behind `seq`: those of a leader that was fenced, for which nobody was answered. */
  cutBack(seq: number): void;
  readJournal(query: JournalQuery): JournalEvent[];
  /** Rows as lines of JSON, put together by the database: for those who pass them on unread. */
  readLines(afterSeq: number, limit: number): (Head & { text: string })[];
  head(): Head;
};

type Stored = {
  seq: number;
  id: string;
  time_ms: number;
  type: string;
  quest: string | null;
  actor_role: string;
  actor_name: string;
  command: string | null;
  body: string;
  hash: string;
};

const auditBroken = (path: string, message: string): QuestbusError =>
  new QuestbusError({ code: "AUDIT_BROKEN", message, where: path, next: "run questbus audit verify" });

function bodyOf(row: Stored, path: string): unknown {
  try {
    return JSON.parse(row.body);
  } catch {
    throw auditBroken(path, `row ${row.seq} of the journal cannot be read`);
  }
}

const eventOf = (row: Stored, path: string): JournalEvent =>
  ({
    seq: row.seq,
    id: row.id,
    timeMs: row.time_ms,
    type: row.type,
    quest: row.quest,
    actor: { role: row.actor_role, name: row.actor_name },
    command: row.command,
    body: bodyOf(row, path),
    hash: row.hash,
  }) as JournalEvent;

const lines = `SELECT seq, hash, '{"seq":' || seq || ',"id":' || json_quote(id) || ',"timeMs":' || time_ms
  || ',"type":' || json_quote(type) || ',"quest":' || json_quote(quest) || ',"actor":{"role":' || json_quote(actor_role)
  || ',"name":' || json_quote(actor_name) || '},"command":' || json_quote(command) || ',"body":' || body
  || ',"hash":' || json_quote(hash) || '}' AS text FROM journal WHERE seq > @afterSeq ORDER BY seq LIMIT @limit`;

/** The head and the last row must agree before anything is appended. */
export function assertHeadHolds(sql: Sql): void {
  const head = sql.get<Head>("SELECT seq, hash FROM head");
  const last = sql.get<Head>("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1");
  if (!head) throw auditBroken(sql.path, "the head of the journal is missing");
  if (last ? last.seq !== head.seq || last.hash !== head.hash : head.seq !== 0) {
    throw auditBroken(sql.path, `the journal ends at row ${last?.seq ?? 0}, and its head says ${head.seq}`);
  }
}

export function journalOn(sql: Sql, installation: string): Journal {
  const insert = `INSERT INTO journal (seq, id, time_ms, type, quest, actor_role, actor_name, command, body, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

  let known: Head | null = null;
  let isWritten = true;
  /** The last rows, as a read would give them: who passes them on need not read them back. */
  let tail: JournalEvent[] = [];

  const head = (): Head => {
    if (known) return known;
    const found = sql.get<Head>("SELECT seq, hash FROM head");
    if (!found) throw auditBroken(sql.path, "the head of the journal is missing");
    return found;
  };
  const setKnown = (at: Head | null, written: boolean): void => {
    known = at;
    isWritten = written;
  };

  /** Writes a row whose hash is known; gives it as a read would. */
  const put = (row: TextRow, hash: string): JournalEvent => {
    const { seq, id, timeMs, type, quest, actor, command, body } = row;
    sql.run(insert, [seq, id, timeMs, type, quest, actor.role, actor.name, command, body, hash]);
    const read = { seq, id, timeMs, type, quest, actor, command, body: JSON.parse(body), hash };
    return read as JournalEvent;
  };

  const appendOne = (event: NewEvent, context: AppendContext, before: Head): JournalEvent => {
    const seq = before.seq + 1;
    const { type, quest, actor } = event;
    const { timeMs, command } = context;
    const body = canonicalText(event.body);
    const row: TextRow = { seq, id: rowId(installation, seq), timeMs, type, quest, actor, command, body };
    return put(row, rowHash(row, before.hash));
  };

  const remember = (appended: readonly JournalEvent[], at: Head): void => {
    if (appended.length > 0) setKnown(at, false);
    tail.push(...appended);
    if (tail.length > 2 * tailRows) tail = tail.slice(-tailRows);
  };

  return {
    head,
    appendCommitted({ seq, id, timeMs, type, quest, actor, command, body, hash }) {
      const before = head();
      const row: TextRow = { seq, id, timeMs, type, quest, actor, command, body: canonicalText(body) };
      const follows = seq === before.seq + 1 && id === rowId(installation, seq);
      if (!follows || rowHash(row, before.hash) !== hash) {
        throw auditBroken(sql.path, `row ${seq} does not follow from row ${before.seq} of this journal`);
      }
      remember([put(row, hash)], { seq, hash });
    },
    readLines: (afterSeq, limit) => sql.all<Head & { text: string }>(lines, { afterSeq, limit }),
    append(events, context) {
      let at = head();
      const appended = events.map((event) => {
        const row = appendOne(event, context, at);
        at = { seq: row.seq, hash: row.hash };
        return row;
      });
      remember(appended, at);
      return appended;
    },
    cutBack(seq) {
      const last = sql.get<Head>("SELECT seq, hash FROM journal WHERE seq = @seq", { seq });
      if (!last && seq > 0) throw auditBroken(sql.path, `row ${seq} of the journal is missing`);
      sql.run("DELETE FROM journal WHERE seq > @seq", { seq });
      tail = [];
      setKnown(last ?? { seq: 0, hash: genesisHash(installation) }, false);
    },
    settle() {
      if (known && !isWritten) sql.run("UPDATE head SET seq = @seq, hash = @hash WHERE one = 1", known);
      isWritten = true;
    },
    forget() {
      setKnown(null, true);
      tail = [];
    },
    readJournal({ afterSeq = 0, limit, quest, type, share }) {
      const from = tail[0] ? afterSeq + 1 - tail[0].seq : -1;
      if (from >= 0 && !quest && !type && !share) return tail.slice(from, from + limit);
      const where = [
        "seq > @afterSeq",
        ...(quest ? ["quest = @quest"] : []),
        ...(type ? ["type = @type"] : []),
        ...(share ? [inShare("quest")] : []),
      ];
      const text = `SELECT * FROM journal WHERE ${where.join(" AND ")} ORDER BY seq LIMIT @limit`;
      const values = { afterSeq, limit, ...(quest ? { quest } : {}), ...(type ? { type } : {}), ...share };
      return sql.all<Stored>(text, values).map((row) => eventOf(row, sql.path));
    },
  };
}

/** Every row that is asked for, oldest first, read in pages. */
export function* journalRows(
  store: Pick<Journal, "readJournal">,
  { afterSeq: from = 0, ...query }: Omit<JournalQuery, "limit"> = {},
): Generator<JournalEvent> {
  for (let afterSeq = from; ; ) {
    const page = store.readJournal({ ...query, afterSeq, limit: limit.journalPageMax });
    yield* page;
    const last = page.at(-1);
    if (!last) return;
    afterSeq = last.seq;
  }
}
