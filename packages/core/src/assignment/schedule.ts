import type { Phase, Role, Task } from "@questbus/protocol";

/**
 * The order in which one pass asks the roles: one task at a time, because whatever runs beside a measurement is in
 * the measurement. `guard` and `settle` are ops' validate phase: it signs off first, and carries out the decision
 * after the verdict.
 */
export const schedule = [
  { phase: "test", role: "architect", task: "plan" },
  { phase: "test", role: "ops", task: "fitness" },
  { phase: "test", role: "qa", task: "base-suite" },
  { phase: "test", role: "performance", task: "base-measure" },
  { phase: "fix", role: "architect", task: "choose" },
  { phase: "fix", role: "qa", task: "separate" },
  { phase: "fix", role: "ops", task: "prepare" },
  { phase: "fix", role: "performance", task: "produce" },
  { phase: "validate", role: "architect", task: "review" },
  { phase: "validate", role: "qa", task: "suite" },
  { phase: "validate", role: "performance", task: "gate" },
  { phase: "validate", role: "ops", task: "guard" },
  { phase: "validate", role: "ops", task: "settle" },
] as const satisfies readonly { phase: Phase; role: Role; task: Task }[];

export type Step = (typeof schedule)[number];

export function stepOf(task: Task): Step {
  return schedule.find((step) => step.task === task) as Step;
}

/** The step after `task` in the same pass; null after the last one before the verdict. */
export function stepAfter(task: Task): Step | null {
  const at = schedule.findIndex((step) => step.task === task);
  const next = schedule[at + 1];
  return next && next.task !== "settle" ? next : null;
}
