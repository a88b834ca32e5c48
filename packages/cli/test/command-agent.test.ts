import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addCredential } from "@questbus/bus";
import { expect, test } from "vitest";
import { revokeAgent } from "../src/command-agent.ts";
import { runCommandAgent } from "../src/command-agent-run.ts";
import { showMcpConfig } from "../src/command-mcp.ts";
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

const common = (state: string) => ({ state, json: true, signal: new AbortController().signal });

test("an agent of the stack is not revoked, and how to be without it is told", async () => {
  await expect(revokeAgent({ role: "qa", name: "qa" }, common(tmpdir()))).rejects.toMatchObject({
    code: "AGENT_EXISTS",
    faults: [{ next: "to be without it: questbus up --without qa" }],
  });
});

test.each(["/no/such/program", "no-such-program"])(
  "a command agent whose program is not there takes no work: %s",
  async (program) => {
    const state = mkdtempSync(join(tmpdir(), "questbus-run-"));
    const options = { role: "qa", name: "mine", phases: [], timeout: 1, env: [] } as const;
    const running = runCommandAgent([program], { ...options, phases: [], env: [] }, common(state));
    await expect(running).rejects.toMatchObject({ code: "AGENT_COMMAND_FAILED" });
    expect(readdirSync(state)).toEqual([]);
    rmSync(state, { recursive: true });
  },
);

test("no client is told to start with a credential that is not there", () => {
  expect(() => showMcpConfig("claude", "/no/qa-mine.nk", common("."))).toThrow(
    expect.objectContaining({ code: "AGENT_NOT_FOUND" }),
  );
});
