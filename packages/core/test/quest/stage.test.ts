import type { Analysis, Task } from "@questbus/protocol";
import { scriptedReport } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { analyse } from "../../src/analysis/analyse.ts";
import { grantOf } from "../../src/quest/brief.ts";
import { stageOf, stageReports } from "../../src/quest/stage.ts";
import { call, profileOf } from "../analysis/profile-of.ts";
import { agentOf, at, cancel, claim, openPlay, type Play, report, run, start, step, until } from "./play.ts";

const analysis: Analysis = analyse(
  {
    roots: ["/work/tree"],
    cpuProfiles: [profileOf([[[call("parse", "src/parse.mjs", 12)], 100]])],
    usage: null,
    heap: null,
    machine: {
      cpuStall: null,
      memoryStall: null,
      diskStall: null,
      diskBusy: null,
      memoryBytes: null,
      oomKills: null,
    },
    notes: [],
  },
  { metric: { name: "ms", from: "metric-line", unit: "ms", better: "lower" }, goal: 0.2, kept: 0 },
);

/** Reports the base's measurement with an analysis. */
function measure(play: Play): void {
  const grant = claim(play);
  const sent = scriptedReport(grant);
  if (sent.task !== "base-measure" || !sent.result) throw new TypeError(sent.task);
  report(play, { ...sent, result: { ...sent.result, analysis } }, agentOf(grant.role));
}

describe("the stage of a quest", () => {
  it.each<[Task, number, string]>([
    ["plan", 1, "baseline"],
    ["base-measure", 1, "baseline"],
    ["choose", 1, "analysis"],
    ["separate", 1, "implementation"],
    ["gate", 1, "implementation"],
    ["settle", 1, "implementation"],
    ["base-measure", 2, "implementation"],
    ["gate", 3, "implementation"],
  ])("at %s of pass %d: %s", (task, pass, stage) => {
    expect(stageOf(at(task, pass).state)).toBe(stage);
  });

  it("a queued quest is at its baseline, an accepted one is monitored, and every stage then is done", () => {
    const play = openPlay();
    expect(stageOf(play.state)).toBe("baseline");
    run(play);
    expect(stageOf(play.state)).toBe("monitoring");
    expect(stageReports(play.state).map(({ state }) => state)).toEqual(["done", "done", "done", "done"]);
  });

  it("a base that could not be measured has nothing to be analysed", () => {
    const play = openPlay();
    until(play, "settle", { faults: { "base-measure": "BENCH_FAILED" } });
    expect(stageOf(play.state)).toBe("baseline");
    run(play);
    expect(stageReports(play.state).map(({ state }) => state)).toEqual(["failed", "open", "open", "open"]);
  });

  it.each<[Task, string[]]>([
    ["plan", ["stopped", "open", "open", "open"]],
    ["choose", ["done", "stopped", "open", "open"]],
    ["gate", ["done", "done", "stopped", "open"]],
  ])("cancelled at %s, it was stopped in the stage that it was in", (task, states) => {
    const play = at(task);
    cancel(play);
    expect(stageReports(play.state).map(({ state }) => state)).toEqual(states);
  });

  it("a machine that becomes unfit while a candidate is made takes no stage back", () => {
    const play = openPlay();
    until(play, "settle", { faults: { produce: "DISK_FULL" } });
    expect(stageOf(play.state)).toBe("implementation");
  });

  it("a quest that ended without acceptance was never monitored", () => {
    const play = run(openPlay({ intent: "improve", goal: {} }), [{ gain: 0 }, { gain: 0 }, { gain: 0 }]);
    expect(play.state.status).toBe("reverted");
    const found = stageReports(play.state);
    expect(found.map(({ state }) => state)).toEqual(["done", "done", "done", "open"]);
    expect(found[2]?.produced).toEqual([
      expect.stringMatching(/^pass 1: a.patch: NO_EFFECT/),
      expect.stringMatching(/^pass 2: /),
      expect.stringMatching(/^pass 3: /),
    ]);
  });

  it("a kept gain is a new last known-good: its baseline comes first again", () => {
    const play = openPlay();
    start(play);
    until(play, "settle", { gain: 0.12 });
    expect(stageOf(play.state)).toBe("implementation");
    step(play);
    expect([play.state.passes.length, stageOf(play.state)]).toEqual([2, "baseline"]);
  });
});

describe("the analysis of a quest", () => {
  it("is in every brief from its report on, and in the stage", () => {
    const play = at("base-measure");
    measure(play);
    expect(grantOf(play.state, "architect").brief.analysis).toEqual(analysis);
    until(play, "base-measure", { gain: 0 });
    expect(play.state.passes).toHaveLength(2);
    expect(grantOf(play.state, "performance").brief).toMatchObject({ analysis, kept: 0 });
    expect(stageReports(play.state)[1]?.produced[0]).toBe("hot: parse src/parse.mjs:12 100 %");
  });

  it("holds for its last known-good only; what was kept is told", () => {
    const play = at("base-measure");
    measure(play);
    until(play, "base-measure", { gain: 0.12 });
    const { brief } = grantOf(play.state, "performance");
    expect(brief.analysis).toBeNull();
    expect(brief.kept).toBeCloseTo(0.12, 6);
  });
});
