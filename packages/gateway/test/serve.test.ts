import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Gateway } from "../src/gateway.ts";
import { ensureBearerToken, serveMcpHttp } from "../src/index.ts";

test.each(["//", "/", "/mcp/x", "http://["])(
  "a request of %s is answered with 404, and the door stays open",
  async (path) => {
    const dir = mkdtempSync(join(tmpdir(), "questbus-door-"));
    const token = ensureBearerToken(join(dir, "token"));
    const stopping = new AbortController();
    const ready = Promise.withResolvers<string>();
    const gateway = { who: { role: "operator", name: "operator" } } as Gateway;
    const served = serveMcpHttp(gateway, { port: 0, token, signal: stopping.signal, onReady: ready.resolve });
    const { port } = new URL(await ready.promise);
    const headers = { authorization: `Bearer ${readFileSync(token.path, "utf8").trim()}` };
    for (const _ of ["once", "again"]) {
      const sent = request({ host: "127.0.0.1", port, path, headers }).end();
      const [answer] = (await once(sent, "response")) as [IncomingMessage];
      expect(answer.resume().statusCode).toBe(404);
    }
    rmSync(token.path);
    const late = request({ host: "127.0.0.1", port, path, headers }).end();
    const [refused] = (await once(late, "response")) as [IncomingMessage];
    expect(refused.statusCode, "its token was removed").toBe(401);
    const { faults } = JSON.parse((await refused.toArray()).join(""));
    expect(faults).toMatchObject([{ code: "CREDENTIAL_REFUSED", next: expect.stringMatching(/Bearer/) }]);
    stopping.abort();
    await served;
    rmSync(dir, { recursive: true });
  },
);
