import type { MetricSpec } from "@questbus/protocol";
import { median } from "../verdict/effect.ts";
import { type KnobSetting, unitOf } from "./setting.ts";

/**
 * Successive halving (Jamieson & Talwalkar, AISTATS 2016): every setting runs once; the better half runs on until it
 * has twice as many runs; and so on, until one is left. The present setting, the first trial, runs along to the end
 * and is never dropped, so that what is left is compared with it on as many runs. What wins is a candidate and no
 * more: the gate measures it afresh, which is why picking the luckiest of many does no harm.
 */

/** A setting under trial: its runs in order, or why it is out. `setting` null: the present one. */
export type KnobTrial = { setting: KnobSetting | null; values: number[]; failure: string | null };

export type KnobStep =
  /** Run these trials once each, in this order; it is drawn from the seed, so that no drift favours one. */
  | { state: "measure"; trials: number[] }
  /** `best` null: no setting is better than the present one. */
  | { state: "done"; best: number | null };

/** The one that is left has at least so many runs. */
const lastRunsMin = 4;

/** What is to be done next, from all runs so far; `trials[0]` is the present setting. Total: it always ends. */
export function nextKnobStep(
  trials: readonly KnobTrial[],
  options: { better: MetricSpec["better"]; seed: string },
): KnobStep {
  const score = (at: number, runs: number): number => {
    const middle = median((trials[at] as KnobTrial).values.slice(0, runs));
    return options.better === "lower" ? middle : -middle;
  };
  // A trial that failed later was still in the race: what it was then compared with does not change afterwards.
  const fits = (at: number, runs: number): boolean => {
    const { failure, values } = trials[at] as KnobTrial;
    return failure === null || values.length >= runs;
  };
  let rivals = trials.map((_, at) => at).slice(1);
  for (let runs = 1; ; runs *= 2) {
    rivals = rivals.filter((at) => fits(at, runs));
    if (rivals.length === 0) return { state: "done", best: null };
    const short = [0, ...rivals].filter(
      (at) => fits(at, runs) && (trials[at] as KnobTrial).values.length < runs,
    );
    if (short.length > 0)
      return { state: "measure", trials: shuffled(short, `${options.seed}:${runs}`, trials) };
    rivals.sort((a, b) => score(a, runs) - score(b, runs) || a - b);
    const [best] = rivals as [number];
    if (rivals.length === 1 && runs >= lastRunsMin)
      return { state: "done", best: !fits(0, runs) || score(best, runs) < score(0, runs) ? best : null };
    rivals = rivals.slice(0, Math.ceil(rivals.length / 2));
  }
}

/** One order a round: the runs that a trial has are part of the draw. */
const shuffled = (list: readonly number[], seed: string, trials: readonly KnobTrial[]): number[] => {
  const key = (at: number): number => unitOf(seed, `${at}:${trials[at]?.values.length}`);
  return [...list].sort((a, b) => key(a) - key(b) || a - b);
};

/** The most runs that `count` settings and the present one can cost. */
export function knobRunsMax(count: number): number {
  let total = 0;
  let rivals = count;
  let before = 0;
  for (let runs = 1; rivals > 0; runs *= 2) {
    total += (rivals + 1) * (runs - before);
    before = runs;
    if (rivals === 1 && runs >= lastRunsMin) return total;
    rivals = Math.ceil(rivals / 2);
  }
  return total;
}
