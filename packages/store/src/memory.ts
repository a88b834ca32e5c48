import { canonicalText, type Memory, type MemoryKind } from "@questbus/protocol";
import type { Sql } from "./sql.ts";

/** `match`: words as FTS5 reads them; null: the newest, whatever they say. */
export type MemoryQuery = {
  match: string | null;
  /** Those of this project, and those of none; null: of any. */
  project: string | null;
  kind?: MemoryKind | undefined;
  /** Those that may be given to an assignment: nothing in them speaks to their reader. */
  harmless?: boolean;
  /** Not what the orchestrator learned in this quest. */
  notOf?: string | undefined;
  limit: number;
};

/** `relevance`: how well the words fit, above 0; 1 where none were asked for. */
export type FoundMemory = Memory & { relevance: number };

export type MemoryReader = {
  getMemory(seq: number): Memory | null;
  /** Those that are there, in the order of the numbers. */
  getMemories(seqs: readonly number[]): Memory[];
  /** The best fit first. */
  findMemories(query: MemoryQuery): FoundMemory[];
  /** The memory of that project and kind that is about the same, or says the same. */
  sameMemory(like: Pick<Memory, "project" | "kind" | "about" | "text">): number | null;
  /** Those of one role in a project. */
  memoriesOfRole(project: string | null, role: string): Pick<Memory, "seq" | "uses" | "successes">[];
  countMemoriesOfQuest(quest: string, role: string): number;
};
export type MemoryWriter = {
  addMemory(memory: Memory): void;
  removeMemory(seq: number): void;
  countMemoryUse(seq: number, success: boolean): void;
};

type Stored<T extends Memory> = Omit<T, "tags" | "suspected"> & { tags: string; suspected: string };

const rowOf = <T extends Memory>({ tags, suspected, ...row }: Stored<T>): T =>
  ({ ...row, tags: JSON.parse(tags), suspected: JSON.parse(suspected) }) as unknown as T;

const columns = `m.seq, m.kind, m.project, m.quest, m.role, m.name, m.text, m.tags, m.about, m.suspected,
  m.kept_ms AS keptMs, m.uses, m.successes`;

const wanted = `(@project IS NULL OR m.project = @project OR m.project IS NULL) AND (@kind IS NULL OR m.kind = @kind)
  AND (@harmless = 0 OR m.suspected = '[]') AND NOT (m.role = 'orchestrator' AND m.quest IS @notOf)`;
const byWords = `SELECT ${columns}, -bm25(memory_text) AS relevance FROM memory_text
  JOIN memory m ON m.seq = memory_text.rowid WHERE memory_text MATCH @match AND ${wanted}
  ORDER BY relevance DESC, m.seq DESC LIMIT @limit`;
const newest = `SELECT ${columns}, 1 AS relevance FROM memory m WHERE ${wanted} ORDER BY m.seq DESC LIMIT @limit`;

export const memoryReaderOn = (sql: Sql): MemoryReader => ({
  getMemory(seq) {
    const row = sql.get<Stored<Memory>>(`SELECT ${columns} FROM memory m WHERE m.seq = @seq`, { seq });
    return row && rowOf(row);
  },
  getMemories(seqs) {
    const text = `SELECT ${columns} FROM json_each(@seqs) s JOIN memory m ON m.seq = s.value ORDER BY s.key`;
    return sql.all<Stored<Memory>>(text, { seqs: JSON.stringify(seqs) }).map(rowOf);
  },
  findMemories({ match, project, kind = null, harmless = false, notOf = null, limit }) {
    // A search among none opens all that the words are kept in: 70 us, a third of a claim's whole work.
    if (!sql.get("SELECT 1 FROM memory LIMIT 1")) return [];
    const values = { project, kind, harmless: harmless ? 1 : 0, notOf, limit };
    const rows =
      match === null
        ? sql.all<Stored<FoundMemory>>(newest, values)
        : sql.all<Stored<FoundMemory>>(byWords, { ...values, match });
    return rows.map(rowOf);
  },
  sameMemory({ project, kind, about, text }) {
    const found = sql.get<{ seq: number }>(
      `SELECT seq FROM memory WHERE project IS @project AND kind = @kind AND (about = @about OR text = @text)
       ORDER BY seq LIMIT 1`,
      { project, kind, about, text },
    );
    return found?.seq ?? null;
  },
  memoriesOfRole: (project, role) =>
    sql.all("SELECT seq, uses, successes FROM memory WHERE project IS @project AND role = @role", {
      project,
      role,
    }),
  countMemoriesOfQuest: (quest, role) =>
    sql.get<{ n: number }>("SELECT count(*) AS n FROM memory WHERE quest = @quest AND role = @role", {
      quest,
      role,
    })?.n ?? 0,
});

export const memoryWriterOn = (sql: Sql): MemoryWriter => ({
  addMemory: ({ tags, suspected, ...row }) =>
    sql.run(
      `INSERT INTO memory (seq, kind, project, quest, role, name, text, tags, about, suspected, kept_ms, uses, successes)
       VALUES (@seq, @kind, @project, @quest, @role, @name, @text, @tags, @about, @suspected, @keptMs, @uses, @successes)`,
      { ...row, tags: canonicalText(tags), suspected: canonicalText(suspected) },
    ),
  removeMemory: (seq) => sql.run("DELETE FROM memory WHERE seq = @seq", { seq }),
  countMemoryUse: (seq, success) =>
    sql.run("UPDATE memory SET uses = uses + 1, successes = successes + @success WHERE seq = @seq", {
      seq,
      success: success ? 1 : 0,
    }),
});
