import type { Sql } from "./sql.ts";

/** How far a named reader of the journal has come. */
export type Cursors = {
  /** Last row it has dealt with; 0 before the first. */
  getCursor(name: string): number;
  setCursor(name: string, seq: number): void;
};

export function cursorsOn(sql: Sql): Cursors {
  return {
    getCursor: (name) =>
      sql.get<{ seq: number }>("SELECT seq FROM cursor WHERE name = @name", { name })?.seq ?? 0,
    setCursor: (name, seq) =>
      sql.run(
        "INSERT INTO cursor (name, seq) VALUES (@name, @seq) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
        { name, seq },
      ),
  };
}
