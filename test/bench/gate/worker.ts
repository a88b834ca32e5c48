import { parentPort } from "node:worker_threads";
import { type Job, playJob } from "./job.ts";

/** A thread that plays parts of jobs, one at a time. */
parentPort?.on("message", ({ job, from, to }: { job: Job; from: number; to: number }) => {
  parentPort?.postMessage(playJob(job, from, to));
});
