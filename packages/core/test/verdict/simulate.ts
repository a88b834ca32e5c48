import type { GuardSpec, Observation, Pair } from "@questbus/protocol";
import { createEProcess } from "../../src/verdict/e-process.ts";
import { type GatePolicy, type GateStep, nextGateStep } from "../../src/verdict/gate.ts";
import { firstOfPair } from "../../src/verdict/pair-order.ts";

/** A small seeded generator (mulberry32): uniform on [0, 1). */
export function uniform(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Standard normal values from a seed. */
export function normal(seed: number): () => number {
  const next = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
}

export const observe = (value: number, guards: Record<string, number> = {}): Observation => ({
  value,
  guards,
  wallMs: value,
  cpuMs: value,
  digest: null,
});

/** A pair in the order that `seed` draws, with the same guards in both arms unless told otherwise. */
export const pairOf = (seed: string, index: number, base: Observation, candidate: Observation): Pair => ({
  first: firstOfPair(seed, index),
  base,
  candidate,
});

/** `count` pairs without noise: the candidate takes (1 − gain) of the base. */
export const steadyPairs = (
  seed: string,
  count: number,
  gain: number,
  guards: Record<string, number> = {},
): Pair[] =>
  Array.from({ length: count }, (_, i) =>
    pairOf(seed, i, observe(100, guards), observe(100 * (1 - gain), guards)),
  );

export type World = {
  /** Coefficient of variation of one run, lognormal. */
  cv: number;
  /** True relative gain of the candidate (lower is better). */
  gain: number;
  /** How much faster the second run of a pair is. */
  second?: number;
  /** Base always first, as simpler harnesses do. */
  fixedOrder?: boolean;
  /** Change of the machine's speed over each run, in log. */
  driftPerRun?: number;
};

/** Lazily one quest's pairs in a world. */
function* runPairs(world: World, seed: string, gauss: () => number): Generator<Pair> {
  const sd = Math.sqrt(Math.log(1 + world.cv ** 2));
  const speed = (run: number): number =>
    Math.exp((world.driftPerRun ?? 0) * run + sd * gauss()) * (run % 2 ? 1 - (world.second ?? 0) : 1);
  for (let i = 0; ; i++) {
    const first = world.fixedOrder ? "base" : firstOfPair(seed, i);
    const [one, two] = [speed(2 * i), speed(2 * i + 1)];
    const [base, candidate] = first === "base" ? [one, two] : [two, one];
    yield { first, base: observe(base), candidate: observe(candidate * (1 - world.gain)) };
  }
}

/** Runs the gate after every pair until it stops. */
function playGate(
  world: World,
  policy: GatePolicy,
  seed: string,
  gauss: () => number,
  guards: GuardSpec[] = [],
): GateStep {
  const pairs: Pair[] = [];
  for (const pair of runPairs(world, seed, gauss)) {
    pairs.push(pair);
    const step = nextGateStep(pairs, guards, policy);
    if (step.state !== "more") return step;
  }
  throw new Error("unreachable: the series has no end");
}

/** Share of quests with a proven gain, and mean runs (two a pair), over `quests` seeded quests. */
export function playMany(
  world: World,
  policy: GatePolicy,
  quests: number,
  seed = 1,
): { gain: number; futile: number; runs: number } {
  const gauss = normal(seed);
  let [gain, futile, pairs] = [0, 0, 0];
  for (let quest = 0; quest < quests; quest++) {
    const step = playGate(world, policy, `${seed}/${quest}`, gauss);
    gain += step.state === "gain" ? 1 : 0;
    futile += step.state === "futile" ? 1 : 0;
    pairs += step.pairs;
  }
  return { gain: gain / quests, futile: futile / quests, runs: (2 * pairs) / quests };
}

/** Whether a plain e-process ever reaches 1/alpha over `differences`. */
export function everReaches(differences: Iterable<number>, shift: number, alpha: number): boolean {
  const process = createEProcess(shift);
  for (const difference of differences) if (process.next(difference) >= 1 / alpha) return true;
  return false;
}
