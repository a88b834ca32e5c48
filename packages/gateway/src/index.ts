export type { Gateway, Hands, Reads } from "./gateway.ts";
export { ensureBearerToken } from "./mcp/bearer-token.ts";
export { serveMcpHttp, serveMcpStdio } from "./mcp/serve.ts";
