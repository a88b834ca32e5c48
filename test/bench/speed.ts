import { must } from "./process.ts";
import type { Area, Promised } from "./promise.ts";
import { flushMs } from "./speed/disk.ts";
import { median, peers, playRounds, type Round, ratioOf } from "./speed/round.ts";
import type { Figures } from "./speed/run.ts";
import type { Open, Workload } from "./speed/workload.ts";

/**
 * The promises of speed against others. A rate is a ratio to the peer's in the same round. Times hang on the machine: where
 * it is slower than the one that the goals were set on, BullMQ's own figure of the same rounds says by how much, because its
 * figures there are known (quiet, two processors: p50 3.71 ms, p99 7.63 ms, 0.662 s per 1,000 W3).
 */
const bullmqThere = { p50Ms: 3.71, p99Ms: 7.63, cpuSPer1000: 0.662 } as const;
const window = 256;

const peerOf = (name: string): Promise<Open> => (peers[name] as () => Promise<Open>)();

type RateRow = { workload: Workload; peer: string; goal: number; tasks: number; rounds: number };

/** One row: the median of the ratios, with the rates of every round behind it. */
const rateRow = ({ workload, peer, goal }: RateRow, rounds: readonly Round[]): Promised => {
  const ratio = ratioOf(rounds, ({ perS }) => perS);
  const rates = rounds.map(({ ours, theirs }) => `${ours.perS} : ${theirs?.perS}`).join(", ");
  return {
    id: `speed.${workload.toLowerCase()}.${peer}`,
    what: `${workload} a second, all checks on, against ${rounds[0]?.theirs?.name} in the same rounds`,
    goal: `≥ ${goal} times`,
    value: `${ratio.toFixed(2)} times (${rates})`,
    ok: ratio >= goal,
  };
};

/** One row for a figure with an absolute goal, or as much of BullMQ's as it would be where the goal was set. */
function timeRow(
  rounds: readonly Round[],
  figure: keyof typeof bullmqThere,
  {
    id,
    what,
    most,
    unit,
    more = "",
  }: { id: string; what: string; most: number; unit: string; more?: string },
): Promised {
  const of = (figures: Figures): number => figures[figure];
  const found = median(rounds.map(({ ours }) => of(ours)));
  const share = ratioOf(rounds, of);
  const shareMost = most / bullmqThere[figure];
  return {
    id,
    what,
    goal: `≤ ${most} ${unit}; on a slower machine ≤ ${shareMost.toFixed(2)} of BullMQ's`,
    value: `${found} ${unit}, ${share.toFixed(2)} of BullMQ's${more}`,
    ok: found <= most || share <= shareMost,
  };
}

export const proveW3: Area = async function* ({ full, note }) {
  const rounds = full ? 7 : 3;
  const settings = { workload: "W3", tasks: full ? 20_000 : 6_000, window, latencies: 50, rounds } as const;
  const beside = await playRounds(await peerOf("bullmq"), settings, note);
  yield rateRow({ ...settings, peer: "bullmq", goal: 3 }, beside);
  yield timeRow(beside, "cpuSPer1000", {
    id: "speed.w3.cpu",
    what: "processor time of 1,000 W3, every process counted",
    most: 0.25,
    unit: "s",
  });
  const restate = await playRounds(await peerOf("restate"), settings, note);
  yield rateRow({ ...settings, peer: "restate", goal: 3 }, restate);
};

export const proveW1: Area = async function* ({ full, note }) {
  const rounds = full ? 7 : 3;
  const settings = { workload: "W1", tasks: full ? 40_000 : 12_000, window, latencies: 50, rounds } as const;
  yield rateRow(
    { ...settings, peer: "bullmq", goal: 1.5 },
    await playRounds(await peerOf("bullmq"), settings, note),
  );
};

export const proveLatency: Area = async function* ({ full, note }) {
  const flush = [flushMs()];
  const settings = {
    workload: "W3",
    tasks: 500,
    window,
    latencies: full ? 1_000 : 300,
    rounds: full ? 7 : 3,
  } as const;
  const rounds = await playRounds(await peerOf("bullmq"), settings, note);
  flush.push(flushMs());
  const more = `; one flush of this disk takes ${median(flush).toFixed(2)} ms, and a W3 waits for four`;
  const what = (share: string): string => `one W3 in flight, from the submit to its durable result: ${share}`;
  yield timeRow(rounds, "p50Ms", { id: "speed.latency.p50", what: what("p50"), most: 2, unit: "ms", more });
  yield timeRow(rounds, "p99Ms", { id: "speed.latency.p99", what: what("p99"), most: 5, unit: "ms" });
};

export const proveReplay: Area = async function* ({ full, note }) {
  const args = ["test/bench/journal.ts", "--json", "--mb", full ? "600" : "100"];
  const found = JSON.parse((await must(process.execPath, args)).stdout) as Record<string, number>;
  note(`  ${JSON.stringify(found)}`);
  const row = (id: string, what: string, perS: number): Promised => ({
    id,
    what: `${what}, ${found.events} events`,
    goal: "≥ 100,000 events/s",
    value: `${perS.toLocaleString("en")} events/s`,
    ok: perS >= 100_000,
  });
  yield row("speed.verify", "hash chain verified from its first row", found.verifyPerSecond ?? 0);
  yield row(
    "speed.replay",
    "replayed into an empty database, every verdict recomputed, every projection compared",
    found.replayPerSecond ?? 0,
  );
};
