import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Credential, credentialPath, readNamedCredential } from "@questbus/bus";
import { ensureBearerToken, serveMcpHttp, serveMcpStdio } from "@questbus/gateway";
import { clientConfig, type McpClient } from "@questbus/gateway/mcp-client";
import { exitCode, principal, QuestbusError } from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { openGateway } from "./mcp-gateway.ts";
import { note, printData, printJson } from "./output.ts";
import { mcpTokenPath } from "./state-dir.ts";

/** `credential`: a file; without it, the state's own operator. `http`: the port; without it, stdin and stdout. */
export type McpOptions = { credential?: string; http?: number };

/** `questbus mcp`: serves the Model Context Protocol as one credential, until the client has gone or Ctrl-C. */
export async function serveMcp({ credential, http }: McpOptions, common: Common): Promise<number> {
  const { who, credential: shown } = speakerOf(credential, common.state);
  const gateway = openGateway(common.state, who, shown);
  try {
    if (http === undefined) await serveMcpStdio(gateway, common.signal);
    else {
      const token = ensureBearerToken(mcpTokenPath(common.state, who));
      const onReady = (url: string): void =>
        note(`${url} as ${who.role}/${who.name}; bearer token: ${token.path}`);
      await serveMcpHttp(gateway, { port: http, token, signal: common.signal, onReady });
    }
  } finally {
    await gateway.close();
  }
  return exitCode.ok;
}

type Speaker = { who: ReturnType<typeof openGateway>["who"]; credential: Credential | string };

/** The operator's own file may come later, with the first start of the stack. */
function speakerOf(path: string | undefined, state: string): Speaker {
  if (path === undefined) {
    const own = credentialPath(resolve(state), "operator", "operator");
    return { who: { role: "operator", name: "operator" }, credential: own };
  }
  const credential = readNamedCredential(resolve(path));
  const role = principal.safeParse(credential.role).data;
  if (role) return { who: { role, name: credential.name }, credential };
  throw new QuestbusError({
    code: "USAGE",
    message: `a ${credential.role} sends no commands`,
    where: credential.path,
    next: "name the credential of an agent, the operator or the arbiter",
  });
}

/** `questbus mcp config`: what an MCP client's file has to say to start this server. */
export function showMcpConfig(client: McpClient, credential: string | undefined, common: Common): number {
  if (credential !== undefined) readNamedCredential(resolve(credential));
  const program = fileURLToPath(new URL("../bin/questbus.cjs", import.meta.url));
  const named = credential === undefined ? [] : ["--credential", resolve(credential)];
  const args = [program, "mcp", "--state", resolve(common.state), ...named];
  const { file, text } = clientConfig(client, { command: process.execPath, args });
  if (common.json) printJson({ file, text });
  else {
    printData(...text.split("\n"));
    note(`goes into ${file}`);
  }
  return exitCode.ok;
}
