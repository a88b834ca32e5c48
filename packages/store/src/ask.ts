import { canonicalText, type Fault, type Phase, type Role, type Stated } from "@questbus/protocol";
import type { Sql } from "./sql.ts";

/** One ask, as the core computes it. */
export type AskRow = {
  id: string;
  seq: number;
  role: Role;
  phases: readonly Phase[];
  text: string;
  data: unknown;
  author: string;
  askedMs: number;
  status: "offered" | "leased" | "answered" | "clarification" | "failed";
  epoch: number;
  offers: number;
  agent: string | null;
  results: readonly unknown[];
  stated: readonly (Stated | null)[];
  returned: readonly { command: string; fault: Fault }[];
  fault: Fault | null;
  endedMs: number | null;
};

export type AskReader = {
  getAsk(id: string): AskRow | null;
  /** Those that are not over, oldest first. */
  openAsks(): AskRow[];
  countAsks(status: AskRow["status"]): number;
};
export type AskWriter = {
  addAsk(row: AskRow): void;
  /** Writes what changes in the life of an ask; what was asked stays as it is. */
  moveAsk(row: AskRow): void;
};

type Stored = Omit<AskRow, "phases" | "data" | "results" | "stated" | "returned" | "fault"> & {
  phases: string;
  data: string;
  results: string;
  fault: string | null;
};

type Found = Pick<AskRow, "results" | "stated" | "returned">;

/** A list of results; where something was said of one, or sent back, an object with all of it. */
const foundText = ({ results, stated, returned }: Found): string =>
  canonicalText(stated.some(Boolean) || returned.length > 0 ? { results, stated, returned } : results);

function foundIn(text: string): Found {
  const found = JSON.parse(text) as Found | readonly unknown[];
  if (!Array.isArray(found)) return found as Found;
  return { results: found, stated: found.map(() => null), returned: [] };
}

const rowOf = ({ phases, data, results, fault, ...row }: Stored): AskRow => ({
  ...row,
  phases: JSON.parse(phases),
  data: JSON.parse(data),
  ...foundIn(results),
  fault: fault && JSON.parse(fault),
});

const select = `SELECT seq, id, role, phases, text, data, author, asked_ms AS askedMs, status, epoch, offers, agent,
  results, fault, ended_ms AS endedMs FROM ask`;

export const askReaderOn = (sql: Sql): AskReader => ({
  getAsk(id) {
    const row = sql.get<Stored>(`${select} WHERE id = ?`, [id]);
    return row && rowOf(row);
  },
  openAsks: () => sql.all<Stored>(`${select} WHERE ended_ms IS NULL ORDER BY seq`).map(rowOf),
  countAsks: (status) =>
    sql.get<{ n: number }>("SELECT count(*) AS n FROM ask WHERE status = @status", { status })?.n ?? 0,
});

const textOf = (value: unknown): string | null => (value === null ? null : canonicalText(value));

export const askWriterOn = (sql: Sql): AskWriter => ({
  addAsk: ({ seq, id, role, phases, text, data, author, askedMs, status, epoch, offers }) =>
    sql.run(
      `INSERT INTO ask (seq, id, role, phases, text, data, author, asked_ms, status, epoch, offers, results)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '[]')`,
      [
        seq,
        id,
        role,
        canonicalText(phases),
        text,
        canonicalText(data),
        author,
        askedMs,
        status,
        epoch,
        offers,
      ],
    ),
  moveAsk: ({ seq, status, epoch, offers, agent, fault, endedMs, ...found }) =>
    sql.run(
      `UPDATE ask SET status = ?, epoch = ?, offers = ?, agent = ?, results = ?, fault = ?, ended_ms = ?
       WHERE seq = ?`,
      [status, epoch, offers, agent, foundText(found), textOf(fault), endedMs, seq],
    ),
});
