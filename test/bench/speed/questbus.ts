import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type AgentId,
  connectBus,
  createClient,
  credentialPath,
  ensureCredentials,
  findBroker,
  startBroker,
} from "@questbus/bus";
import { type AskAnswer, phases, spaceDefault } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import { end } from "../peers/program.ts";
import { inputOf, type Rival, type Workload, workersCount } from "./workload.ts";

const orchestratorProgram = fileURLToPath(import.meta.resolve("@questbus/orchestrator/main"));
const workerProgram = fileURLToPath(new URL("worker.ts", import.meta.url));

/** nats-server and the orchestrator's process, as the command line starts them. */
export type SpeedStack = {
  url: string;
  brokerPid: number;
  orchestratorPid: number;
  stop(): Promise<void>;
};

const profile = process.env.BENCH_PROFILE
  ? ["--cpu-prof", `--cpu-prof-dir=${process.env.BENCH_PROFILE}`]
  : [];

export async function startSpeedStack(dir: string, agents: readonly AgentId[]): Promise<SpeedStack> {
  const credentials = ensureCredentials({ dir, agents });
  const broker = await startBroker({ dir, binary: findBroker(process.env).path, credentials });
  const { url } = broker;
  const log = openSync(join(dir, "orchestrator.log"), "a");
  const orchestrator = fork(orchestratorProgram, ["--state", dir, "--url", url, "--space", spaceDefault], {
    stdio: ["ignore", log, log, "ipc"],
    execArgv: profile,
  });
  closeSync(log);
  await ready(orchestrator);
  return {
    url,
    brokerPid: broker.pid,
    orchestratorPid: orchestrator.pid ?? 0,
    async stop() {
      await end(orchestrator);
      await broker.stop();
    },
  };
}

/** Ours: the stack, and four worker processes. */
export async function openQuestbus(workload: Workload): Promise<Rival> {
  const dir = mkdtempSync(join(process.env.BENCH_DATA ?? tmpdir(), "questbus-speed-"));
  const names = Array.from({ length: workersCount }, (_, at) => `w${at}`);
  const stack = await startSpeedStack(dir, [
    { role: "operator", name: "bench" },
    ...names.map((name) => ({ role: "qa" as const, name })),
  ]);
  const { url } = stack;
  const workers = names.map((name) =>
    fork(workerProgram, [dir, url, name], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      execArgv: name === "w0" ? profile : [],
    }),
  );
  await Promise.all(workers.map(ready));
  const connection = await connectBus({ url, credential: credentialPath(dir, "operator", "bench") });
  const client = createClient(connection);
  const steps = workload === "W1" ? phases.slice(0, 1) : [...phases];
  return {
    name: "questbus",
    durability:
      "SQLite WAL synchronous=FULL before any answer; journal hash chain, leases and schema checks on",
    async submit(task) {
      const data = inputOf(task);
      const waitMs = 20_000;
      const answer = (await client.request("ask", {
        role: "qa",
        phases: steps,
        text: "bench",
        data,
        waitMs,
      })) as AskAnswer;
      if (answer.status !== "answered") throw new Error(`task ${task}: ${JSON.stringify(answer)}`);
      return answer.results.at(-1);
    },
    pids: () => [stack.brokerPid, stack.orchestratorPid, ...workers.map(({ pid }) => pid ?? 0)],
    done() {
      const store = openStore({ dir, mode: "read" });
      try {
        return store.countAsks("answered");
      } finally {
        store.close();
      }
    },
    async close() {
      await connection.close();
      await Promise.all(workers.map(end));
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function ready(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit").then(([code]) => {
    throw new Error(`a process of the bench ended with ${code}`);
  });
  gone.catch(() => {});
  await Promise.race([once(child, "message"), gone]);
}
