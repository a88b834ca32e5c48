import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { inputOf, type Rival, type Workload } from "../speed/workload.ts";
import { end, freePort, installed } from "./program.ts";

/** What is compared with, exactly. */
const versions = {
  "@restatedev/restate-server": "1.7.12",
  "@restatedev/restate-sdk": "1.17.2",
  "@restatedev/restate-sdk-clients": "1.17.2",
};
/** Fewer than its 24: faster with one server, 1,787 W3 a second against 1,265. */
const partitions = 4;
const serviceProgram = fileURLToPath(new URL("restate-service.mjs", import.meta.url));

/** The part of Restate's client that is used here. */
type Clients = {
  connect(options: { url: string }): {
    serviceClient(service: { name: string }): { task(input: object, options: unknown): Promise<unknown> };
  };
  Opts: { from(options: { idempotencyKey: string }): unknown };
};

const isUp = async (url: string): Promise<boolean> => (await fetch(url).catch(() => null))?.ok ?? false;

type Server = { child: ChildProcess; ingress: string; admin: string };

async function startServer(modules: string, dir: string): Promise<Server> {
  const [own, ingress, admin] = [await freePort(), await freePort(), await freePort()];
  const env = {
    ...process.env,
    DO_NOT_TRACK: "1",
    RESTATE_DISABLE_TELEMETRY: "true",
    RESTATE_LISTEN_MODE: "tcp",
    RESTATE_BIND_ADDRESS: `127.0.0.1:${own}`,
    RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${own}`,
    RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ingress}`,
    RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${admin}`,
    RESTATE_DEFAULT_NUM_PARTITIONS: String(partitions),
    RESTATE_LOG_FILTER: "error",
  };
  const name = `restate-server-${process.platform}-${process.arch}`;
  const program = join(modules, "node_modules/@restatedev", name, "bin/restate-server");
  const child = spawn(program, ["--base-dir", dir, "--node-name", "n1"], { cwd: dir, env, stdio: "ignore" });
  let failure: Error | null = null;
  child.once("error", (error) => (failure = error));
  const server = { child, ingress: `http://127.0.0.1:${ingress}`, admin: `http://127.0.0.1:${admin}` };
  while (!((await isUp(`${server.admin}/health`)) && (await isUp(`${server.ingress}/restate/health`)))) {
    if (failure || child.exitCode !== null) throw new Error(`${program} does not start`, { cause: failure });
    await delay(100);
  }
  return server;
}

async function posted(url: string, body: object): Promise<unknown> {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${url}: ${await response.text()}`);
  return response.json();
}

/** One invocation with one durable step (W1), or three (W3). It pushes to one service process over HTTP/2. */
export async function openRestate(workload: Workload): Promise<Rival> {
  const modules = installed(versions);
  const dir = mkdtempSync(join(process.env.BENCH_DATA ?? tmpdir(), "questbus-restate-"));
  const server = await startServer(modules, dir);
  const port = await freePort();
  const phases = workload === "W1" ? ["only"] : ["test", "fix", "validate"];
  const service = fork(serviceProgram, [String(port), ...phases], {
    env: { ...process.env, BENCH_MODULES: modules, RESTATE_LOGGING: "ERROR" },
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  await once(service, "message");
  await posted(`${server.admin}/deployments`, { uri: `http://127.0.0.1:${port}` });
  const library = createRequire(join(modules, "package.json"))("@restatedev/restate-sdk-clients") as Clients;
  const client = library.connect({ url: server.ingress }).serviceClient({ name: "loop" });
  return {
    name: `restate ${versions["@restatedev/restate-server"]}`,
    durability:
      "its log in RocksDB, WAL flushed with every batch; the partitions' stores are replayed from it",
    submit: (task) => client.task(inputOf(task), library.Opts.from({ idempotencyKey: task })),
    pids: () => [server.child, service].map(({ pid }) => pid ?? 0),
    async done() {
      const query = "SELECT count(*) AS n FROM sys_invocation WHERE status = 'completed'";
      const { rows } = (await posted(`${server.admin}/query`, { query })) as { rows: { n: number }[] };
      return rows[0]?.n ?? 0;
    },
    async close() {
      await end(service);
      await end(server.child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
