import { setTimeout as delay } from "node:timers/promises";
import {
  confirmationSeed,
  firstOfPair,
  type GateStep,
  gatePolicyOf,
  nextGateStep,
  totalSeed,
} from "@questbus/core";
import { type GateSamples, limit, type Observation, type Pair } from "@questbus/protocol";
import {
  type ArmName,
  type Arms,
  closeArms,
  observe,
  openArms,
  rewrittenByCandidate,
  runArm,
  takeMeasurementLock,
} from "@questbus/workbench";
import type { TaskContext } from "./behaviour.ts";
import { guardOf } from "./seal.ts";

/** How often it is looked whether another stack on this machine has finished measuring. */
const lockPollMs = 500;

/**
 * Runs `work` under the machine's measurement lease: nothing else of Questbus measures meanwhile. Waits as long as it
 * takes, and says for whom: the quest's wall-clock budget ends the wait, as it ends everything.
 */
export const whileMeasuring = <T>(context: TaskContext, work: () => Promise<T>): Promise<T> =>
  underMeasurementLease(context.brief.quest, context, work);

/** As {@link whileMeasuring}, for `owner`, who need not be a quest. */
export async function underMeasurementLease<T>(
  owner: string,
  { signal, note }: Pick<TaskContext, "signal" | "note">,
  work: () => Promise<T>,
): Promise<T> {
  let heldBy: string | null = null;
  for (;;) {
    const lock = await takeMeasurementLock(owner);
    if ("release" in lock) {
      try {
        if (heldBy !== null) await note("measures now");
        return await work();
      } finally {
        await lock.release();
      }
    }
    if (lock.holder !== heldBy) await note(`waits for the measurement lease, held by ${lock.holder}`);
    heldBy = lock.holder;
    await delay(lockPollMs, undefined, { signal });
  }
}

type Rival = "base" | "origin";

/** `rewritten`: sealed paths that runs of the candidate changed, and runs of the base did not. */
type Measured = { samples: GateSamples; step: GateStep; rewritten: string[] };

/** The pairs of a pass: those that decide, then, for a proven gain, those that say how large it is. */
export async function measurePairs(context: TaskContext): Promise<Measured> {
  const { brief, signal, groups } = context;
  const { spec, lastGood, base, candidate, seed } = brief;
  if (!candidate) throw new RangeError(`${brief.quest}: no candidate to measure`);
  const moved = lastGood.tree !== base.tree;
  const ws = await context.workspace();
  const arms = await openArms(ws, {
    base: lastGood.commit,
    candidate: candidate.commit,
    origin: moved ? base.commit : undefined,
    prepare: spec.target.prepare,
    sealOf: (commit) => guardOf(context, commit),
    signal,
    groups,
  });
  try {
    return await whileMeasuring(context, async () => {
      for (const name of arms.names) await runOnce(context, arms, name);
      const { pairs, step } = await decidingPairs(context, arms);
      const proven = step.state === "gain";
      const confirm = (rival: Rival, from: string) =>
        freshPairs(context, arms, rival, from, limit.confirmationPairs);
      const confirmation = proven ? await confirm("base", confirmationSeed(seed)) : [];
      const total = moved && proven ? await confirm("origin", totalSeed(seed)) : moved ? [] : null;
      const rewritten = rewrittenByCandidate(arms);
      return { samples: { seed, pairs, confirmation, total }, step, rewritten };
    });
  } finally {
    await closeArms(arms);
  }
}

/** Looks after every pair: the e-process allows it, and stops as soon as the evidence does. */
async function decidingPairs(context: TaskContext, arms: Arms): Promise<{ pairs: Pair[]; step: GateStep }> {
  const { spec, seed, alpha } = context.brief;
  const policy = gatePolicyOf({
    metric: spec.measure.metric,
    goal: spec.goal,
    alpha,
    pairsMax: spec.budget.pairs,
  });
  const pairs: Pair[] = [];
  for (;;) {
    const step = nextGateStep(pairs, spec.guards, policy);
    if (step.state !== "more") return { pairs, step };
    pairs.push(await onePair(context, arms, "base", firstOfPair(seed, pairs.length)));
  }
}

async function freshPairs(
  context: TaskContext,
  arms: Arms,
  rival: Rival,
  seed: string,
  count: number,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  while (pairs.length < count)
    pairs.push(await onePair(context, arms, rival, firstOfPair(seed, pairs.length)));
  return pairs;
}

async function onePair(context: TaskContext, arms: Arms, rival: Rival, first: Pair["first"]): Promise<Pair> {
  context.signal.throwIfAborted();
  const order: ArmName[] = first === "base" ? [rival, "candidate"] : ["candidate", rival];
  const seen: Partial<Record<ArmName, Observation>> = {};
  for (const name of order) seen[name] = await runOnce(context, arms, name);
  return { first, base: seen[rival] as Observation, candidate: seen.candidate as Observation };
}

function runOnce({ brief, signal, groups }: TaskContext, arms: Arms, name: ArmName): Promise<Observation> {
  const { measure, guards } = brief.spec;
  return runArm(arms, name, (cwd) => observe({ ...measure, cwd, guards, signal, groups }));
}
