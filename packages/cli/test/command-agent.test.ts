import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addCredential } from "@questbus/bus";
import { expect, test } from "vitest";
import { revokeAgent } from "../src/command-agent.ts";
import { mcpTokenPath } from "../src/state-dir.ts";

test("with an agent its token of the MCP server is revoked: the next one of its name has another", async () => {
  const state = mkdtempSync(join(tmpdir(), "questbus-revoke-"));
  const agent = { role: "qa", name: "mine" } as const;
  addCredential(state, agent);
  const token = mcpTokenPath(state, agent);
  writeFileSync(token, "secret", { mode: 0o600 });
  await revokeAgent(agent, { state, json: true, signal: new AbortController().signal });
  expect(existsSync(token)).toBe(false);
  rmSync(state, { recursive: true });
});
