import { randomUUID } from "node:crypto";
import { addCredential, type BusConnection, connectBus, credentialPath } from "@questbus/bus";
import {
  type Answer,
  type ClaimAnswer,
  commandSubject,
  limit,
  type MonitorAnswer,
  type Role,
  roles,
  type Verb,
  wrap,
} from "@questbus/protocol";
import { type BareStack, openPlace, startBareStack, watchJournal } from "@questbus/testkit";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import {
  type TurnCase,
  turnCases,
  turnsQuest,
  workersChange,
  workersFiles,
} from "@questbus/testkit/turn-case";

/** The table of turns on a real broker and orchestrator, by agents that have nothing but a connection. */
export type Tried = {
  case: TurnCase;
  code: string;
  breaches: number;
  /** How many there should be: of one agent so many are recorded in one turn, and no more. */
  breachesWanted: number;
  isMoved: boolean;
};
export type Table = {
  tried: Tried[];
  /** The turn that was answered, and the answer to the same command again. */
  repeated: { first: Answer; again: Answer; rows: number };
};

type Asks = (verb: Verb, data: unknown, id?: string) => Promise<Answer>;

const waitMs = 20_000;

export async function playTable(): Promise<Table> {
  const place = openPlace("turn-table");
  const dir = place.path("state");
  addCredential(dir, { role: "qa", name: "other" });
  const stack = await startBareStack(dir);
  try {
    return await play(dir, stack);
  } finally {
    await stack.stop();
    await place.close();
  }
}

async function play(dir: string, { url }: BareStack): Promise<Table> {
  const connections = new Map<string, BusConnection>();
  for (const by of [...roles.map((role) => `${role}/${role}`), "qa/other", "operator/operator"]) {
    const [role = "", name = ""] = by.split("/");
    connections.set(by, await connectBus({ url, credential: credentialPath(dir, role as Role, name) }));
  }
  const journal = watchJournal(dir);
  const as =
    (by: string): Asks =>
    (verb, data, id = randomUUID()) =>
      ask(connections.get(by) as BusConnection, verb, { id, data });
  const tried: Tried[] = [];
  const tryAll = async (quest: string, stage: TurnCase["at"]): Promise<void> => {
    const recorded = new Map<string, number>();
    for (const each of turnCases.filter(({ at }) => at === stage)) {
      const before = journal.rows();
      const { answer, by } = each;
      const sent = typeof answer === "function" ? answer(quest) : { quest, ...answer };
      const given = await as(by)("respond", sent);
      const since = journal.rows().slice(before.length);
      const breaches = since.filter(({ type }) => type === "turn.breached").length;
      const isMoved = since.some(({ type }) => type === "turn.offered" || type === "turn.answered");
      const already = recorded.get(by) ?? 0;
      const breachesWanted = each.isBreach && already < limit.turnBreachesMax ? 1 : 0;
      recorded.set(by, already + breachesWanted);
      const code = given.ok ? "ok" : (given.faults[0]?.code ?? "");
      tried.push({ case: each, code, breaches, breachesWanted, isMoved });
    }
  };
  try {
    const [lead, reader, operator] = [as("performance/performance"), as("qa/qa"), as("operator/operator")];
    const quest = dataOf<{ quest: string }>(await operator("submit", submission(turnsQuest))).quest;
    await untilTurn(as, lead, quest);
    const asked = { quest, turn: 1, status: "clarification", message: "which files?", next: "qa" };
    const [id, waiting] = [randomUUID(), reader("monitor", { quest, waitMs })];
    const first = await lead("respond", asked, id);
    dataOf(first);
    const told = dataOf<MonitorAnswer>(await waiting);
    if (told.status !== "yours") throw new Error(`the worker was not told: ${JSON.stringify(told)}`);
    const { length } = journal.rows();
    const again = await lead("respond", asked, id);
    const repeated = { first, again, rows: journal.rows().length - length };
    await tryAll(quest, "turn 2");
    const done = { quest, status: "completed", message: "done", files: workersFiles };
    dataOf(await reader("respond", { ...done, turn: 2, change: workersChange }));
    await tryAll(quest, "turn 3 offered");
    await untilTurn(as, lead, quest);
    await tryAll(quest, "turn 3");
    dataOf(await lead("respond", { ...done, turn: 3, change: { turn: 2 } }));
    await tryAll(quest, "over");
    dataOf(await operator("cancel", { quest, reason: "the table is done" }));
    await tryAll(quest, "cancelled");
    return { tried, repeated };
  } finally {
    journal.close();
    await Promise.all([...connections.values()].map((each) => each.close()));
  }
}

/** Plays the roles of a pass until the leader has its first turn. */
async function untilTurn(as: (by: string) => Asks, lead: Asks, quest: string): Promise<void> {
  for (let round = 0; round < 30; round++) {
    for (const role of roles) {
      const by = as(`${role}/${role}`);
      const claimed = dataOf<ClaimAnswer>(await by("claim", { waitMs: 0 }));
      if (claimed.status === "granted") dataOf(await by("report", scriptedReport(claimed.grant)));
    }
    const told = dataOf<MonitorAnswer>(await lead("monitor", { quest, waitMs: 0 }));
    if (told.status === "yours") return;
  }
  throw new Error("no conversation began");
}

function dataOf<T>(answer: Answer): T {
  if (answer.ok) return answer.data as T;
  throw new Error(JSON.stringify(answer.faults));
}

/** A request as any NATS client sends it: nothing is checked before; a text is the whole message. */
async function ask(
  { nats, space, role, name }: BusConnection,
  verb: Verb,
  { id, data }: { id: string; data: unknown },
): Promise<Answer> {
  const source = `turn-table/${role}/${name}`;
  const message = JSON.stringify(wrap(`command.${verb}`, { id, source, timeMs: Date.now() }, data));
  const subject = commandSubject(space, { role: role as Role, name }, verb);
  const reply = await nats.request(subject, typeof data === "string" ? data : message, {
    timeout: waitMs + 5_000,
  });
  return reply.json<Answer>();
}
