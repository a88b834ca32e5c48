/**
 * `node test/replay/record.ts`: records what this release writes into `test/replay/fixtures/schema-N/`: the database as
 * SQL text, and every row as the journal stream carries it. Broker, orchestrator, commands and timers are the real ones;
 * what the agents report is scripted, so that it needs no quiet machine. A fixture that is there stays as it is.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { workAsks } from "@questbus/agent";
import { type BusClient, connectBus, credentialPath } from "@questbus/bus";
import type { QuestState } from "@questbus/core";
import { type ClaimAnswer, type Role, roles } from "@questbus/protocol";
import { journalRows, openStore } from "@questbus/store";
import { openPlace, startBareStack } from "@questbus/testkit";
import {
  improving,
  type PassScript,
  scriptedReport,
  sha,
  submission,
} from "@questbus/testkit/scripted-report";
import Database from "better-sqlite3";

const place = openPlace("record");
const state = place.path("state");
mkdirSync(state);
const stack = await startBareStack(state);
const operator = await stack.clientAs("operator");
const arbiter = await stack.clientAs("arbiter");
const agents = {} as Record<Role, BusClient>;
for (const role of roles) {
  agents[role] = await stack.clientAs(role);
  await agents[role].request("hello", { incarnation: `${role}-first`, pid: 1_000 });
}
const store = openStore({ dir: state, mode: "read" });
const stateOf = (quest: string): QuestState => store.getQuestState(quest) as QuestState;

async function submit(part: Parameters<typeof submission>[0]): Promise<string> {
  const document = { path: "AGENTS.md", sha256: sha("agents"), sizeBytes: 19, text: "Run npm test first." };
  const data = { ...submission(part), context: [document] };
  return ((await operator.request("submit", data)) as { quest: string }).quest;
}

/** Plays what is offered of a quest, at most `steps` tasks. */
async function play(quest: string, scripts: readonly PassScript[], steps = Infinity): Promise<void> {
  for (let done = 0; done < steps; done += 1) {
    const role = roles.find((each) => stateOf(quest).assignments[each].status === "offered");
    if (!role) return;
    const answer = (await agents[role].request("claim", { waitMs: 0 })) as ClaimAnswer;
    if (answer.status !== "granted") throw new Error(`nothing for ${role}`);
    const { grant } = answer;
    const { assignment, epoch } = grant;
    if (done === 1) await agents[role].request("note", { assignment, epoch, text: "still at it" });
    if (done === 2) {
      const text = `The suite of ${grant.brief.spec.title} needs TZ=UTC`;
      const said = { kind: "project", text, tags: ["suite"] } as const;
      await agents[role].request("remember", { assignment, epoch, ...said, tags: [...said.tags] });
      await agents[role].request("recall", { assignment, epoch, query: "suite", limit: 5 });
    }
    await agents[role].request("report", scriptedReport(grant, scripts[grant.brief.pass - 1]));
  }
}

await play(await submit({ ...improving, title: "Kept" }), [{}, { suite: "red" }, { gain: 0.12 }]);
const ruled = await submit({ title: "Ruled" });
await play(ruled, [{ gain: 0 }, { gain: 0.12 }, { worse: 0.5 }]);
const escalation = stateOf(ruled).escalation?.id ?? "";
await arbiter.request("rule", { escalation, decision: "accept", reason: "good enough", guidance: null });
await play(ruled, []);
await operator.request("cancel", { quest: ruled, reason: "too late" }).catch(() => {});
const cancelled = await submit({ title: "Cancelled" });
await play(cancelled, [], 4);
await operator.request("cancel", { quest: cancelled, reason: "not wanted" });
await play(await submit({ title: "Waits for a ruling" }), [{ gain: 0 }, { suite: "red" }, { gain: 0 }]);
await play(await submit({ title: "Runs" }), [], 7);
const ask = { role: "qa", phases: ["test", "validate"], data: { tries: 2 } } as const;
const stopping = new AbortController();
const answering = workAsks({
  client: agents.qa,
  signal: stopping.signal,
  answer: (task) => (task.text === "Answered" ? { phase: task.phase } : Promise.reject(new Error("no idea"))),
});
await operator.request("ask", { ...ask, phases: [...ask.phases], text: "Answered", waitMs: 20_000 });
await operator.request("ask", { ...ask, phases: [...ask.phases], text: "Failed", waitMs: 20_000 });
stopping.abort();
await answering;
await operator.request("ask", { ...ask, phases: ["fix"], text: "Open", waitMs: 0 });
const letters: string[] = [];
const unreadable = await connectBus({ url: stack.url, credential: credentialPath(state, "ops", "ops") });
for (const text of ["{not json", JSON.stringify({ data: { waitMs: "soon" } }), "", "{}"]) {
  await unreadable.nats.request("local.ops.ops.report", text, { timeout: 5_000 });
  letters.push(`d-${store.listDead({ limit: 1 })[0]?.seq}`);
}
await unreadable.close();
await operator.request("retry", { letter: letters[0] as string });
await operator.request("drop", { letter: letters[1] as string, reason: "not wanted" });
const team = { kind: "team", text: "We measure before we change", tags: [] };
const kept = (await operator.request("remember", { ...team, kind: "team" })) as { memory: string };
await operator.request("forget", { memory: kept.memory, reason: "everybody knows" });
store.close();
await stack.stop();

/** The schema and every row, as SQL text that makes the same database. */
function sqlText(db: Database.Database): string {
  // What a search keeps for itself is made by its own table, and its rows by those of the table that it follows.
  const made = db
    .prepare(
      `SELECT s.type, s.name, s.sql, t.type AS kind FROM sqlite_schema s LEFT JOIN pragma_table_list t USING (name)
       WHERE s.sql IS NOT NULL AND t.type IS NOT 'shadow'
       ORDER BY s.type = 'trigger', s.type DESC, s.rowid`,
    )
    .all() as { name: string; sql: string; kind: string | null }[];
  const rows = made.flatMap(({ kind, name }) => {
    if (kind !== "table") return [];
    const columns = db.pragma(`table_info(${name})`) as { name: string }[];
    const values = columns.map((column) => `quote("${column.name}")`).join(" || ', ' || ");
    const texts = db.prepare(`SELECT ${values} FROM ${name}`).pluck().all() as string[];
    return texts.map((text) => `INSERT INTO ${name} VALUES (${text});`);
  });
  const marks = ["user_version", "application_id"].map(
    (name) => `PRAGMA ${name} = ${db.pragma(name, { simple: true })};`,
  );
  return `${[...made.map(({ sql }) => `${sql};`), ...rows, ...marks].join("\n")}\n`;
}

const db = new Database(join(state, "questbus.db"), { readonly: true });
const to = join(import.meta.dirname, "fixtures", `schema-${db.pragma("user_version", { simple: true })}`);
if (existsSync(to)) throw new Error(`${to} is recorded already`);
mkdirSync(to, { recursive: true });
writeFileSync(join(to, "questbus.sql"), sqlText(db));
db.close();
const ended = openStore({ dir: state, mode: "read" });
writeFileSync(
  join(to, "journal.jsonl"),
  [...journalRows(ended)].map((row) => `${JSON.stringify(row)}\n`).join(""),
);
ended.close();
await place.close();
