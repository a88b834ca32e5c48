import { chmodSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { request } from "node:http";
import type { BusClient } from "@questbus/bus";
import { type ClaimAnswer, roles } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import {
  type BareStack,
  type Mcp,
  makeTarget,
  mcpDoors,
  mcpEras,
  openMcp,
  openPlace,
  type Place,
  questbus,
  startBareStack,
  startQuestbus,
  until,
  writeQuest,
} from "@questbus/testkit";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

/** Clients of the official SDK work on the bus: both eras of the protocol, by both doors, the same cases. */

let place: Place;
let stack: BareStack;
let operator: BusClient;
let stateDir: string;

beforeAll(async () => {
  place = openPlace("mcp");
  stateDir = place.path("state");
  mkdirSync(stateDir);
  stack = await startBareStack(stateDir);
  operator = await stack.clientAs("operator");
});

afterAll(async () => {
  await stack?.stop();
  await place?.close();
});

const submit = async (title: string): Promise<string> =>
  ((await operator.request("submit", submission({ title }))) as { quest: string }).quest;
const cancel = (quest: string) => operator.request("cancel", { quest, reason: "the test is over" });

const ways = mcpDoors.flatMap((door) => mcpEras.map((era) => ({ door, era })));

describe.each(ways)("$door, $era", ({ door, era }) => {
  let architect: Mcp;
  beforeAll(async () => {
    architect = await openMcp(place, { stateDir, role: "architect", era, door });
  });
  afterAll(() => architect?.close());

  test("the protocol is that era's, and the tools are the role's, always in the same order", async () => {
    const { client } = architect;
    expect(client.getNegotiatedProtocolVersion()).toMatch(era === "legacy" ? /^2025-/ : /^2026-07-28$/);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toEqual((await client.listTools()).tools.map(({ name }) => name));
    expect(names).toContain("claim_assignment");
    expect(names.filter((name) => ["rule", "submit_quest", "read_journal"].includes(name))).toEqual([]);
  });

  test("no work is a status; the same key claims later, and again gets the same grant", async () => {
    const key = { wait_ms: 0, idempotency_key: `${door}-${era}` };
    expect((await architect.call("claim_assignment", key)).said).toEqual({ data: { status: "none" } });
    const quest = await submit(`claimed by ${door} ${era}`);
    const { said } = await architect.call("claim_assignment", key);
    expect(said.data).toMatchObject({ status: "granted", quest, task: "plan", epoch: 1 });
    expect(said.notice).toMatch(/never an instruction/);
    expect(said.data.result_schema.properties).toHaveProperty("blastRadius");
    expect((await architect.call("claim_assignment", key)).said.data.epoch).toBe(1);

    const held = { assignment: said.data.assignment, epoch: 1 };
    expect((await architect.call("renew_lease", held)).said.data.status).toBe("held");
    await architect.call("report_progress", { ...held, text: "reading the patches" });
    expect((await architect.call("read_brief", held)).said.data.task).toBe("plan");

    const noted = { kind: "project", text: `Postings are rebuilt, says ${door} ${era}`, tags: ["postings"] };
    const { memory } = (await architect.call("remember", { ...held, ...noted })).said.data;
    const recalled = (await architect.call("recall", { ...held, query: `postings "${era}` })).said;
    expect(recalled.data.memories).toContainEqual(expect.objectContaining({ memory, text: noted.text }));
    expect(recalled.notice).toContain("never an instruction");

    const { summary, result } = scriptedReport({ ...said.data, leaseMs: 1 });
    const wrong = await architect.call("submit_report", { ...held, summary, result: { fixers: 7 } });
    expect(wrong.isError).toBe(true);
    expect(wrong.said.faults[0]).toMatchObject({ code: "MESSAGE_INVALID", where: "result.fixers" });
    const reported = await architect.call("submit_report", { ...held, summary, result });
    expect(reported.said.data.status).toBe("stored");

    const stale = await architect.call("submit_report", { ...held, summary, result });
    expect(stale.isError).toBe(true);
    expect(stale.said.faults[0].next).toMatch(/claim_assignment/);
    expect(stale.said.faults[0].code).toMatch(/^(LEASE_STALE|ASSIGNMENT_NOT_FOUND)$/);
    expect(stale.result.structuredContent).toEqual(stale.said);
    await cancel(quest);
  });

  test("lists page, and what is read can be read as a resource", async () => {
    const first = (await architect.call("list_quests", { limit: 1 })).said;
    const quest = await submit(`listed by ${door} ${era}`);
    await cancel(quest);
    const newest = (await architect.call("list_quests", { limit: 1 })).said;
    expect(newest.data).toMatchObject([{ id: quest, status: "cancelled" }]);
    const next = await architect.call("list_quests", { limit: 1, cursor: newest.next_cursor });
    expect(next.said.data).toEqual(first.data);

    const { client } = architect;
    const uri = `questbus://quests/${quest}`;
    expect((await client.listResources()).resources.map((each) => each.uri)).toContain(uri);
    const [read] = (await client.readResource({ uri })).contents;
    const asTool = (await architect.call("read_quest", { quest })).said;
    expect(JSON.parse((read as { text: string }).text)).toEqual(asTool);
    await expect(client.readResource({ uri: `${uri}/journal` })).rejects.toThrow();
    const [prompt] = (await client.getPrompt({ name: "worker_loop" })).messages;
    expect((prompt?.content as { text: string } | undefined)?.text).toContain("claim_assignment");
  });

  test("what another role may do is no tool, and what is wrong in a call has its code and place", async () => {
    const refused = await architect.call("rule", {}).catch((error: Error) => error.message);
    expect(JSON.stringify(refused)).toMatch(/rule/);
    const { said, isError } = await architect.call("read_quest", { quest: "nothing", what: 1 });
    expect(isError).toBe(true);
    expect(said.faults.map(({ code }: { code: string }) => code)).toEqual([
      "MESSAGE_INVALID",
      "MESSAGE_INVALID",
    ]);
    const missing = await architect.call("read_quest", { quest: "q-aaaaaaaa" });
    expect(missing.said).toMatchObject({
      faults: [{ code: "QUEST_NOT_FOUND", next: expect.stringMatching(/list_quests/) }],
      retryable: false,
    });
  });
});

describe("the other roles", () => {
  const open = (role: "operator" | "arbiter" | "qa") =>
    openMcp(place, { stateDir, role, era: "modern", door: "stdio" });

  test("the operator submits a file, reads the journal by pages, and cancels; a ruling is the arbiter's", async () => {
    makeTarget(place).patch("gain");
    const file = writeQuest(place, { fixers: [{ patch: "fixes/gain.patch" }] });
    const mcp = await open("operator");
    const { quest } = (await mcp.call("submit_quest", { file })).said.data;
    expect((await mcp.call("submit_quest", { file })).said.data).toEqual({ quest, resumed: true });
    const wrong = await mcp.call("submit_quest", { file: place.path("none.yaml") });
    expect(wrong.said.faults[0].code).toBe("QUEST_FILE_MISSING");
    expect((await mcp.call("pause", { scope: quest, why: "lunch" })).said.data.changed).toBe(true);
    expect((await mcp.call("read_quest", { quest })).said.data.withheld).toMatchObject({ why: "lunch" });
    expect((await mcp.call("read_quest", { quest, part: "spec" })).said.data.title).toBe("Fewer steps");
    const ended = await mcp.call("cancel_quest", { quest, reason: "enough", idempotency_key: "once" });
    expect(ended.said.data).toMatchObject({ quest, status: "cancelled", commands_ended: true });
    const again = await mcp.call("cancel_quest", { quest, reason: "enough", idempotency_key: "once" });
    expect(again.said).toEqual(ended.said);

    const types: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const { data, next_cursor } = (await mcp.call("read_journal", { quest, limit: 2, cursor })).said;
      types.push(...data.map(({ type }: { type: string }) => type));
      if (next_cursor === undefined) break;
      cursor = next_cursor;
    }
    expect([types[0], types.at(-1)]).toEqual(["quest.submitted", "quest.ended"]);
    await mcp.close();

    const arbiter = await open("arbiter");
    const ruling = { escalation: "e-aaaaaaaa", decision: "revert", reason: "no gain" };
    const { said } = await arbiter.call("rule", ruling);
    expect(said.faults[0]).toMatchObject({
      code: "ESCALATION_NOT_FOUND",
      next: expect.stringMatching(/list_/),
    });
    const [brief] = (await arbiter.client.getPrompt({ name: "arbiter_brief" })).messages;
    expect((brief?.content as { text: string } | undefined)?.text).toMatch(/"notice":.*"data":\[\]/);
    await arbiter.close();
  });

  test("a question is asked by one client and answered by another", async () => {
    const [asking, answering] = [await open("operator"), await open("qa")];
    const asked = asking.call("ask_role", { text: "@qa green?", wait_ms: 20_000 });
    const { asks } = (await answering.call("claim_assignment")).said.data;
    const [{ assignment, epoch, phase, text }] = asks;
    expect(text).toBe("@qa green?");
    const given = { assignment, epoch, phase, result: { green: true }, certainty: 0.8 };
    const wrong = await answering.call("answer_ask", { ...given, assignment: "a-1" });
    const next = expect.stringContaining("claim_assignment");
    expect(wrong.said.faults).toMatchObject([{ code: "ASSIGNMENT_NOT_FOUND", where: "assignment", next }]);
    const back = { status: "clarification", phase, fault: { code: "SOURCE_MISSING" } };
    expect((await answering.call("answer_ask", given)).said.data).toMatchObject(back);
    const sourced = { ...given, sources: ["$ npm test"] };
    expect((await answering.call("answer_ask", sourced)).said.data.status).toBe("ended");
    const stated = [{ certainty: 0.8, sources: ["$ npm test"] }];
    const answered = { status: "answered", role: "qa", results: [{ green: true }], stated };
    expect((await asked).said.data).toMatchObject(answered);
    await Promise.all([asking.close(), answering.close()]);
  });

  test("a client that goes gives back what it held: the next has it at once, under the next epoch", async () => {
    const quest = await submit("held by one that goes");
    const as = { stateDir, role: "architect", era: "modern", door: "stdio" } as const;
    const first = await openMcp(place, as);
    expect((await first.call("claim_assignment")).said.data).toMatchObject({ quest, epoch: 1 });
    await first.close();
    const second = await openMcp(place, as);
    expect((await second.call("claim_assignment")).said.data).toMatchObject({ quest, epoch: 2 });
    await second.close();
    await cancel(quest);
    const store = openStore({ dir: stateDir, mode: "read" });
    const rows = store.readJournal({ afterSeq: 0, quest, limit: 100 });
    store.close();
    expect(rows.filter(({ type }) => type === "lease.expired")).toEqual([]);
    expect(rows.filter(({ type }) => type === "assignment.released")).toHaveLength(2);
  });
});

describe("what is not let in", () => {
  test("over HTTP: no token, another one, another origin, another host; and a token that others may read", async () => {
    const args = ["mcp", "--state", stateDir, "--http", "0"];
    const server = startQuestbus(place, args);
    const [, url = "", file = ""] = await until("the address", () =>
      /^(http:\S+) .*bearer token: (\S+)$/m.exec(server.printed().stderr),
    );
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const authorization = `Bearer ${readFileSync(file, "utf8").trim()}`;
    const status = (headers: Record<string, string>): Promise<number | undefined> =>
      new Promise((done, fail) => {
        const sent = { "content-type": "application/json", accept: "application/json, text/event-stream" };
        const asked = request(url, { method: "POST", headers: { ...sent, ...headers } }, (answer) => {
          answer.resume();
          done(answer.statusCode);
        });
        asked.on("error", fail);
        asked.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }));
      });
    expect(await status({ authorization })).toBe(200);
    expect(await status({})).toBe(401);
    expect(await status({ authorization: `${authorization}x` })).toBe(401);
    expect(await status({ authorization, origin: "https://evil.example" })).toBe(403);
    expect(await status({ authorization, host: "evil.example" })).toBe(403);
    server.signal("SIGINT");
    expect((await server.ended).stdout).toBe("");

    chmodSync(file, 0o644);
    const refused = await questbus(place, args);
    expect(refused.stderr).toContain("FILE_UNUSABLE");
  });

  test("a client's file starts the program with the state and the credential, wherever the client stands", async () => {
    const credential = `${stateDir}/credentials/arbiter-arbiter.nk`;
    const printed = await questbus(place, [
      ...["mcp", "config", "--client", "vscode", "--state", "elsewhere", "--credential", credential],
    ]);
    const { command, args } = JSON.parse(printed.stdout).servers.questbus;
    expect(command).toBe(process.execPath);
    expect(args.slice(1)).toEqual(["mcp", "--state", place.path("elsewhere"), "--credential", credential]);
  });
});

test("a client takes turns in a conversation: it waits for one, reads, and answers", async () => {
  const turns = { leader: "qa", workers: ["architect"] };
  const written = submission({ fixers: [{ turns }], title: "in turns" });
  const { quest } = (await operator.request("submit", written)) as { quest: string };
  const agents = await Promise.all(roles.map((role) => stack.clientAs(role)));
  const turnsIn = (): string[] => {
    const store = openStore({ dir: stateDir, mode: "read" });
    const rows = store.readJournal({ afterSeq: 0, quest, limit: 100 });
    store.close();
    return rows.map(({ type }) => type).filter((type) => type.startsWith("turn."));
  };
  const as = { stateDir, role: "qa", era: "modern", door: "stdio" } as const;
  const [gone, leader] = await Promise.all([openMcp(place, as), openMcp(place, as)]);
  try {
    // What is asked after it is answered: it waits there.
    const waiting = gone.call("monitor_turn", { wait_ms: 45_000 }).catch(() => null);
    expect((await gone.call("read_conversation", { quest })).said.data).toEqual([]);
    await gone.close();
    await waiting;
    for (let round = 0; turnsIn().length === 0 && round < 20; round++) {
      for (const agent of agents) {
        const claimed = (await agent.request("claim", { waitMs: 0 })) as ClaimAnswer;
        if (claimed.status === "granted") await agent.request("report", scriptedReport(claimed.grant));
      }
    }
    expect(turnsIn(), "nobody takes a turn for a client that has gone").toEqual(["turn.offered"]);
    const told = (await leader.call("monitor_turn", { quest, wait_ms: 0 })).said.data;
    expect(told).toMatchObject({ status: "yours", turn: { quest, turn: 1, part: "leader", agent: "qa" } });
    const said = { quest, turn: 1, status: "clarification", message: "Where is it slow?" };
    const wrong = await leader.call("answer_turn", said);
    expect(wrong.said.faults[0]).toMatchObject({
      code: "TURN_MALFORMED",
      next: expect.stringMatching(/again/),
    });
    expect((await leader.call("answer_turn", { ...said, next: "architect" })).said.data.status).toBe(
      "stored",
    );
    const { data, notice } = (await leader.call("read_conversation", { quest })).said;
    expect(data).toMatchObject([
      { kind: "breach", code: "TURN_MALFORMED" },
      { kind: "answer", by: "qa/qa" },
    ]);
    expect(notice).toMatch(/never an instruction/);
    const early = await leader.call("answer_turn", { ...said, turn: 2, next: "architect" });
    expect(early.said.faults[0]).toMatchObject({
      code: "TURN_OUT_OF_TURN",
      next: expect.stringMatching(/monitor_turn/),
    });
  } finally {
    await leader.close();
    await cancel(quest);
  }
});
