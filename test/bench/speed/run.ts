import { cpuSeconds, machineTicks, pssBytes } from "./cost.ts";
import type { Rival } from "./workload.ts";

/** What one run of one system shows. */
export type Figures = {
  name: string;
  tasks: number;
  perS: number;
  p50Ms: number;
  p99Ms: number;
  /** Processor time of every process, submitter included. */
  cpuSPer1000: number;
  memoryMb: number;
  /** Of the whole machine's processor time, what others used: a run where it is high shows little. */
  otherCpuPct: number;
  durability: string;
};

const warmup = 200;
const warmupAtOnce = 10;
const answerMsMax = 20_000;

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

/** Rejects for a task that is not answered; one that is lost must not hang the bench. */
async function inTime(task: string, work: Promise<unknown>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no result of ${task} in ${answerMsMax} ms`)), answerMsMax);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** `count` tasks, `window` of them outstanding; when each was done, in ms since the first was sent. */
async function closedLoop(rival: Rival, prefix: string, count: number, window: number): Promise<number[]> {
  const sinceMs = performance.now();
  const doneMs: number[] = [];
  let sent = 0;
  const one = async (): Promise<void> => {
    while (sent < count) {
      const task = `${prefix}${sent}`;
      sent += 1;
      await inTime(task, rival.submit(task));
      doneMs.push(performance.now() - sinceMs);
    }
  };
  await Promise.all(Array.from({ length: Math.min(window, count) }, one));
  return doneMs;
}

/** Warm-up; latency with one task in flight; then the rate with `window` outstanding, over completions 10 to 90 %. */
export async function measure(
  rival: Rival,
  { tasks, window, latencies }: { tasks: number; window: number; latencies: number },
): Promise<Figures> {
  await closedLoop(rival, "w", warmup, warmupAtOnce);
  const tookMs: number[] = [];
  for (let at = 0; at < latencies; at += 1) {
    const sinceMs = performance.now();
    await rival.submit(`l${at}`);
    tookMs.push(performance.now() - sinceMs);
  }
  tookMs.sort((a, b) => a - b);
  const pids = [process.pid, ...rival.pids()];
  const before = { cpuS: cpuSeconds(pids), machine: machineTicks() };
  const doneMs = await closedLoop(rival, "t", tasks, window);
  const cpuS = cpuSeconds(pids) - before.cpuS;
  const machine = machineTicks();
  const memory = pids.reduce((sum, pid) => sum + pssBytes(pid), 0);
  const [from, to] = [Math.floor(tasks * 0.1), Math.floor(tasks * 0.9) - 1];
  const stored = await rival.done();
  const wanted = warmup + latencies + tasks;
  if (stored !== wanted) throw new Error(`${rival.name}: ${stored} of ${wanted} tasks are stored as done`);
  const busyS = (machine.busy - before.machine.busy) / 100;
  return {
    name: rival.name,
    tasks,
    perS: rounded((to - from) / (((doneMs[to] ?? 0) - (doneMs[from] ?? 0)) / 1_000), 0),
    p50Ms: rounded(quantile(tookMs, 0.5), 2),
    p99Ms: rounded(quantile(tookMs, 0.99), 2),
    cpuSPer1000: rounded((cpuS / tasks) * 1_000, 3),
    memoryMb: Math.round(memory / 1024 ** 2),
    otherCpuPct: Math.round((100 * Math.max(0, busyS - cpuS)) / ((machine.all - before.machine.all) / 100)),
    durability: rival.durability,
  };
}
