import { type McpClient, mcpClients } from "@questbus/gateway/mcp-client";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { McpOptions } from "./command-mcp.ts";
import { commonOf, type Ended, merged, withCommon } from "./option.ts";

/** `mcp` and `mcp config`. */
export function addMcp(program: Command, signal: AbortSignal, ended: Ended): void {
  const credential = ["--credential <file>", "who it speaks as (default: the state's operator)"] as const;
  const mcp = program.command("mcp").description("serve the Model Context Protocol, on stdin and stdout");
  withCommon(mcp)
    .option(...credential)
    .addOption(new Option("--http <port>", "on 127.0.0.1 instead; 0: a free port").argParser(portNumber))
    .action(async (options: McpOptions) =>
      ended(await (await import("./command-mcp.ts")).serveMcp(options, commonOf(mcp, signal))),
    );
  const config = mcp.command("config").description("print what a client's file has to say to start it");
  withCommon(config)
    .addOption(new Option("--client <name>", "whose file").choices(mcpClients).makeOptionMandatory())
    .option(...credential)
    .action(async ({ client }: { client: McpClient }) => {
      const { showMcpConfig } = await import("./command-mcp.ts");
      const { credential: file } = { ...mcp.opts<McpOptions>(), ...config.opts<McpOptions>() };
      ended(showMcpConfig(client, file, merged(config, mcp, signal)));
    });
}

function portNumber(text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new InvalidArgumentError("write a port, from 0 to 65535");
}
