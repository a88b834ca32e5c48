/** How an MCP client is told to start the server: one program, four files. */
export const mcpClients = ["claude", "codex", "cursor", "vscode"] as const;
export type McpClient = (typeof mcpClients)[number];

/** A program and its arguments; no secret is in them. */
export type Started = { command: string; args: readonly string[] };

/** Above the longest wait of a tool, with room for its answer. */
const toolTimeoutS = 60;

const json = (value: unknown): string => JSON.stringify(value, null, 2);
const toml = ({ command, args }: Started): string =>
  [
    "[mcp_servers.questbus]",
    // A JSON string is a TOML basic string.
    `command = ${JSON.stringify(command)}`,
    `args = [${args.map((each) => JSON.stringify(each)).join(", ")}]`,
    `tool_timeout_sec = ${toolTimeoutS}`,
  ].join("\n");

const forms: Record<McpClient, { file: string; text(started: Started): string }> = {
  claude: {
    file: ".mcp.json",
    text: (started) => json({ mcpServers: { questbus: { type: "stdio", ...started } } }),
  },
  codex: { file: "~/.codex/config.toml", text: toml },
  cursor: { file: ".cursor/mcp.json", text: (started) => json({ mcpServers: { questbus: started } }) },
  vscode: {
    file: ".vscode/mcp.json",
    text: (started) => json({ servers: { questbus: { type: "stdio", ...started } } }),
  },
};

/** What stands in which file of that client. */
export const clientConfig = (client: McpClient, started: Started): { file: string; text: string } => ({
  file: forms[client].file,
  text: forms[client].text(started),
});
