import { type Fault, limit, percent, type QuestSpec } from "@questbus/protocol";
import { type BudgetPlan, planBudget } from "../verdict/detectable.ts";
import { logOfRelative } from "../verdict/log-gain.ts";

import { passAlpha } from "./judge-pass.ts";

/**
 * Whether a quest may begin: its A/A run, the base measured against itself, says how small a gain its budget can show.
 * A goal below that is refused before anything was tried, or resized where the operator said so.
 */

/** What the budget of a quest can show, from its base runs in the order in which they were made. */
export const admissionPlan = ({ measure, goal, budget }: QuestSpec, values: readonly number[]): BudgetPlan =>
  planBudget({
    values,
    margin: goal.margin,
    goal: goal.improveBy,
    alpha: passAlpha,
    pairsMax: budget.pairs,
    better: measure.metric.better,
  });

/** Rounded up to a tenth of a per cent, so that the resized goal is one that can be shown. */
const roundedUp = (gain: number): number => Math.ceil(gain * 1_000) / 1_000;

/** The goal that takes the place of one that cannot be shown; null: the quest keeps its own. */
export function resizedGoal(spec: QuestSpec, plan: BudgetPlan): number | null {
  const { improveBy, acceptDetectable } = spec.goal;
  if (plan.fit || !acceptDetectable || improveBy === null || plan.detectable === null) return null;
  const goal = roundedUp(plan.detectable);
  // A value cannot fall by all of itself.
  return goal > improveBy && (spec.measure.metric.better === "higher" || goal < 1) ? goal : null;
}

/** Why the quest is refused, and what would help; null when it may begin. */
export function admissionFault(spec: QuestSpec, plan: BudgetPlan): Fault | null {
  if (plan.cv !== null && (plan.fit || resizedGoal(spec, plan) !== null)) return null;
  const { goal, budget } = spec;
  const noise =
    plan.cv === null ? "the base runs cannot be used" : `the noise of one run is ${percent(plan.cv)}`;
  const least = plan.detectable === null ? "no gain" : `no gain below ${percent(plan.detectable)}`;
  return {
    code: "BENCH_TOO_NOISY",
    message: `${noise}: with ${budget.pairs} pairs this bench can show ${least}; the goal is ${percent(goal.improveBy ?? goal.margin)}`,
    where: "measure.command",
    next: helps(spec, plan).join(", or "),
  };
}

/** What would bring the goal within reach, each with its figure where there is one. */
function helps(spec: QuestSpec, { detectable, pairsNeeded }: BudgetPlan): string[] {
  const { goal, budget, measure } = spec;
  const more = pairsNeeded !== null && pairsNeeded > budget.pairs && pairsNeeded <= limit.pairsMax;
  const pairs = more ? [`allow about ${pairsNeeded} pairs (budget.pairs)`] : [];
  if (detectable === null) return [...pairs, "allow more pairs"].slice(0, 1);
  const above = (gain: number): number =>
    logOfRelative(gain, measure.metric.better) - logOfRelative(goal.margin, measure.metric.better);
  // Noise that averages out falls with the root of the length.
  const longer = goal.improveBy === null ? null : (above(detectable) / above(goal.improveBy)) ** 2;
  const bench =
    longer !== null && longer <= longerMax
      ? `make the bench about ${Math.ceil(longer)} times longer or its metric quieter`
      : `${more ? "" : "this bench cannot show it: "}${quieter(measure.metric.from)}`;
  const ask =
    goal.improveBy === null
      ? []
      : [`ask for ${percent(roundedUp(detectable))} (--accept-detectable does so by itself)`];
  return [...pairs, bench, ...ask];
}

/** To make a bench longer than this many times is no advice any more. */
const longerMax = 20;

/** Time on the clock holds whatever else the machine does; a count holds nothing but the work. */
const quieter = (from: string): string =>
  from === "wall-time"
    ? "measure cpu-time, or count the work (steps, allocations, bytes), instead of wall-time"
    : "count the work (steps, allocations, bytes) instead, or measure on a quieter machine";
