import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type EventType, eventBody } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import { openPlace } from "@questbus/testkit";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { listApprovals, showApproval } from "../../packages/cli/src/command-approval.ts";
import { listDead, showDead } from "../../packages/cli/src/command-dead.ts";
import { searchMemories, showMemory } from "../../packages/cli/src/command-memory.ts";
import {
  listAgents,
  listEscalations,
  listQuests,
  showAudit,
  showStatus,
  watch,
} from "../../packages/cli/src/command-read.ts";
import { showConversation } from "../../packages/cli/src/conversation.ts";
import { explainVerdict } from "../../packages/cli/src/explain/command.ts";
import { printError, printJson } from "../../packages/cli/src/output.ts";
import { showReport } from "../../packages/cli/src/report.ts";

/**
 * Whatever agents, repositories and tools wrote: no command hands a terminal what it would act on. The state is a recorded
 * one, in which something hostile stands at the first space of every text of every table.
 */
const recorded = join(import.meta.dirname, "..", "replay", "fixtures", "schema-6", "questbus.sql");
/** Clears, hides, names the window, goes up and back, turns round, and begins lines of its own. */
const hostile =
  "\u001b[2J\u001b[8m\u001b]0;pwned\u0007\u009b1A\r\b\u007f\u202e\u2066\u200b\u2028\nerror FORGED: all is well";
const acted = /[^\P{Cc}\t\n]|[\p{Cf}\p{Zl}\p{Zp}]/u;

const place = openPlace("terminal");
const state = place.path("state");
let quests: string[];
let letter: string;
let memory: string;

const poisoned = (text: string): string => text.replace(" ", ` ${hostile} `);

function poisonedValue(value: unknown): unknown {
  if (typeof value === "string") return poisoned(value);
  if (Array.isArray(value)) return value.map(poisonedValue);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, poisonedValue(each)]));
}

/** A cell of the database: JSON stays JSON. */
const poisonedCell = (text: string): string =>
  /^[[{"]/.test(text) ? JSON.stringify(poisonedValue(JSON.parse(text))) : poisoned(text);

function poison(db: Database.Database): void {
  db.function("poisoned", (text) => poisonedCell(text as string));
  const columns = db
    .prepare(
      `SELECT m.name AS 'table', c.name AS 'column' FROM sqlite_schema m, pragma_table_info(m.name) c
       WHERE m.type = 'table' AND c.type = 'TEXT' AND m.name <> 'migration'`,
    )
    .all() as { table: string; column: string }[];
  for (const { table, column } of columns)
    db.exec(`UPDATE ${table} SET ${column} = poisoned(${column}) WHERE instr(${column}, ' ') > 0`);
}

const bad = `words ${hostile}`;
const sha256 = "a".repeat(64);

/** What the recording lacks. */
const later = (quest: string) => ({
  "command.refused": { verb: "claim", code: "STALE", message: bad },
  "injection.suspected": {
    agent: bad,
    row: 1,
    signs: [{ from: "agent", where: bad, kinds: ["hidden"], excerpt: bad }],
  },
  "assignment.noted": { assignment: `${quest}.qa`, epoch: 1, text: bad },
  "turn.offered": { pass: 1, turn: 1, role: "qa", untilMs: 1, said: bad },
  "turn.taken": { pass: 1, turn: 1, role: "qa", agent: bad, untilMs: 1 },
  "turn.answered": {
    pass: 1,
    turn: 1,
    answer: { status: "blocked", message: bad, files: [bad], sources: [bad], change: { turn: 1 } },
  },
  "turn.breached": { pass: 1, turn: 1, by: bad, code: "TURN_STALE", message: bad, policy: "warn" },
  "approval.opened": {
    approval: `${quest}.approval-1`,
    pass: 1,
    asker: bad,
    why: bad,
    operations: [{ kind: "dependencies", where: bad, what: bad, digest: sha256 }],
    diff: null,
    hash: sha256,
    before: null,
    expiresMs: 1,
  },
  "quest.halted": { scope: "all", why: bad },
});

function addLater(db: Database.Database, quest: string): void {
  const insert = db.prepare(
    "INSERT INTO journal (id, time_ms, type, quest, actor_role, actor_name, body, hash) VALUES (?, 1, ?, ?, 'qa', ?, ?, ?)",
  );
  for (const [type, body] of Object.entries(later(quest))) {
    const fitting = eventBody[type as EventType].parse(body);
    insert.run(`${quest} ${type}`, type, quest, bad, JSON.stringify(fitting), type);
  }
  const stored = db.prepare("SELECT state FROM quest WHERE id = ?").pluck().get(quest) as string;
  const { approval: id, pass: _, ...opened } = later(quest)["approval.opened"];
  const approvals = [{ ...opened, id, pass: 1, openedMs: 1, decision: null }];
  const poor = JSON.stringify({ ...JSON.parse(stored), approvals });
  db.prepare("UPDATE quest SET state = ? WHERE id = ?").run(poor, quest);
}

beforeAll(() => {
  mkdirSync(state);
  const db = new Database(join(state, "questbus.db"));
  db.pragma("foreign_keys = OFF");
  db.exec(readFileSync(recorded, "utf8"));
  openStore({ dir: state, mode: "write" }).close();
  poison(db);
  quests = db.prepare("SELECT id FROM quest ORDER BY id").pluck().all() as string[];
  for (const quest of quests) addLater(db, quest);
  letter = `d-${db.prepare("SELECT min(seq) FROM dead_letter").pluck().get()}`;
  memory = `m-${db.prepare("SELECT min(seq) FROM memory").pluck().get()}`;
  db.close();
});
afterAll(() => place.close());

/** What `work` gives to the terminal, on both streams. */
async function printedBy(work: () => unknown): Promise<string> {
  const printed: string[] = [];
  const keep = (text: unknown): boolean => printed.push(String(text)) > 0;
  const spies = [process.stdout, process.stderr].map((each) =>
    vi.spyOn(each, "write").mockImplementation(keep),
  );
  try {
    await work();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return printed.join("");
}

const common = (json = false) => ({ state, json, signal: new AbortController().signal });
const ofEach = (work: (quest: string) => unknown) => async (): Promise<void> => {
  for (const quest of quests) await work(quest);
};

const commands: [string, (json: boolean) => () => unknown][] = [
  ["status", (json) => ofEach((quest) => showStatus(quest, common(json)))],
  ["report", (json) => ofEach((quest) => showReport(quest, common(json)))],
  ["list", (json) => () => listQuests(common(json))],
  ["escalations", (json) => () => listEscalations(common(json))],
  ["agents", (json) => () => listAgents(common(json))],
  ["audit", (json) => () => showAudit(undefined, common(json))],
  ["watch", (json) => ofEach((quest) => watch(quest, common(json)))],
  ["conversation", (json) => ofEach((quest) => showConversation(quest, common(json)))],
  ["approvals list", (json) => () => listApprovals(true, common(json))],
  ["approvals show", (json) => ofEach((quest) => showApproval(`${quest}.approval-1`, common(json)))],
  ["memory search", (json) => () => searchMemories([], {}, common(json))],
  ["memory show", (json) => () => showMemory(memory, common(json))],
  ["dead list", (json) => () => listDead(true, common(json))],
  ["dead show", (json) => () => showDead(letter, common(json))],
  [
    "verdict explain",
    (json) =>
      ofEach((quest) => {
        try {
          explainVerdict(quest, { pass: null, html: null, force: false }, common(json));
        } catch (error) {
          // With other words in it, the evidence gives another verdict.
          printError(error, json);
        }
      }),
  ],
  ["a fault", (json) => () => printError(new Error(bad), json)],
];

describe.each(commands)("%s", (_, command) => {
  test("says it, and a terminal has nothing to act on", async () => {
    const printed = await printedBy(command(false));
    expect(printed).toContain("pwned");
    expect(acted.exec(printed)).toBeNull();
    expect(printed).not.toMatch(/^error FORGED/m);
  });

  test("says the same to programs, in JSON without such characters", async () => {
    const printed = await printedBy(command(true));
    expect(acted.exec(printed)).toBeNull();
    const lines = printed.split("\n").filter(Boolean);
    expect(lines.map((line) => JSON.stringify(JSON.parse(line))).join("")).toContain("pwned");
  });
});

test("JSON stays the same value", async () => {
  const value = { [hostile]: [hostile, "\u{e0041}", "\\u{1b}"] };
  expect(JSON.parse(await printedBy(() => printJson(value)))).toEqual(value);
});
