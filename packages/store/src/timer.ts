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

export type WriterTimers = Timers & {
  /** The transaction failed, or timers were taken away in another way: what is known of the next is read again. */
  forgetNext(): void;
};

/** Of the one writer: it knows when the next timer is due, and asks the database only when one is. */
export function writerTimersOn(sql: Sql): WriterTimers {
  const timers = timersOn(sql);
  let next: { dueMs: number | null } | null = null;
  const nextTimerMs = (): number | null => {
    next ??= { dueMs: timers.nextTimerMs() };
    return next.dueMs;
  };
  const forgetNext = (): void => {
    next = null;
  };
  return {
    nextTimerMs,
    forgetNext,
    setTimer(timer) {
      timers.setTimer(timer);
      forgetNext();
    },
    deleteTimer(id) {
      timers.deleteTimer(id);
      forgetNext();
    },
    dueTimers: (nowMs, limit) => ((nextTimerMs() ?? Infinity) > nowMs ? [] : timers.dueTimers(nowMs, limit)),
  };
}

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
