import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { QuestbusError } from "@questbus/protocol";
import { inputOf, type Rival, type Workload, workersCount } from "../speed/workload.ts";
import { end, freePort, installed } from "./program.ts";

/** What is compared with, exactly. */
const versions = { bullmq: "6.7.0", ioredis: "5.9.2" };
const redisProgram = "redis-server";
const tasksAtOnce = 16;
const workerProgram = fileURLToPath(new URL("bullmq-worker.mjs", import.meta.url));

/** The part of BullMQ that is used here. */
type Job = { name: string; queueName: string; data: object; opts: { jobId: string }; children?: Job[] };
type Bullmq = {
  Queue: new (
    name: string,
    options: object,
  ) => {
    add(name: string, data: object, options: { jobId: string }): Promise<unknown>;
    getCompletedCount(): Promise<number>;
    close(): Promise<void>;
  };
  FlowProducer: new (options: object) => { add(job: Job): Promise<unknown>; close(): Promise<void> };
  QueueEvents: new (
    name: string,
    options: object,
  ) => {
    waitUntilReady(): Promise<unknown>;
    on(event: "completed", listener: (done: { jobId: string; returnvalue: unknown }) => void): void;
    close(): Promise<void>;
  };
};

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

/** Redis that has each write on disk before it answers. */
async function startRedis(dir: string): Promise<{ port: number; child: ChildProcess }> {
  const port = await freePort();
  const persist = ["--save", "", "--appendonly", "yes", "--appendfsync", "always"];
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", dir, ...persist];
  const child = spawn(redisProgram, args, { stdio: "ignore" });
  let failed = false;
  child.once("error", () => {
    failed = true;
  });
  child.once("exit", () => {
    failed = true;
  });
  while (!(await answers(port))) {
    if (failed) {
      throw new QuestbusError({
        code: "PLATFORM_UNSUPPORTED",
        message: `${redisProgram} does not start, which this peer runs on`,
        next: "install Debian's package: apt-get install redis-server",
      });
    }
    await delay(50);
  }
  return { port, child };
}

/** One job (W1), or a flow of three that wait for each other (W3); the result is seen through its queue's events. */
export async function openBullmq(workload: Workload): Promise<Rival> {
  const modules = installed(versions);
  const dir = mkdtempSync(join(process.env.BENCH_DATA ?? tmpdir(), "questbus-bullmq-"));
  const { port, child } = await startRedis(dir);
  const library = createRequire(join(modules, "package.json"))("bullmq") as Bullmq;
  const options = { connection: { host: "127.0.0.1", port, maxRetriesPerRequest: null } };
  const queues = workload === "W1" ? ["only"] : ["test", "fix", "validate"];
  const last = queues.at(-1) as string;
  const env = { ...process.env, BENCH_MODULES: modules, BENCH_PORT: String(port) };
  const workers = Array.from({ length: workersCount }, () =>
    fork(workerProgram, [String(tasksAtOnce), ...queues], {
      env,
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    }),
  );
  await Promise.all(workers.map((worker) => once(worker, "message")));
  const queue = new library.Queue(last, options);
  const flow = new library.FlowProducer(options);
  const events = new library.QueueEvents(last, { ...options, lastEventId: "0-0" });
  await events.waitUntilReady();
  const waiting = new Map<string, (result: unknown) => void>();
  events.on("completed", ({ jobId, returnvalue }) => {
    waiting.get(jobId)?.(returnvalue);
    waiting.delete(jobId);
  });
  /** The last phase, with those before it as what it waits for. */
  const jobOf = (task: string, at: number): Job => ({
    name: "task",
    queueName: queues[at] as string,
    data: inputOf(task),
    opts: { jobId: at === queues.length - 1 ? task : `${task}-${at}` },
    ...(at > 0 ? { children: [jobOf(task, at - 1)] } : {}),
  });
  return {
    name: `bullmq ${versions.bullmq}`,
    durability: "Redis appendfsync always: a fsync before every reply",
    async submit(task) {
      const { promise, resolve } = Promise.withResolvers();
      waiting.set(task, resolve);
      if (workload === "W1") await queue.add("task", inputOf(task), { jobId: task });
      else await flow.add(jobOf(task, queues.length - 1));
      return promise;
    },
    pids: () => [child, ...workers].map(({ pid }) => pid ?? 0),
    done: () => queue.getCompletedCount(),
    async close() {
      await Promise.all(workers.map(end));
      await Promise.allSettled([queue.close(), flow.close(), events.close()]);
      await end(child);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
