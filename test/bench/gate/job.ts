import { createMachine, type Profile } from "./noise.ts";
import { type Ask, decide, judgePass, pairsOf, policyOf } from "./pass.ts";
import { playQuest, type QuestWorld } from "./quest.ts";
import { fixedSignedRank, peeks, type Rival, rivals } from "./rival.ts";

/** A machine and a candidate that truly gains `gain` on it (0.05 is 5 %). */
export type World = { profile: Profile; gain: number };

/** One kind of simulated quest. Quest `k` of a job draws everything from `seed`/k. */
export type Job =
  | { kind: "gate"; seed: string; world: World; ask: Ask }
  | { kind: "judged"; seed: string; world: World; ask: Ask }
  | { kind: "peek"; seed: string; world: World; ask: Ask }
  | { kind: "rival"; seed: string; world: World; rival: Rival }
  | { kind: "fixed"; seed: string; world: World; alpha: number; pairs: readonly number[] }
  | { kind: "quest"; seed: string; world: QuestWorld };

/** What quests came to, as sums: they add up over any split of a job. */
export type Tally = Record<string, number>;

export function addTally(sum: Tally, more: Tally): void {
  for (const [name, value] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + value;
}

const margin = 0.01;
const bit = (truth: boolean): number => (truth ? 1 : 0);

function playOne(job: Job, seed: string): Tally {
  if (job.kind === "quest") {
    const { fooled, passes } = playQuest(job.world, seed);
    return { accepted: bit(fooled), passes };
  }
  const { profile, gain } = job.world;
  const machine = createMachine(profile, seed);
  const length = 1 - gain;
  switch (job.kind) {
    case "gate": {
      const { step } = decide(machine, seed, length, policyOf(job.ask));
      return {
        accepted: bit(step.state === "gain"),
        futile: bit(step.state === "futile"),
        runs: 2 * step.pairs,
      };
    }
    case "judged": {
      const { verdict, flattered } = judgePass(machine, seed, length, policyOf(job.ask));
      const accepted = verdict.verdict === "ACCEPT";
      const reported = accepted ? (verdict.effect?.estimate ?? Number.NaN) : 0;
      return { accepted: bit(accepted), reported, flattered: accepted ? (flattered ?? Number.NaN) : 0 };
    }
    case "peek":
      return { accepted: bit(peeks(pairsOf(machine, seed, job.ask.pairsMax, length), job.ask.alpha)) };
    case "rival":
      return { accepted: bit(rivals[job.rival].keeps(machine, length)) };
    case "fixed": {
      const values = pairsOf(machine, seed, Math.max(...job.pairs), length);
      const gains = values.map(({ base, candidate }) => Math.log(base.value / candidate.value));
      const shift = -Math.log1p(-margin);
      return Object.fromEntries(
        job.pairs.map((n) => [`n${n}`, bit(fixedSignedRank(gains.slice(0, n), shift, job.alpha))]),
      );
    }
  }
}

/** Plays quests `from` up to, not including, `to`. */
export function playJob(job: Job, from: number, to: number): Tally {
  const tally: Tally = { quests: to - from };
  for (let quest = from; quest < to; quest++) addTally(tally, playOne(job, `${job.seed}/${quest}`));
  return tally;
}
