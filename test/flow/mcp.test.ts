import { mkdirSync } from "node:fs";
import type { BusClient } from "@questbus/bus";
import {
  type BareStack,
  type Mcp,
  mcpDoors,
  mcpEras,
  openMcp,
  openPlace,
  type Place,
  startBareStack,
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
