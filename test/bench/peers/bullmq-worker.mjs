// One worker process of BullMQ: `bullmq-worker.mjs CONCURRENCY QUEUE…`, answering each job at once.
import { createRequire } from "node:module";
import { join } from "node:path";
import { resultOf } from "../speed/workload.ts";

const [atOnce, ...queues] = process.argv.slice(2);
const { Worker } = createRequire(join(process.env.BENCH_MODULES, "package.json"))("bullmq");
const connection = { host: "127.0.0.1", port: Number(process.env.BENCH_PORT), maxRetriesPerRequest: null };
const options = { connection, concurrency: Number(atOnce) };
const workers = queues.map((queue) => new Worker(queue, async (job) => resultOf(job.data.task), options));
await Promise.all(workers.map((worker) => worker.waitUntilReady()));
process.once("SIGTERM", () => process.exit(0));
process.send("ready");
