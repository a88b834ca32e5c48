import {
  type Behaviour,
  guardOf,
  measurePairs,
  newWorkloadKey,
  no,
  type Outcome,
  observeArm,
  refuseUnstableDigest,
  type TaskContext,
  whileMeasuring,
  yes,
} from "@questbus/agent";
import { admissionFault, admissionPlan, resizedGoal, workloadSeed } from "@questbus/core";
import { type Fault, limit, type Observation, percent, plural, QuestbusError } from "@questbus/protocol";
import { type Arms, closeArms, openArms } from "@questbus/workbench";
import { produce } from "./produce.ts";
import { profileBase } from "./profile.ts";

/** Performance measures; whether what it measured is a gain, the orchestrator computes. */
export const behaviour: Behaviour = { test: measureBase, fix: produce, validate: gate };

/** Base-only runs that measure the noise, after one that warms the machine's caches. */
const baseRuns = 8;
/** In later passes nothing is refused for noise: these only show how the machine stands now. */
const baseRunsLater = 4;
/** Runs more, where those said that the bench is too noisy: a passing disturbance must not refuse a quest. */
const baseRunsMore = 16;

/**
 * Measures last known-good, and refuses a bench that cannot show the goal within the budget. That is decided before
 * anything was tried, in the first pass; later the gate itself copes with a noisier hour.
 */
async function measureBase(context: TaskContext): Promise<Outcome<"base-measure">> {
  const { spec, lastGood } = context.brief;
  const { signal, groups } = context;
  const arms = await openArms(await context.workspace(), {
    base: lastGood.commit,
    prepare: spec.target.prepare,
    sealOf: (commit) => guardOf(context, commit),
    signal,
    groups,
  });
  try {
    return await measureIn(context, arms);
  } finally {
    await closeArms(arms);
  }
}

async function measureIn(context: TaskContext, arms: Arms): Promise<Outcome<"base-measure">> {
  const { pass, spec } = context.brief;
  const runs = await whileMeasuring(context, () => baseRunsOf(context, arms));
  const values = valuesOf(runs);
  const plan = admissionPlan(spec, values);
  const { cv, detectable, pairsNeeded } = plan;
  const fault = admissionFault(spec, plan);
  if (cv === null || (fault && pass === 1)) throw new QuestbusError(fault as Fault);
  const wallMs = runs.reduce((sum, run) => sum + run.wallMs, 0) / runs.length;
  const resized = pass === 1 ? resizedGoal(spec, plan) : null;
  const analysis = await profileBase(context, arms, resized ?? spec.goal.improveBy, wallMs);
  const cost = costText(resized === null ? pairsNeeded : spec.budget.pairs, wallMs);
  return {
    result: { values, cv, detectable, pairsNeeded, wallMs, analysis },
    summary: `base ${baseText(context, values)}, noise ${percent(cv)}; the budget can show ${detectable === null ? "no gain" : percent(detectable)}${resized === null ? "" : `, which is the goal now (${percent(resized)})`}${cost}`,
  };
}

/** The A/A run: more of it where the first runs say that the bench is too noisy. */
async function baseRunsOf(context: TaskContext, arms: Arms): Promise<Observation[]> {
  const { pass, spec } = context.brief;
  const key = newWorkloadKey();
  const [warmUp] = await observeBase(context, arms, key, 1);
  const first = await observeBase(context, arms, key, pass === 1 ? baseRuns : baseRunsLater);
  refuseUnstableDigest(warmUp as Observation, first[0] as Observation);
  if (pass > 1 || admissionPlan(spec, valuesOf(first)).fit) return first;
  return [...first, ...(await observeBase(context, arms, key, baseRunsMore, baseRuns))];
}

const valuesOf = (runs: readonly Observation[]): number[] => runs.map((run) => run.value);

/** Runs of the base, from run `from` of the measurement on. */
async function observeBase(
  context: TaskContext,
  arms: Arms,
  key: string,
  count: number,
  from = 0,
): Promise<Observation[]> {
  const runs: Observation[] = [];
  while (runs.length < count) {
    context.step(`run ${runs.length + 1} of ${count} of the base`);
    runs.push(await observeArm(context, arms, "base", workloadSeed(key, "base", from + runs.length)));
  }
  return runs;
}

function baseText({ brief }: TaskContext, values: readonly number[]): string {
  const { name, unit } = brief.spec.measure.metric;
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  return `${name} ${figure(middle, unit)}`;
}

/** What the goal will cost, when the noise stays as it is. */
function costText(pairs: number | null, wallMs: number): string {
  if (pairs === null) return "";
  const runs = 2 * (Math.ceil(pairs) + limit.confirmationPairs);
  const time = Math.ceil((runs * wallMs) / 1_000);
  return `, about ${plural(Math.ceil(pairs), "pair")} for the goal (${runs} runs with those that confirm it, ${time} s)`;
}

const figure = (value: number, unit: string): string =>
  `${Number(value.toPrecision(4))}${unit ? ` ${unit}` : ""}`;

/** Candidate against last known-good, in pairs, until the evidence decides; then fresh pairs for the effect. */
async function gate(context: TaskContext): Promise<Outcome<"gate">> {
  const { brief, artifacts } = context;
  const { samples, step, suspicions, stopped } = await measurePairs(context);
  await artifacts.put("samples", JSON.stringify(samples));
  const proven = step.state === "gain" && stopped === null && suspicions.length === 0;
  const reason = stopped ?? suspicions[0]?.message ?? step.reason;
  return {
    result: { samples },
    summary: `${plural(samples.pairs.length, "pair")}: ${reason}`,
    suspicions,
    signOff: proven
      ? yes(`a gain above ${percent(brief.spec.goal.margin)} is proven (${step.reason})`)
      : no(reason),
  };
}
