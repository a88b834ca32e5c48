import { canonicalText, endings, type Phase, type Principal, type Role, type Task } from "@questbus/protocol";
import { type AskReader, type AskWriter, askReaderOn, askWriterOn } from "./ask.ts";
import { type DeadReader, type DeadWriter, deadReaderOn, deadWriterOn } from "./dead.ts";
import { type MemoryReader, type MemoryWriter, memoryReaderOn, memoryWriterOn } from "./memory.ts";
import { inShare, type Share } from "./share.ts";
import type { Sql, Value } from "./sql.ts";

/**
 * The projections: rows that the orchestrator computes from events and puts here.
 *
 * - P1: they depend on the journal alone; a replay into an empty database gives the same {@link linesOf}.
 * - P2: a quest is unfinished while its status is none of the protocol's `endings`; its assignments are `done` when it
 *   is not, so that those few that are unfinished are found by the index over assignments.
 */

export type QuestRow = {
  id: string;
  status: string;
  title: string;
  digest: string;
  createdMs: number;
  updatedMs: number;
  /** Any JSON value: the quest's whole state, as the core computes it. */
  state: unknown;
};
export type QuestSummary = Omit<QuestRow, "state">;

export type AssignmentRow = {
  id: string;
  quest: string;
  role: Role;
  status: string;
  phase: Phase | null;
  task: Task | null;
  pass: number;
  epoch: number;
  holder: string | null;
};

export type EscalationRow = {
  id: string;
  quest: string;
  reason: string;
  status: string;
  openedMs: number;
  /** Any JSON value; null while it waits. */
  ruling: unknown;
};

export type EvidenceRow = { sha256: string; kind: string; quest: string; sizeBytes: number; seq: number };

export type AgentRow = {
  role: Principal;
  name: string;
  incarnation: string;
  pid: number;
  joinedMs: number;
  seq: number;
};

export type QuestQuery = {
  status?: string | readonly string[];
  limit: number;
  /** Id of the quest after which the page starts: older ones only. */
  before?: string;
};
export type AssignmentQuery = { quest?: string; role?: Role; status?: string | readonly string[] };
export type EscalationQuery = { quest?: string; status?: string };

export type ProjectionReader = AskReader &
  DeadReader &
  MemoryReader & {
    getQuest(id: string): QuestRow | null;
    getQuestState(id: string): unknown;
    /** Newest first. */
    listQuests(query: QuestQuery): QuestSummary[];
    /** The states of the unfinished quests, oldest first; takes no longer for those that have ended. */
    unfinishedQuests(): unknown[];
    /** The unfinished quest with this digest. */
    questByDigest(digest: string): QuestSummary | null;
    getAssignment(id: string): AssignmentRow | null;
    /** Those of the oldest quest first. */
    listAssignments(query?: AssignmentQuery): AssignmentRow[];
    getEscalation(id: string): EscalationRow | null;
    /** Oldest first. */
    listEscalations(query?: EscalationQuery): EscalationRow[];
    /** In the order in which it came. */
    listEvidence(quest: string): EvidenceRow[];
    getAgent(role: string, name: string): AgentRow | null;
    listAgents(): AgentRow[];
  };

export type ProjectionWriter = AskWriter &
  DeadWriter &
  MemoryWriter & {
    putQuest(row: QuestRow): void;
    putAssignment(row: AssignmentRow): void;
    putEscalation(row: EscalationRow): void;
    /** Evidence never changes: putting the same again does nothing. */
    putEvidence(row: EvidenceRow): void;
    putAgent(row: AgentRow): void;
  };

const questColumns = "id, status, title, digest, created_ms AS createdMs, updated_ms AS updatedMs";
const escalationColumns = "id, quest, reason, status, opened_ms AS openedMs, ruling";
const evidenceColumns = "sha256, kind, quest, size_bytes AS sizeBytes, seq";
const agentColumns = "role, name, incarnation, pid, joined_ms AS joinedMs, seq";

const listOf = (status: string | readonly string[]): string =>
  JSON.stringify(typeof status === "string" ? [status] : status);

/** `WHERE` over the conditions whose parameter is given. */
function filter(conditions: Record<string, [condition: string, value: Value | undefined]>) {
  const given = Object.entries(conditions).filter(([, [, value]]) => value !== undefined);
  return {
    where: given.length > 0 ? `WHERE ${given.map(([, [condition]]) => condition).join(" AND ")}` : "",
    values: Object.fromEntries(given.map(([name, [, value]]) => [name, value as Value])),
  };
}

const parsed = <Row extends { ruling: unknown }>(row: Row): Row => ({
  ...row,
  ruling: row.ruling === null ? null : JSON.parse(row.ruling as string),
});

export function projectionReaderOn(sql: Sql): ProjectionReader {
  const getQuest = (id: string): QuestRow | null => {
    const row = sql.get<QuestRow & { state: string }>(
      `SELECT ${questColumns}, state FROM quest WHERE id = @id`,
      { id },
    );
    return row && { ...row, state: JSON.parse(row.state) };
  };
  return {
    ...askReaderOn(sql),
    ...deadReaderOn(sql),
    ...memoryReaderOn(sql),
    getQuest,
    getQuestState: (id) => getQuest(id)?.state ?? null,
    listQuests({ status, limit, before }) {
      const { where, values } = filter({
        status: [
          "status IN (SELECT value FROM json_each(@status))",
          status === undefined ? undefined : listOf(status),
        ],
        before: ["(created_ms, id) < (SELECT created_ms, id FROM quest WHERE id = @before)", before],
      });
      const text = `SELECT ${questColumns} FROM quest ${where} ORDER BY created_ms DESC, id DESC LIMIT @limit`;
      return sql.all<QuestSummary>(text, { ...values, limit });
    },
    unfinishedQuests: () =>
      sql
        .all<{ state: string }>(
          `SELECT state FROM quest WHERE id IN
             (SELECT quest FROM assignment WHERE role = 'qa' AND (status < 'done' OR status > 'done'))
           AND status NOT IN (SELECT value FROM json_each(@endings)) ORDER BY created_ms, id`,
          { endings: listOf(endings) },
        )
        .map(({ state }) => JSON.parse(state)),
    questByDigest: (digest) =>
      sql.get<QuestSummary>(
        `SELECT ${questColumns} FROM quest WHERE digest = @digest
         AND status NOT IN (SELECT value FROM json_each(@endings)) ORDER BY created_ms DESC, id DESC LIMIT 1`,
        { digest, endings: listOf(endings) },
      ),
    getAssignment: (id) => sql.get<AssignmentRow>("SELECT * FROM assignment WHERE id = @id", { id }),
    listAssignments({ quest, role, status } = {}) {
      const { where, values } = filter({
        quest: ["a.quest = @quest", quest],
        role: ["a.role = @role", role],
        status: [
          "a.status IN (SELECT value FROM json_each(@status))",
          status === undefined ? undefined : listOf(status),
        ],
      });
      const text = `SELECT a.* FROM assignment a LEFT JOIN quest q ON q.id = a.quest ${where}
        ORDER BY q.created_ms, a.id`;
      return sql.all<AssignmentRow>(text, values);
    },
    getEscalation(id) {
      const row = sql.get<EscalationRow>(`SELECT ${escalationColumns} FROM escalation WHERE id = @id`, {
        id,
      });
      return row && parsed(row);
    },
    listEscalations({ quest, status } = {}) {
      const { where, values } = filter({
        quest: ["quest = @quest", quest],
        status: ["status = @status", status],
      });
      const text = `SELECT ${escalationColumns} FROM escalation ${where} ORDER BY opened_ms, id`;
      return sql.all<EscalationRow>(text, values).map(parsed);
    },
    listEvidence: (quest) =>
      sql.all<EvidenceRow>(
        `SELECT ${evidenceColumns} FROM evidence WHERE quest = @quest ORDER BY seq, kind, sha256`,
        { quest },
      ),
    getAgent: (role, name) =>
      sql.get<AgentRow>(`SELECT ${agentColumns} FROM agent WHERE role = @role AND name = @name`, {
        role,
        name,
      }),
    listAgents: () => sql.all<AgentRow>(`SELECT ${agentColumns} FROM agent ORDER BY role, name`),
  };
}

/** `INSERT … ON CONFLICT DO UPDATE` of a table's columns; parameters are named as the columns. */
function upsert(table: string, key: readonly string[], rest: readonly string[]): string {
  const columns = [...key, ...rest];
  const values = columns.map((column) => `@${column}`).join(", ");
  const changes = rest.map((column) => `${column} = excluded.${column}`).join(", ");
  return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${values})
    ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${changes}`;
}

const upsertQuest = upsert(
  "quest",
  ["id"],
  ["status", "title", "digest", "created_ms", "updated_ms", "state"],
);
const upsertAssignment = upsert(
  "assignment",
  ["id"],
  ["quest", "role", "status", "phase", "task", "pass", "epoch", "holder"],
);
const upsertEscalation = upsert("escalation", ["id"], ["quest", "reason", "status", "opened_ms", "ruling"]);
const upsertAgent = upsert("agent", ["role", "name"], ["incarnation", "pid", "joined_ms", "seq"]);

export function projectionWriterOn(sql: Sql): ProjectionWriter {
  return {
    ...askWriterOn(sql),
    ...deadWriterOn(sql),
    ...memoryWriterOn(sql),
    putQuest: ({ createdMs, updatedMs, state, ...row }) =>
      sql.run(upsertQuest, {
        ...row,
        created_ms: createdMs,
        updated_ms: updatedMs,
        state: canonicalText(state),
      }),
    putAssignment: (row) => sql.run(upsertAssignment, row),
    putEscalation: ({ openedMs, ruling, ...row }) =>
      sql.run(upsertEscalation, {
        ...row,
        opened_ms: openedMs,
        ruling: ruling === null ? null : canonicalText(ruling),
      }),
    putEvidence: (row) =>
      sql.run(
        `INSERT INTO evidence (sha256, kind, quest, size_bytes, seq) VALUES (@sha256, @kind, @quest, @sizeBytes, @seq)
         ON CONFLICT DO NOTHING`,
        row,
      ),
    putAgent: ({ joinedMs, ...row }) => sql.run(upsertAgent, { ...row, joined_ms: joinedMs }),
  };
}

const keys = {
  quest: "id",
  assignment: "id",
  escalation: "id",
  evidence: "sha256, quest, kind",
  agent: "role, name",
  ask: "seq",
  dead_letter: "seq",
  memory: "seq",
} as const;

/** The cursor of the row that says what is paused is projected, too: the orchestrator's pause desk reads it. */
const pausesCursor = "pauses";

/** Takes every projected row away. */
export function clearProjections(sql: Sql): void {
  for (const table of Object.keys(keys)) sql.run(`DELETE FROM ${table}`);
  sql.run("DELETE FROM cursor WHERE name = @pausesCursor", { pausesCursor });
}

/** The column that names the quest of a row; what is in the other tables is of none. */
const questOf: Readonly<Record<string, string>> = {
  quest: "id",
  assignment: "quest",
  escalation: "quest",
  evidence: "quest",
};

/** Every projection as text, a row a line, in the order of the keys. */
export function* linesOf(sql: Sql, share: Share = { at: 0, of: 1 }): Generator<string, void> {
  for (const [table, key] of Object.entries(keys)) {
    const text = `SELECT * FROM ${table} WHERE ${inShare(questOf[table] ?? "NULL")} ORDER BY ${key}`;
    for (const row of sql.iterate<Record<string, Value>>(text, share)) {
      // Columns come in the order of the table, which is one and the same in every database of a release.
      yield `${table} ${JSON.stringify(row)}`;
    }
  }
  if (share.at > 0) return;
  const paused = sql.get<{ seq: number }>("SELECT seq FROM cursor WHERE name = @pausesCursor", {
    pausesCursor,
  });
  if (paused) yield `pauses ${paused.seq}`;
}
