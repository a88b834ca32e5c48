import { parentPort, workerData } from "node:worker_threads";
import { type SharePlace, soundShare } from "./replay-share.ts";

/** The thread of one share of a replay. */
parentPort?.postMessage(soundShare(workerData as SharePlace));
