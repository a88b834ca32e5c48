import type { Sql } from "./sql.ts";

/** Something to do at a time; `kind` says what, `subject` to whom. */
export type TimerRow = { id: string; kind: string; subject: string; dueAtMs: number };

export type Timers = {
  /** Sets the timer, or moves the one that has this id. */
  setTimer(timer: TimerRow): void;
  deleteTimer(id: string): void;
  /** Timers that are due, earliest first. */
  dueTimers(nowMs: number, limit: number): TimerRow[];
  /** When the next timer is due; null without one. */
  nextTimerMs(): number | null;
};

export function timersOn(sql: Sql): Timers {
  return {
    setTimer: (timer) =>
      sql.run(
        `INSERT INTO timer (id, kind, subject, due_at_ms) VALUES (@id, @kind, @subject, @dueAtMs)
         ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, subject = excluded.subject, due_at_ms = excluded.due_at_ms`,
        timer,
      ),
    deleteTimer: (id) => sql.run("DELETE FROM timer WHERE id = @id", { id }),
    dueTimers: (nowMs, limit) =>
      sql.all<TimerRow>(
        `SELECT id, kind, subject, due_at_ms AS dueAtMs FROM timer WHERE due_at_ms <= @nowMs
         ORDER BY due_at_ms, id LIMIT @limit`,
        { nowMs, limit },
      ),
    nextTimerMs: () =>
      sql.get<{ due: number | null }>("SELECT min(due_at_ms) AS due FROM timer")?.due ?? null,
  };
}
