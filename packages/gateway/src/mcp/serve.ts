import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  localhostHostValidation,
  localhostOriginValidation,
  toNodeHandler,
} from "@modelcontextprotocol/node";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { systemTime } from "@questbus/bus";
import { type Fault, limit, QuestbusError } from "@questbus/protocol";
import type { Gateway } from "../gateway.ts";
import { type BearerToken, isBearer } from "./bearer-token.ts";
import { openLeases } from "./leases.ts";
import { mcpServer } from "./server.ts";

/**
 * One factory behind both doors and both eras of the protocol: what opens with `initialize`, and what carries its version
 * in each request. Leases are kept by the process, so that a server may be as short as one request.
 */

/** Serves on stdin and stdout until the client has gone, or the signal aborts. */
export async function serveMcpStdio(gateway: Gateway, signal: AbortSignal): Promise<void> {
  const leases = openLeases(gateway.bus, systemTime);
  const stop = new AbortController();
  process.stdin.once("end", () => stop.abort());
  process.stdin.once("close", () => stop.abort());
  const handle = serveStdio(() => mcpServer(gateway, leases));
  await aborted(AbortSignal.any([signal, stop.signal]));
  // First, because it ends what the client waits for.
  await handle.close();
  await leases.close();
}

export type HttpDoor = { port: number; token: BearerToken; signal: AbortSignal; onReady(url: string): void };

/** A message of the bus, with room for its frame. */
const bodyBytesMax = 2 * limit.messageBytesMax;
const path = "/mcp";

/**
 * Serves streamable HTTP on 127.0.0.1 until the signal aborts. `Host` and `Origin` are those of this machine, so that no
 * web page reaches it, and every request carries the token.
 */
export async function serveMcpHttp(
  gateway: Gateway,
  { port, token, signal, onReady }: HttpDoor,
): Promise<void> {
  const leases = openLeases(gateway.bus, systemTime);
  const handler = createMcpHandler(() => mcpServer(gateway, leases), { maxRequestBodySize: bodyBytesMax });
  const handle = toNodeHandler(handler, { maxRequestBodySize: bodyBytesMax });
  const isHostOurs = localhostHostValidation();
  const isOriginOurs = localhostOriginValidation();
  const server = createServer((request, response) => {
    if (!isHostOurs(request, response) || !isOriginOurs(request, response)) return;
    if (!isBearer(token, request.headers.authorization)) {
      const headers = { "www-authenticate": 'Bearer realm="questbus"', "content-type": "application/json" };
      response.writeHead(401, headers).end(JSON.stringify({ faults: [noToken], retryable: false }));
    } else if (request.url?.split("?", 1)[0] !== path) {
      response.writeHead(404).end();
    } else void handle(request as Parameters<typeof handle>[0], response);
  });
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    throw new QuestbusError({
      code: "USAGE",
      message: `cannot listen on 127.0.0.1:${port}: ${(error as Error).message}`,
      next: "name another port, or 0 for any that is free",
    });
  }
  onReady(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`);
  await aborted(signal);
  await handler.close();
  await leases.close();
  server.close();
  server.closeAllConnections();
}

const noToken: Fault = {
  code: "CREDENTIAL_REFUSED",
  message: "the request carries no token that is let in here",
  where: "authorization",
  next: "send Authorization: Bearer TOKEN; questbus mcp --http says in which file it is, and agent revoke ends it",
};

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
