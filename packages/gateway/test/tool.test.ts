import { InMemoryTransport, type Tool } from "@modelcontextprotocol/server";
import { type JournalEvent, principals, QuestbusError, verbsOf } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { clientConfig, mcpClients } from "../src/mcp/client-config.ts";
import { instructionsFor } from "../src/mcp/prompt.ts";
import { pageOfRows } from "../src/mcp/read-tool.ts";
import { errorResult, pageOfText, resultCharsMax } from "../src/mcp/result.ts";
import { mcpServer, toolsFor } from "../src/mcp/server.ts";
import { commandId } from "../src/mcp/tool.ts";
import { pageOfEntries } from "../src/mcp/turn-tool.ts";

/** The tool list as a client of that role gets it. */
async function listedFor(role: (typeof principals)[number]): Promise<Tool[]> {
  const none = () => Promise.reject(new Error("not asked"));
  const gateway = { who: { role, name: "test" }, bus: none, reads: {}, hands: {} } as never;
  const server = mcpServer(gateway, {} as never);
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  const answers: unknown[] = [];
  const heard = Promise.withResolvers<void>();
  ours.onmessage = (message) => {
    answers.push(message);
    if (answers.length === 2) heard.resolve();
  };
  await server.connect(theirs);
  await ours.start();
  const client = { name: "test", version: "1" };
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: client };
  await ours.send({ jsonrpc: "2.0", id: 1, method: "initialize", params });
  await ours.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  await ours.send({ jsonrpc: "2.0", id: 2, method: "tools/list" });
  await heard.promise;
  await server.close();
  return (answers[1] as { result: { tools: Tool[] } }).result.tools;
}

/** Four characters a token is what models make of JSON, near enough. */
const tokensOf = (value: unknown): number => JSON.stringify(value).length / 4;
const tokensMax = 6_000;

describe.each(principals)("the tools of %s", (role) => {
  test("take few tokens, say in few words what they do, and hint honestly", async () => {
    const tools = await listedFor(role);
    expect(tools.length).toBeGreaterThan(3);
    expect(tokensOf(tools) + tokensOf(instructionsFor(role))).toBeLessThan(tokensMax);
    for (const { name, description = "", inputSchema, annotations } of tools) {
      expect(name).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(description.length, name).toBeLessThan(260);
      expect(inputSchema.type).toBe("object");
      // Some clients take no list of types.
      expect(JSON.stringify(inputSchema)).not.toMatch(/"type":\[|"\$schema"/);
      const isRead = /^(list|read)_/.test(name);
      const isFinal = ["rule", "cancel_quest", "settle_dead_letter", "decide_approval"].includes(name);
      expect(annotations, name).toMatchObject({
        readOnlyHint: isRead,
        destructiveHint: isFinal,
        openWorldHint: false,
      });
      if (isRead) expect(annotations?.idempotentHint, name).toBe(true);
    }
  });
});

test("each verb of the bus is within reach of those who may send it, but for what an agent's own process says, and forgetting", () => {
  const reached = new Set(principals.flatMap((role) => toolsFor(role).map(({ name }) => name)));
  const toolOf: Record<string, string> = {
    claim: "claim_assignment",
    renew: "renew_lease",
    note: "report_progress",
    report: "submit_report",
    release: "release_assignment",
    submit: "submit_quest",
    cancel: "cancel_quest",
    progress: "list_agents",
    supply: "supply_candidate",
    ask: "ask_role",
    retry: "settle_dead_letter",
    drop: "settle_dead_letter",
    requests: "list_requests",
    monitor: "monitor_turn",
    read: "read_conversation",
    respond: "answer_turn",
    approval: "ask_approval",
    grant: "decide_approval",
    deny: "decide_approval",
  };
  const verbs = new Set(principals.flatMap((role) => verbsOf[role]));
  const missing = [...verbs].filter((verb) => !reached.has(toolOf[verb] ?? verb));
  expect(missing).toEqual(["hello", "leave", "revoke", "refusals", "forget"]);
});

describe("pages", () => {
  test("a long document comes whole in pieces of its text", () => {
    const value = { text: "x".repeat(2.5 * resultCharsMax) };
    let text = "";
    let cursor: string | undefined;
    for (let pages = 1; ; pages += 1) {
      const page = pageOfText(value, cursor);
      text += (page.data as { json_text: string }).json_text;
      cursor = page.nextCursor;
      if (cursor === undefined) break;
      expect(pages).toBeLessThan(4);
    }
    expect(JSON.parse(text)).toEqual(value);
    expect(pageOfText({ short: 1 }, undefined)).toEqual({ data: { short: 1 }, foreign: true });
  });

  test("rows come in order, as many as fit; one that is too long is cut, and says so", () => {
    const rows = [10, resultCharsMax, 10, resultCharsMax - 200, 10].map(
      (chars, index) =>
        ({ seq: index + 1, type: "x", body: { text: "y".repeat(chars) } }) as unknown as JournalEvent,
    );
    const seen: number[] = [];
    for (let after = 0; ; ) {
      const { data, nextCursor } = pageOfRows(rows.slice(after), 3);
      expect(JSON.stringify(data).length).toBeLessThan(1.2 * resultCharsMax);
      seen.push(...(data as { seq: number }[]).map(({ seq }) => seq));
      if (nextCursor === undefined) break;
      after = Number(nextCursor);
    }
    expect(seen).toEqual([1, 2, 3, 4, 5]);
    const [cut] = pageOfRows(rows.slice(1, 2), 3).data as { chars: number; body_excerpt: string }[];
    expect(cut?.chars).toBeGreaterThan(resultCharsMax);
    expect(cut?.body_excerpt.length).toBeLessThan(3_000);
  });
});

test("a conversation comes in pages that fit; a long patch is cut, and says so", () => {
  const head = {
    atMs: 1,
    pass: 1,
    turn: 1,
    by: "qa/qa",
    kind: "answer",
    status: "completed",
    message: "so",
  } as const;
  const patch = "x".repeat(12_000);
  const entries = [1, 2, 3, 4, 5].map((seq) => ({ ...head, seq, files: [], next: null, change: { patch } }));
  const first = pageOfEntries({ quest: "q-00000000", entries, next: null });
  expect(first).toMatchObject({ foreign: true, nextCursor: "3" });
  expect(first.data).toMatchObject([{ change: { chars: 12_000 } }, {}, {}]);
  expect(JSON.stringify(first.data).length).toBeLessThan(resultCharsMax);
  const rest = pageOfEntries({ quest: "q-00000000", entries: entries.slice(3), next: 5 });
  expect(rest).toMatchObject({ nextCursor: "5" });
});

test("every refusal says what to do next, also where the bus does not", () => {
  const codes = ["LEASE_STALE", "OVERLOADED", "MESSAGE_TOO_LARGE", "MACHINE_UNFIT"] as const;
  const nexts = codes.map((code) => {
    const { structuredContent, isError } = errorResult(new QuestbusError({ code, message: "no" }));
    expect(isError).toBe(true);
    return (structuredContent as { faults: { next: string }[] }).faults[0]?.next;
  });
  expect(nexts).toEqual([
    expect.stringMatching(/claim_assignment/),
    expect.stringMatching(/same idempotency_key/),
    expect.stringMatching(/changes nothing/),
    expect.stringMatching(/operator/),
  ]);
});

test("a fault of the bus has its place in the tool's own arguments, and a step that mends it", () => {
  const faults = ["data.asks[0].assignment", "data.asks[0].fault.code", "data.waitMs"].map((where) => ({
    code: "MESSAGE_INVALID" as const,
    message: "no",
    where,
  }));
  const [first, ...rest] = faults;
  const { structuredContent } = errorResult(new QuestbusError(first as (typeof faults)[0], ...rest));
  const next = expect.stringMatching(/mend the argument that where names/);
  expect(structuredContent).toMatchObject({
    faults: [
      { where: "assignment", next },
      { where: "fault.code", next },
      { where: "wait_ms", next },
    ],
  });
});

test("a key names a command together with what it says: what was refused and is mended is another one", () => {
  const who = { role: "performance", name: "a".repeat(63) } as const;
  const key = "0cda1f2e-8f0b-4c55-9a51-7f1c3f1d2e4a";
  const idOf = (text: string, waitMs: number): string | undefined =>
    commandId(who, "ask", { role: "qa", text, data: null, phases: ["test"], waitMs }, key);
  const id = idOf("why?", 20_000);
  expect(id).toMatch(/^mcp\/performance\/a{63}\/ask\/[0-9a-f]{32}$/);
  expect(idOf("why?", 0)).toBe(id);
  expect(idOf("who?", 0)).not.toBe(id);
  expect(commandId(who, "claim", { waitMs: 0 }, "another")).not.toBe(
    commandId(who, "claim", { waitMs: 0 }, key),
  );
  expect(commandId(who, "claim", { waitMs: 0 }, undefined)).toBeUndefined();
});

test("each client's file names the program and its arguments", () => {
  const started = { command: "/opt/my node", args: ["/q/questbus.cjs", "mcp", "--state", 'a "b"'] };
  const texts = Object.fromEntries(mcpClients.map((client) => [client, clientConfig(client, started)]));
  expect(JSON.parse(texts.claude?.text ?? "").mcpServers.questbus).toEqual({ type: "stdio", ...started });
  expect(JSON.parse(texts.cursor?.text ?? "").mcpServers.questbus).toEqual(started);
  expect(JSON.parse(texts.vscode?.text ?? "").servers.questbus).toEqual({ type: "stdio", ...started });
  expect(texts.codex?.text).toBe(
    `[mcp_servers.questbus]\ncommand = "/opt/my node"\nargs = ["/q/questbus.cjs", "mcp", "--state", "a \\"b\\""]\ntool_timeout_sec = 60`,
  );
});
