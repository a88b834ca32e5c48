// `npm run bench -- --workload W1|W3 [--peer bullmq] [--tasks N] [--rounds N] [--json]`: our rate, and a rival's in turn.
import { parseArgs } from "node:util";
import { openQuestbus } from "./speed/questbus.ts";
import { type Figures, measure } from "./speed/run.ts";
import { type Rival, type Workload, workloads } from "./speed/workload.ts";

const peers: Record<string, () => Promise<(workload: Workload) => Promise<Rival>>> = {
  bullmq: async () => (await import("./peers/bullmq.ts")).openBullmq,
};

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "W3" },
    peer: { type: "string" },
    tasks: { type: "string" },
    window: { type: "string", default: "256" },
    latencies: { type: "string", default: "200" },
    rounds: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const workload = workloads.find((each) => each === values.workload);
const peer = values.peer === undefined ? null : peers[values.peer];
if (!workload || peer === undefined) {
  process.stderr.write(
    `--workload is ${workloads.join(" or ")}, --peer one of ${Object.keys(peers).join(", ")}\n`,
  );
  process.exit(2);
}

const tasks = Number(values.tasks ?? (workload === "W1" ? 20_000 : 10_000));
const settings = { tasks, window: Number(values.window), latencies: Number(values.latencies) };
const systems = [openQuestbus, ...(peer ? [await peer()] : [])];
const rounds: Figures[][] = [];
for (let round = 0; round < Number(values.rounds); round += 1) {
  const found: Figures[] = [];
  for (const open of systems) {
    const rival = await open(workload);
    try {
      found.push(await measure(rival, settings));
    } finally {
      await rival.close();
    }
    const { name, perS, p50Ms, p99Ms, cpuSPer1000, memoryMb, otherCpuPct } = found.at(-1) as Figures;
    process.stderr.write(
      `${workload} ${name}: ${perS}/s, ${p50Ms} ms p50, ${p99Ms} ms p99, ${cpuSPer1000} s per 1,000, ${memoryMb} MB, others ${otherCpuPct} %\n`,
    );
  }
  rounds.push(found);
}
const ratios = rounds.flatMap(([ours, theirs]) => (ours && theirs ? [ours.perS / theirs.perS] : []));
const ratio = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)];
const ratioText = ratio === undefined ? null : Number(ratio.toFixed(2));
if (values.json)
  process.stdout.write(`${JSON.stringify({ workload, ...settings, rounds, ratio: ratioText })}\n`);
else if (ratioText !== null) process.stdout.write(`${ratioText} times ${values.peer}\n`);
process.exit(0);
