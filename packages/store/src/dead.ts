import type { DeadLetter } from "@questbus/protocol";
import type { Sql } from "./sql.ts";

export type DeadReader = {
  getDead(seq: number): DeadLetter | null;
  /** The open ones, or all; newest first, at most `limit`. */
  listDead(query: { all?: boolean; limit: number }): DeadLetter[];
  /** Letters of a sender that were kept and are open. */
  countDead(role: string, name: string): number;
  /** The sender's open letter that stands for those counted only. */
  countedDead(role: string, name: string): DeadLetter | null;
};
export type DeadWriter = { putDead(row: DeadLetter): void };

const select = `SELECT seq, role, name, subject, code, fault, time_ms AS timeMs, status, retries, counted
  FROM dead_letter`;
const ofSender = "status = 'open' AND role = @role AND name = @name";

export const deadReaderOn = (sql: Sql): DeadReader => ({
  getDead: (seq) => sql.get<DeadLetter>(`${select} WHERE seq = @seq`, { seq }),
  listDead: ({ all = false, limit }) =>
    sql.all<DeadLetter>(`${select} ${all ? "" : "WHERE status = 'open'"} ORDER BY seq DESC LIMIT @limit`, {
      limit,
    }),
  countDead: (role, name) =>
    sql.get<{ n: number }>(`SELECT count(*) AS n FROM dead_letter WHERE ${ofSender} AND counted = 0`, {
      role,
      name,
    })?.n ?? 0,
  countedDead: (role, name) =>
    sql.get<DeadLetter>(`${select} WHERE ${ofSender} AND counted > 0`, { role, name }),
});

export const deadWriterOn = (sql: Sql): DeadWriter => ({
  putDead: (row) =>
    sql.run(
      `INSERT INTO dead_letter (seq, role, name, subject, code, fault, time_ms, status, retries, counted)
       VALUES (@seq, @role, @name, @subject, @code, @fault, @timeMs, @status, @retries, @counted)
       ON CONFLICT (seq) DO UPDATE SET subject = excluded.subject, code = excluded.code, fault = excluded.fault,
         time_ms = excluded.time_ms, status = excluded.status, retries = excluded.retries, counted = excluded.counted`,
      row,
    ),
});
