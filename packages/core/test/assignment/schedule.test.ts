import { phases, roles, tasks } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { schedule, stepAfter, stepOf } from "../../src/assignment/schedule.ts";

describe("the order in which a pass asks the roles", () => {
  it("names every task once, in the order of the protocol", () => {
    expect(schedule.map((step) => step.task)).toEqual(tasks);
  });

  it("goes through test, fix and validate, and asks all four roles in each", () => {
    const seen = [...new Set(schedule.map((step) => step.phase))];
    expect(seen).toEqual(phases);
    for (const phase of phases) {
      const asked = new Set(schedule.filter((step) => step.phase === phase).map((step) => step.role));
      expect([...asked].sort()).toEqual([...roles].sort());
    }
  });

  it.each(tasks.map((task, at) => ({ task, next: tasks[at + 1] ?? null })))(
    "after $task comes $next, but settle only after a verdict",
    ({ task, next }) => {
      expect(stepOf(task).task).toBe(task);
      expect(stepAfter(task)?.task ?? null).toBe(next === "settle" ? null : next);
    },
  );
});
