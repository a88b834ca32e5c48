import { phases, roles, type Task, tasks } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { nextStep, schedule, stepOf } from "../../src/assignment/schedule.ts";
import { openPlay, run, words } from "../quest/play.ts";

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
      const done = tasks.slice(0, tasks.indexOf(task) + 1);
      expect(nextStep(done, false)?.task ?? null).toBe(next === "settle" ? null : next);
    },
  );

  it("a red suite is looked into before anything is measured, once", () => {
    const done: Task[] = ["plan", "fitness", "base-suite"];
    expect(nextStep(done, true)?.task).toBe("separate");
    expect(nextStep([...done, "separate"], true)?.task).toBe("base-measure");
    expect(nextStep([...done, "separate", "base-measure", "choose"], true)?.task).toBe("prepare");
  });

  it("a pass that was begun when a red suite was looked into later goes on all the same", () => {
    const done: Task[] = ["plan", "fitness", "base-suite", "base-measure", "choose"];
    expect(nextStep(done, true)?.task).toBe("separate");
    expect(nextStep([...done, "separate"], true)?.task).toBe("prepare");
  });

  const offered = (play: ReturnType<typeof openPlay>): Task[] =>
    play.journal.flatMap((event) => (event.type === "assignment.offered" ? [event.body.task] : []));

  it("a base that is always red is never measured", () => {
    const play = run(openPlay(), [{ base: "red", faults: { separate: "SUITE_FAILED" } }]);
    expect(play.state).toMatchObject({ status: "unfit", ending: { fault: { code: "SUITE_FAILED" } } });
    expect(offered(play)).toEqual(["plan", "fitness", "base-suite", "separate", "settle"]);
  });

  it("a base that is flaky is measured after that, and each task is asked for once", () => {
    const play = run(openPlay(), [{ base: "flaky" }]);
    expect(words(play.state)).toEqual(["ACCEPT"]);
    expect(play.state.flaky).toBe(true);
    expect(offered(play).sort()).toEqual([...tasks].sort());
  });
});
