import {
  confirmationSeed,
  estimateEffect,
  firstOfPair,
  type GateStep,
  gatePolicyOf,
  type JudgePolicy,
  judge,
  nextGateStep,
} from "@questbus/core";
import { type GateSamples, limit, type Observation, type Pair, type Verdict } from "@questbus/protocol";
import type { Machine } from "./noise.ts";

/** One pass of the gate on a simulated machine, by the product's own core: order, stopping rule, verdict. */

const observed = (value: number): Observation => ({
  value,
  guards: {},
  wallMs: value,
  cpuMs: null,
  digest: null,
});

/** One pair in the order that the seed draws. A candidate takes `length` where the base takes 1. */
export function onePair(machine: Machine, seed: string, index: number, length: number): Pair {
  const first = firstOfPair(seed, index);
  const [one, two] = first === "base" ? [1, length] : [length, 1];
  const runs = [machine.run(one), machine.run(two, true)].map(observed) as [Observation, Observation];
  const [base, candidate] = first === "base" ? runs : [runs[1], runs[0]];
  return { first, base, candidate };
}

export const pairsOf = (machine: Machine, seed: string, count: number, length: number): Pair[] =>
  Array.from({ length: count }, (_, index) => onePair(machine, seed, index, length));

/** What a simulated quest asks of its gate; the rest is as a quest file without further words has it. */
export type Ask = { alpha: number; pairsMax: number; improveBy: number | null; minEffect: number | null };

export const policyOf = ({ alpha, pairsMax, improveBy, minEffect }: Ask): JudgePolicy => ({
  metric: { name: "time", from: "metric-line", unit: "ms", better: "lower" },
  goal: { improveBy, margin: 0.01, minEffect },
  guards: [],
  alpha,
  pairsMax,
  confirmationPairs: limit.confirmationPairs,
  signOff: [],
});

/** Pairs run between two looks: the gate answers for the first pair at which it stops, so looking later is the same. */
const lookEvery = 8;

/** Runs pairs until the gate has seen enough, and drops those after the one at which it stopped. */
export function decide(
  machine: Machine,
  seed: string,
  length: number,
  policy: JudgePolicy,
): { pairs: Pair[]; step: GateStep } {
  const gate = gatePolicyOf(policy);
  const pairs: Pair[] = [];
  for (;;) {
    const more = Math.min(lookEvery, policy.pairsMax - pairs.length);
    for (let k = 0; k < more; k++) pairs.push(onePair(machine, seed, pairs.length, length));
    const step = nextGateStep(pairs, policy.guards, gate);
    if (step.state !== "more") return { pairs: pairs.slice(0, step.pairs), step };
  }
}

/** No simulated machine draws its work from a seed. */
const workloadKey = "0".repeat(64);

/** The samples of a pass: the deciding pairs, and for a proven gain the fresh ones. */
export function measure(
  machine: Machine,
  seed: string,
  length: number,
  policy: JudgePolicy,
): { samples: GateSamples; step: GateStep } {
  const { pairs, step } = decide(machine, seed, length, policy);
  const fresh = step.state === "gain" ? policy.confirmationPairs : 0;
  const confirmation = pairsOf(machine, confirmationSeed(seed), fresh, length);
  return { samples: { seed, workloadKey, pairs, confirmation, total: null, remeasure: null }, step };
}

/** A whole pass, judged. `flattered`: the gain as the deciding pairs alone tell it. */
export function judgePass(
  machine: Machine,
  seed: string,
  length: number,
  policy: JudgePolicy,
): { verdict: Verdict; flattered: number | null } {
  const { samples } = measure(machine, seed, length, policy);
  const verdict = judge(
    {
      unfit: null,
      crash: null,
      changedNothing: false,
      forbiddenPaths: [],
      suspicions: [],
      tests: "passed",
      samples,
      signOffs: {},
    },
    policy,
  );
  return { verdict, flattered: estimateEffect(samples.pairs, "lower")?.estimate ?? null };
}
