import { readFileSync } from "node:fs";
import { type CallToolResult, Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { credentialPath } from "@questbus/bus";
import type { Principal } from "@questbus/protocol";
import { program, startQuestbus } from "./command-line.ts";
import type { Place } from "./place.ts";
import { until } from "./until.ts";

/** Which of the two protocols a client opens with: `initialize`, or its version in each request. */
export const mcpEras = ["legacy", "modern"] as const;
export type McpEra = (typeof mcpEras)[number];
export const mcpDoors = ["stdio", "http"] as const;
export type McpDoor = (typeof mcpDoors)[number];

/** A client of the official SDK, and the server process that it speaks with. */
export type Mcp = {
  readonly client: Client;
  /** Calls a tool: what it said, whether that was an error, and how it stood on the wire. */
  call(name: string, args?: Record<string, unknown>): Promise<McpAnswer>;
  close(): Promise<void>;
};
// biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON comes
export type McpAnswer = { said: any; isError: boolean; result: CallToolResult };

type Options = { stateDir: string; role: Principal; era: McpEra; door: McpDoor };

const modern = "2026-07-28";

/** Starts `questbus mcp` with the credential of that role, and connects. */
export async function openMcp(place: Place, { stateDir, role, era, door }: Options): Promise<Mcp> {
  const args = ["mcp", "--state", stateDir, "--credential", credentialPath(stateDir, role, role)];
  const client = new Client(
    { name: "test", version: "1.0.0" },
    { versionNegotiation: { mode: era === "legacy" ? "legacy" : { pin: modern } } },
  );
  const end = door === "stdio" ? await overStdio(client, place, args) : await overHttp(client, place, args);
  return {
    client,
    async call(name, given = {}) {
      const result = (await client.callTool({ name, arguments: given })) as CallToolResult;
      const [content] = result.content;
      const said = content?.type === "text" ? JSON.parse(content.text) : null;
      return { said, isError: result.isError === true, result };
    },
    async close() {
      await client.close();
      await end();
    },
  };
}

async function overStdio(client: Client, place: Place, args: string[]): Promise<() => Promise<void>> {
  const env = Object.fromEntries(Object.entries(place.env).filter(([, value]) => value !== undefined));
  await client.connect(
    new StdioClientTransport({
      command: process.execPath,
      args: [program, ...args],
      env: env as Record<string, string>,
      cwd: place.dir,
    }),
  );
  return async () => {};
}

async function overHttp(client: Client, place: Place, args: string[]): Promise<() => Promise<void>> {
  const server = startQuestbus(place, [...args, "--http", "0"]);
  const [, url = "", file = ""] = await until("the address", () =>
    /^(http:\S+) .*bearer token: (\S+)$/m.exec(server.printed().stderr),
  );
  const token = readFileSync(file, "utf8").trim();
  const headers = { authorization: `Bearer ${token}` };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
  return async () => {
    server.signal("SIGTERM");
    await server.ended;
  };
}
