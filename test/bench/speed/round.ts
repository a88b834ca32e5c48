import { openQuestbus } from "./questbus.ts";
import { type Figures, measure } from "./run.ts";
import type { Open, Workload } from "./workload.ts";

/** What Questbus is measured beside; each is loaded when it is asked for. */
export const peers: Readonly<Record<string, () => Promise<Open>>> = {
  bullmq: async () => (await import("../peers/bullmq.ts")).openBullmq,
  restate: async () => (await import("../peers/restate.ts")).openRestate,
};

export type RoundSettings = {
  workload: Workload;
  tasks: number;
  window: number;
  latencies: number;
  rounds: number;
};
export type Round = { ours: Figures; theirs: Figures | null };

export const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Ours, and the peer in turn; who begins changes with every round, so that neither has the better half of a minute. */
export async function playRounds(
  peer: Open | null,
  { workload, rounds, ...settings }: RoundSettings,
  note: (text: string) => void,
): Promise<Round[]> {
  const played: Round[] = [];
  const one = async (open: Open): Promise<Figures> => {
    const rival = await open(workload);
    try {
      const found = await measure(rival, settings);
      note(`  ${workload} ${figuresText(found)}`);
      return found;
    } finally {
      await rival.close();
    }
  };
  for (let round = 0; round < rounds; round += 1) {
    const early = round % 2 === 1 && peer ? await one(peer) : null;
    const ours = await one(openQuestbus);
    played.push({ ours, theirs: early ?? (peer && (await one(peer))) });
  }
  return played;
}

/** How much more of `of` ours has than theirs, the median of the rounds; NaN without a peer. */
export const ratioOf = (rounds: readonly Round[], of: (figures: Figures) => number): number =>
  median(rounds.flatMap(({ ours, theirs }) => (theirs ? [of(ours) / of(theirs)] : [])));

const figuresText = ({ name, perS, p50Ms, p99Ms, cpuSPer1000, memoryMb, otherCpuPct }: Figures): string =>
  `${name}: ${perS}/s, ${p50Ms} ms p50, ${p99Ms} ms p99, ${cpuSPer1000} s per 1,000, ${memoryMb} MB, others ${otherCpuPct} %`;
