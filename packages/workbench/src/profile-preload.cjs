"use strict";
/**
 * Loaded by `--require` into each Node process (and worker thread) of a profiled run; it has to run on Node 18, and
 * whatever fails here must not fail the target. Not Node's own --cpu-prof: NODE_OPTIONS takes that from Node 22 on.
 * When the thread ends it writes its CPU profile, and what its garbage collector did.
 */
const dir = process.env.QUESTBUS_PROFILE_DIR;

function start() {
  const { Session } = require("node:inspector");
  const { GCProfiler, getHeapStatistics } = require("node:v8");
  const { writeFileSync } = require("node:fs");
  const { join } = require("node:path");
  const { isMainThread, threadId } = require("node:worker_threads");
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.setSamplingInterval", {
    interval: Number(process.env.QUESTBUS_PROFILE_INTERVAL_US) || 1000,
  });
  session.post("Profiler.start");
  const collector = GCProfiler ? new GCProfiler() : null;
  if (collector) collector.start();

  const write = (kind, value) =>
    writeFileSync(join(dir, `${process.pid}-${threadId}.${kind}`), JSON.stringify(value));
  let written = false;
  const finish = () => {
    if (written) return;
    written = true;
    try {
      session.post("Profiler.stop", (error, result) => {
        if (!error) write("cpuprofile", result.profile);
      });
      if (collector) write("heap", heapOf(collector.stop(), getHeapStatistics()));
    } catch {}
  };
  process.once("exit", finish);
  // A server that its bench ends with a signal would end without a word.
  if (isMainThread) for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) finishOn(signal, finish);
}

function finishOn(signal, finish) {
  const heard = () => {
    finish();
    const alone = process.listenerCount(signal) === 1;
    process.removeListener(signal, heard);
    if (alone) process.kill(process.pid, signal);
  };
  process.on(signal, heard);
}

/** Costs of collections are in microseconds. */
function heapOf({ statistics }, now) {
  const costs = statistics.map((each) => each.cost);
  const used = statistics.map((each) => each.beforeGC.heapStatistics.usedHeapSize);
  return {
    collections: statistics.length,
    totalMs: costs.reduce((sum, each) => sum + each, 0) / 1000,
    longestMs: Math.max(0, ...costs) / 1000,
    peakBytes: Math.max(now.used_heap_size, ...used),
    limitBytes: now.heap_size_limit,
  };
}

if (dir) {
  try {
    start();
  } catch {}
}
