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

/**
 * The next step of a pass in which the tasks `done` were reported; null after the last one before the verdict. A red
 * suite is looked into at once: measuring a base that ends the quest would be for nothing.
 */
export function nextStep(done: readonly Task[], suiteRed: boolean): Step | null {
  const left = schedule.filter(({ task }) => task !== "settle" && !done.includes(task));
  const separate = suiteRed ? left.find(({ task }) => task === "separate") : null;
  return separate ?? left[0] ?? null;
}
