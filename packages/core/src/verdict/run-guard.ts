import {
  type MetricSpec,
  type Observation,
  type Pair,
  type Suspicion,
  splitSource,
} from "@questbus/protocol";
import { estimateShift, median, pseudoMedian } from "./effect.ts";
import { logGain } from "./log-gain.ts";

/**
 * What the samples themselves say against a candidate: output that is not the base's, a gain that nobody sees from
 * outside, a gain too large to be believed at once. Pure, so that an auditor finds the same in the journal.
 */

type Series = readonly Pair[];

/** Whether both arms printed a digest and the two differ, or only the base printed one. */
export const digestDiffers = ({ base, candidate }: Pair): boolean =>
  base.digest !== null && base.digest !== candidate.digest;

/** Output that differs from the base's under the same seed; null when none does. `series`: all that were measured. */
export function suspectDigest(series: readonly Series[]): Suspicion | null {
  const pairs = series.flat();
  const differing = pairs.filter(digestDiffers);
  if (differing.length === 0) return null;
  const silent = differing.filter(({ candidate }) => candidate.digest === null).length;
  const what =
    silent === differing.length ? "The candidate prints no digest" : "The candidate's output is another";
  const message = `${what}: in ${differing.length} of ${pairs.length} pairs its digest is not the base's, on the same QUESTBUS_SEED.`;
  return { kind: "digest", message, where: null };
}

/** Milliseconds of one unit, for metrics that are times. */
const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  min: 60_000,
};

/** A metric below this share of the run cannot be seen in the run. */
const shareMin = 0.2;
/** The least share of the reported saving that has to be seen from outside. */
const seenMin = 0.5;

/**
 * Sources that a run says nothing of: those that are measured from outside themselves, loads of a fixed length, and
 * Lighthouse, which simulates a slower machine.
 */
const notInRun = ["wall-time", "cpu-time", "autocannon", "k6", "lighthouse"];

/**
 * A time that the bench reports as saved has to be saved: less wall time of the run, or less processor time of all its
 * processes. Suspicious when the upper ends of both savings' 95 % signed-rank intervals lie below half of what the
 * metric says. Of a metric longer than the run (summed over threads or requests) the run can only save its share.
 *
 * Asked of metrics that are times, less is better, and that make up a fifth of the base's run or more. A throughput is
 * not checked: it may be counted over a fixed time, which no gain makes shorter; nor is a figure of many samples, such as
 * their tail, because a run is their sum.
 */
export function suspectWallClock(pairs: Series, metric: MetricSpec): Suspicion | null {
  const said = saidSaving(pairs, metric);
  const wall = savingOf(pairs, (o) => o.wallMs);
  if (said === null || wall === null || said.baseMs < shareMin * wall.baseMs) return null;
  const { baseMs, savingMs } = said;
  const cpu = savingOf(pairs, (o) => o.cpuMs);
  const neededMs = seenMin * savingMs * Math.min(1, wall.baseMs / baseMs);
  if (wall.highMs >= neededMs || (cpu !== null && cpu.highMs >= neededMs)) return null;
  const inCpu = cpu ? `, and its processor time by at most ${milliseconds(cpu.highMs)}` : "";
  const message = `${metric.name} says that ${milliseconds(savingMs)} are saved; from outside a run is shorter by at most ${milliseconds(wall.highMs)}${inCpu}.`;
  return { kind: "wall-clock", message, where: null };
}

/** Whether a figure says nothing of one run's time, whatever its unit. */
const isUnseen = (metric: MetricSpec): boolean =>
  metric.better !== "lower" ||
  metric.stat !== undefined ||
  notInRun.includes(splitSource(metric.from).format);

/** What the operator is told of a figure that may be a time, and that no clock is held against; null: nothing. */
export const unclocked = (metric: MetricSpec): string | null =>
  metric.unit !== "" || isUnseen(metric)
    ? null
    : `no clock is held against ${metric.name}, which has no unit: where it is a time, add unit: ms (or ns, us, s)`;

/** What a metric that is a time of the run says: the base's median, and what the candidate saves; null: none is said. */
function saidSaving(pairs: Series, metric: MetricSpec): { baseMs: number; savingMs: number } | null {
  const perUnit = unitMs[metric.unit];
  if (perUnit === undefined || isUnseen(metric) || pairs.length === 0) return null;
  const baseMs = median(pairs.map(({ base }) => base.value * perUnit));
  const savingMs = pseudoMedian(pairs.map(({ base, candidate }) => (base.value - candidate.value) * perUnit));
  return savingMs > 0 ? { baseMs, savingMs } : null;
}

/**
 * Why a large saving is not believed yet, though nothing shows that it is missing: it is said to be a fifth of the run or
 * more, in wall time or in processor time, and neither is shown to be less at all (lower ends of the 95 % intervals). A
 * busy machine makes wall time too noisy to tell; a gain that nobody can see there is not accepted there.
 */
export function unseenSaving(pairs: Series, metric: MetricSpec): string | null {
  const said = saidSaving(pairs, metric);
  const outside = [savingOf(pairs, (o) => o.wallMs), savingOf(pairs, (o) => o.cpuMs)].filter(
    (each) => each !== null,
  );
  if (said === null || !outside.some(({ baseMs }) => said.savingMs >= shareMin * baseMs)) return null;
  if (outside.some(({ lowMs }) => lowMs > 0)) return null;
  return `${metric.name} says that ${milliseconds(said.savingMs)} are saved, and from outside no run is shown to be shorter: measure again on a quieter machine.`;
}

/** Of what is measured from outside: the base's median, and both ends of what the candidate saves. */
type Saving = { baseMs: number; lowMs: number; highMs: number };

/** Null where it was not measured in every run, or in too few. */
function savingOf(pairs: Series, of: (o: Observation) => number | null): Saving | null {
  const runs = pairs.map(({ base, candidate }) => ({ base: of(base), candidate: of(candidate) }));
  if (
    !runs.every(
      (run): run is { base: number; candidate: number } => run.base !== null && run.candidate !== null,
    )
  )
    return null;
  const shift = estimateShift(runs.map(({ base, candidate }) => base - candidate));
  return shift && { baseMs: median(runs.map(({ base }) => base)), lowMs: shift.low, highMs: shift.high };
}

const milliseconds = (value: number): string => `${Number(Math.max(0, value).toPrecision(3))} ms`;

/** A gain beyond this many times is set aside. */
const believable = 10;
/** How far the re-measured gain may be from the first. */
const apart = 2;

/** Pseudo-median of base / candidate, turned so that a gain is above 1; null with a broken pair or without pairs. */
function ratioOf(pairs: Series, metric: MetricSpec): number | null {
  const gains = pairs.map((pair) => logGain(pair, metric.better, (o) => o.value));
  if (gains.length === 0 || !gains.every((gain) => gain !== null)) return null;
  return Math.exp(pseudoMedian(gains));
}

/** Whether a proven gain is too large to be believed without an independent re-measure. */
export const isImplausible = (pairs: Series, metric: MetricSpec): boolean =>
  (ratioOf(pairs, metric) ?? 0) > believable;

/**
 * A gain beyond 10 times is believed when fresh trees at another path, under other seeds, show it again within a factor
 * of 2, and when the digests of every run show that both arms computed the same.
 */
export function suspectImplausible(
  series: { decided: Series; confirmation: Series; remeasure: Series | null },
  metric: MetricSpec,
  pairsMin: number,
): Suspicion | null {
  const { decided, confirmation, remeasure } = series;
  if (!isImplausible(decided, metric)) return null;
  const first = ratioOf(decided, metric) as number;
  const again = remeasure && remeasure.length >= pairsMin ? ratioOf(remeasure, metric) : null;
  const reasons: string[] = [];
  if (again === null) reasons.push("it was not measured again");
  else if (Math.abs(Math.log(again / first)) > Math.log(apart))
    reasons.push(`measured again in fresh trees it is ${times(again)}`);
  const runs = [...decided, ...confirmation, ...(remeasure ?? [])].flatMap((pair) => [
    pair.base,
    pair.candidate,
  ]);
  if (runs.some((run) => run.digest === null)) {
    reasons.push(
      "nothing shows that both do the same work: let the benchmark draw its workload from QUESTBUS_SEED and print DIGEST with a hash of the output (for a server: measure.http with digest: true)",
    );
  }
  if (reasons.length === 0) return null;
  const message = `A gain of ${times(first)} needs more than being measured: ${reasons.join("; ")}.`;
  return { kind: "implausible", message, where: null };
}

const times = (ratio: number): string => `${Number(ratio.toPrecision(3))} times`;
