import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  confirmationSeed,
  digestDiffers,
  firstOfPair,
  type GateStep,
  gatePolicyOf,
  isImplausible,
  nextGateStep,
  remeasureSeed,
  totalSeed,
  workloadSeed,
} from "@questbus/core";
import {
  type GateSamples,
  limit,
  type Observation,
  type Pair,
  QuestbusError,
  type Suspicion,
} from "@questbus/protocol";
import {
  type ArmName,
  type Arms,
  type ArmsOptions,
  carriedBy,
  changedWhileParked,
  closeArms,
  observe,
  openArms,
  rewrittenByCandidate,
  runArm,
  takeMeasurementLock,
} from "@questbus/workbench";
import { isWatch, type TaskContext } from "./behaviour.ts";
import { guardOf, reachedRivals, rewrittenSeal } from "./seal.ts";

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
  { signal, note, step }: Pick<TaskContext, "signal" | "note" | "step">,
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
    step(`waits for the measurement lease, held by ${heldBy}`);
    await delay(lockPollMs, undefined, { signal });
  }
}

/** One run of the benchmark in an arm; `seed` draws its workload. */
export function observeArm(
  { brief, signal, groups }: TaskContext,
  arms: Arms,
  name: ArmName,
  seed: string,
): Promise<Observation> {
  const { measure, guards } = brief.spec;
  return runArm(arms, name, (cwd, env) => observe({ ...measure, cwd, env, guards, seed, signal, groups }));
}

/** The key of one measurement's workloads: nobody knows it before, and its report tells it. */
export const newWorkloadKey = (): string => randomBytes(32).toString("hex");

/**
 * Refuses a benchmark whose digest is another for the same program and seed: it compares nothing.
 * @throws DIGEST_UNSTABLE
 */
export function refuseUnstableDigest(one: Observation, other: Observation): void {
  if (one.digest === other.digest) return;
  throw new QuestbusError({
    code: "DIGEST_UNSTABLE",
    message: `two runs of the base with one QUESTBUS_SEED print different digests: ${one.digest ?? "none"} and ${other.digest ?? "none"}`,
    where: "measure.command",
    next: "print a DIGEST that depends on nothing but the program's output, and draw all that is random from QUESTBUS_SEED",
  });
}

type Rival = "base" | "origin";

/** One measurement, and what it has come to so far. */
type Course = {
  readonly context: TaskContext;
  /** See {@link newWorkloadKey}. */
  readonly key: string;
  readonly suspicions: Suspicion[];
  /** Why no more pairs are measured, whatever the gate says; null: it goes on. */
  stopped: string | null;
};

type Measured = Pick<Course, "suspicions" | "stopped"> & { samples: GateSamples; step: GateStep };

/** The pairs of a pass: those that decide, then, for a proven gain, those that say how large it is. */
export async function measurePairs(context: TaskContext): Promise<Measured> {
  const { lastGood, base, seed } = context.brief;
  const moved = lastGood.tree !== base.tree;
  const course: Course = { context, key: newWorkloadKey(), suspicions: [], stopped: null };
  const origin = moved ? base.commit : undefined;
  const measured = await inArms(course, { origin }, async (arms) => {
    const { pairs, step } = await decidingPairs(course, arms);
    const proven = step.state === "gain";
    const confirm = (rival: Rival, from: string): Promise<Pair[]> => freshPairs(course, arms, rival, from);
    const confirmation = proven ? await confirm("base", confirmationSeed(seed)) : [];
    const total = moved && proven ? await confirm("origin", totalSeed(seed)) : moved ? [] : null;
    const remeasure = proven ? await remeasured(course, pairs.slice(0, step.pairs)) : null;
    return { samples: { seed, workloadKey: course.key, pairs, confirmation, total, remeasure }, step };
  });
  return {
    ...measured,
    suspicions: isWatch(course.context) ? [] : course.suspicions,
    stopped: course.stopped,
  };
}

/** A gain too large to be believed is measured again: other trees, another path, other seeds. */
async function remeasured(course: Course, decided: readonly Pair[]): Promise<Pair[] | null> {
  const { spec, seed } = course.context.brief;
  const believed = isWatch(course.context) || !isImplausible(decided, spec.measure.metric);
  if (course.stopped !== null || believed) return null;
  await course.context.note("the gain is very large: it is measured again in fresh trees");
  return inArms(course, { apart: "again" }, (arms) => freshPairs(course, arms, "base", remeasureSeed(seed)));
}

/** Does `work` with fresh arms, each warmed up by one run; what their runs left behind becomes a suspicion. */
async function inArms<T>(
  course: Course,
  options: Pick<ArmsOptions, "origin" | "apart">,
  work: (arms: Arms) => Promise<T>,
): Promise<T> {
  const { brief, signal, groups, workspace } = course.context;
  if (!brief.candidate) throw new RangeError(`${brief.quest}: no candidate to measure`);
  const arms = await openArms(await workspace(), {
    base: brief.lastGood.commit,
    candidate: brief.candidate.commit,
    prepare: brief.spec.target.prepare,
    sealOf: (commit) => guardOf(course.context, commit),
    signal,
    groups,
    ...options,
  });
  const measure = async (): Promise<T> => {
    for (const name of arms.names)
      await observeIn(course, arms, name, workloadSeed(course.key, "warm-up", 0));
    const result = await work(arms);
    course.suspicions.push(
      ...rewrittenSeal(rewrittenByCandidate(arms)),
      ...reachedRivals(changedWhileParked(arms)),
      ...carriedState(arms),
    );
    return result;
  };
  try {
    // arms apart are opened by who holds the lease already
    return options.apart ? await measure() : await whileMeasuring(course.context, measure);
  } finally {
    await closeArms(arms);
  }
}

function carriedState(arms: Arms): Suspicion[] {
  const paths = carriedBy(arms, "candidate");
  if (paths.length === 0) return [];
  const names = paths.slice(0, 5).join(", ") + (paths.length > 5 ? ` and ${paths.length - 5} more` : "");
  const message = `Runs of the candidate change what prepare made, and leave it so for the next run; the base's do not: ${names}.`;
  return [
    {
      kind: "carried-state",
      message: message.slice(0, limit.reasonCharsMax),
      where: (paths[0] as string).slice(0, limit.placeCharsMax),
    },
  ];
}

/** Looks after every pair: the e-process allows it, and stops as soon as the evidence does. */
async function decidingPairs(course: Course, arms: Arms): Promise<{ pairs: Pair[]; step: GateStep }> {
  const { spec, seed, alpha } = course.context.brief;
  const policy = gatePolicyOf({
    metric: spec.measure.metric,
    goal: spec.goal,
    alpha,
    pairsMax: spec.budget.pairs,
  });
  const pairs: Pair[] = [];
  for (;;) {
    const step = nextGateStep(pairs, spec.guards, policy);
    if (step.state !== "more" || course.stopped !== null) return { pairs, step };
    course.context.step(`pair ${pairs.length + 1} of ${spec.budget.pairs}`);
    pairs.push(...(await nextPair(course, arms, "base", seed, pairs.length)));
  }
}

async function freshPairs(course: Course, arms: Arms, rival: Rival, seed: string): Promise<Pair[]> {
  const pairs: Pair[] = [];
  while (pairs.length < limit.confirmationPairs && course.stopped === null) {
    course.context.step(
      `pair ${pairs.length + 1} of ${limit.confirmationPairs} that say how large the gain is`,
    );
    pairs.push(...(await nextPair(course, arms, rival, seed, pairs.length)));
  }
  return pairs;
}

/** Pair `index` of the series that `seed` draws; none when the candidate was stopped in it. */
async function nextPair(
  course: Course,
  arms: Arms,
  rival: Rival,
  seed: string,
  index: number,
): Promise<Pair[]> {
  course.context.signal.throwIfAborted();
  const first = firstOfPair(seed, index);
  const workload = workloadSeed(course.key, seed, index);
  const order: ArmName[] = first === "base" ? [rival, "candidate"] : ["candidate", rival];
  const seen: Partial<Record<ArmName, Observation>> = {};
  for (const name of order) {
    const run = await observeIn(course, arms, name, workload);
    if (run === null) return [];
    seen[name] = run;
  }
  const pair: Pair = { first, base: seen[rival] as Observation, candidate: seen.candidate as Observation };
  if (digestDiffers(pair) && !isWatch(course.context)) {
    const again = await observeArm(course.context, arms, rival, workload);
    refuseUnstableDigest(pair.base, again);
    course.stopped = "the candidate's output is not the base's";
  }
  return [pair];
}

/** One run; null when the candidate left a process behind, which says enough. */
async function observeIn(
  course: Course,
  arms: Arms,
  name: ArmName,
  seed: string,
): Promise<Observation | null> {
  try {
    return await observeArm(course.context, arms, name, seed);
  } catch (error) {
    const left = error instanceof QuestbusError && error.code === "BENCH_LEFT_PROCESS";
    if (!left || name !== "candidate" || isWatch(course.context)) throw error;
    const message = `With the candidate ${error.message}; with the base it does not.`;
    course.suspicions.push({
      kind: "left-process",
      message: message.slice(0, limit.reasonCharsMax),
      where: null,
    });
    course.stopped = error.message;
    return null;
  }
}
