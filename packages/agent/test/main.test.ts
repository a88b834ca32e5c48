import { fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureCredentials } from "@questbus/bus";
import { linesTo } from "@questbus/protocol";
import { pino } from "pino";
import { expect, it } from "vitest";

it("an agent whose parent ended while it loaded its code ends, too", async () => {
  let connections = 0;
  const broker = createServer(() => {
    connections += 1;
  }).listen(0, "127.0.0.1");
  await once(broker, "listening");
  const url = `nats://127.0.0.1:${(broker.address() as AddressInfo).port}`;
  const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
  const state = mkdtempSync(join(tmpdir(), "questbus-agent-"));
  ensureCredentials({ dir: state, agents: [{ role: "qa", name: "qa" }] });
  const args = ["--role", "qa", "--name", "qa", "--state", state, "--url", url, "--sandbox", "off"];
  const execArgv = ["--import", "data:text/javascript,process.disconnect()"];
  const agent = fork(main, args, { stdio: ["ignore", "ignore", "ignore", "ipc"], execArgv });
  await once(agent, "exit");
  expect([agent.exitCode, connections]).toEqual([0, 0]);
  broker.close();
  rmSync(state, { recursive: true });
});

it.skipIf(process.platform !== "linux")("a log on a full disk ends nothing, and holds nothing up", () => {
  const full = openSync("/dev/full", "w");
  const log = pino(linesTo(full));
  log.info("one");
  log.fatal("its last word");
  closeSync(full);
});
