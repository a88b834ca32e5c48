import { InMemoryTransport, type McpServer } from "@modelcontextprotocol/server";
import { afterEach, describe, expect, test } from "vitest";
import type { Leases } from "../src/mcp/leases.ts";
import { mcpServer } from "../src/mcp/server.ts";

const grant = { assignment: "q-aaaaaaaa.qa", role: "qa", epoch: 1, brief: { quest: "q-aaaaaaaa" } };
const granted = { status: "granted", grant };

let server: McpServer;
afterEach(() => server.close());

/** A client that waits with a tool, and a bus on which an agent waits once: the newest command ends the one before. */
async function waitingWith(tool: string, verb: string, last: object = { status: "none" }) {
  const sent: string[] = [];
  const waits = Promise.withResolvers<object>();
  const isSent = Promise.withResolvers<void>();
  const client = {
    async request(asked: string, data: { waitMs?: number }) {
      sent.push(data.waitMs === undefined ? asked : `${asked} ${data.waitMs}`);
      if (asked !== verb) return {};
      if (data.waitMs === 0) waits.resolve({ status: verb === "claim" ? "none" : "waiting", turns: [] });
      isSent.resolve();
      return data.waitMs === 0 ? last : waits.promise;
    },
  };
  const calls: Promise<unknown>[] = [];
  const kept: string[] = [];
  const leases: Partial<Leases> = {
    awaiting: (call) => void calls.push(call.catch(() => {})),
    keep: ({ assignment }) => void kept.push(assignment),
    forget: () => {},
  };
  const gateway = { who: { role: "qa", name: "qa" }, bus: async () => client, reads: {}, hands: {} };
  server = mcpServer(gateway as never, leases as Leases);
  const [ours, theirs] = InMemoryTransport.createLinkedPair();
  await server.connect(theirs);
  await ours.start();
  const who = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "test", version: "1" } };
  await ours.send({ jsonrpc: "2.0", id: 1, method: "initialize", params: who });
  await ours.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  const params = { name: tool, arguments: { wait_ms: 20_000 } };
  await ours.send({ jsonrpc: "2.0", id: 2, method: "tools/call", params });
  await isSent.promise;
  const cancel = { requestId: 2, reason: "enough" };
  return {
    sent,
    kept,
    cancel: () => ours.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: cancel }),
    go: () => ours.close(),
    ended: () => Promise.all(calls),
  };
}

describe.each([
  { tool: "monitor_turn", verb: "monitor" },
  { tool: "claim_assignment", verb: "claim" },
])("$tool", ({ tool, verb }) => {
  test.each(["cancel", "go"] as const)(
    "is withdrawn on the bus when its client does this: %s",
    async (way) => {
      const waiting = await waitingWith(tool, verb);
      await waiting[way]();
      await waiting.ended();
      expect(waiting.sent).toEqual([`${verb} 20000`, `${verb} 0`]);
    },
  );
});

test("what comes when a claim is withdrawn is given back, and kept for nobody", async () => {
  const { sent, kept, cancel, ended } = await waitingWith("claim_assignment", "claim", granted);
  await cancel();
  await ended();
  expect(sent).toEqual(["claim 20000", "claim 0", "release"]);
  expect(kept).toEqual([]);
});
