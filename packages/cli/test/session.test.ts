import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Broker, ensureCredentials, findBroker, startBroker } from "@questbus/bus";
import { openStore } from "@questbus/store";
import { afterEach, beforeEach, expect, test } from "vitest";
import { withStack } from "../src/session.ts";
import { forgetStack, recordStack } from "../src/stack-record.ts";

/** A command beside a stack that is there: real broker. */

let dir: string;
let broker: Broker;
const begin = (port?: number): Promise<Broker> =>
  startBroker({
    binary: findBroker(process.env).path,
    dir,
    credentials: ensureCredentials({ dir, agents: [{ role: "operator", name: "operator" }] }),
    port,
  });
const connects = () =>
  withStack(
    { stateDir: dir, running: "required", signal: new AbortController().signal },
    async ({ clientAs }) => clientAs("operator").then(() => "connected"),
  );

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "questbus-session-"));
  openStore({ dir, mode: "write" }).close();
  broker = await begin();
  recordStack(dir, { url: broker.url, space: "local" });
  await broker.stop();
});
afterEach(async () => {
  await broker.stop();
  rmSync(dir, { recursive: true, force: true });
});

test("a broker that was killed, and is started again, is waited for", async () => {
  const done = connects();
  done.catch(() => {});
  broker = await begin(broker.port);
  expect(await done).toBe("connected");
});

test("that of a stack that has ended meanwhile is not", async () => {
  const done = connects();
  forgetStack(dir);
  await expect(done).rejects.toMatchObject({ code: "BUS_UNAVAILABLE" });
});
