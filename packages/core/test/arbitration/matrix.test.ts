import { improving, type PassScript, validating } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { allowedDecisions, evidenceMatrix } from "../../src/arbitration/matrix.ts";
import type { QuestState } from "../../src/quest/state.ts";
import { openPlay, rule, run, step, until } from "../quest/play.ts";

const keep: PassScript = { gain: 0.12 };
const none: PassScript = { gain: 0 };

const allowed = (state: QuestState): Record<string, boolean> =>
  Object.fromEntries(allowedDecisions(state).map((each) => [each.decision, each.allowed]));
const why = (state: QuestState, decision: string): string =>
  allowedDecisions(state).find((each) => each.decision === decision)?.why ?? "";

describe("what an arbiter may rule", () => {
  const always = { revert: true, abandon: true };
  const cases: { name: string; quest?: object; passes: PassScript[]; accept: boolean }[] = [
    { name: "three failures", passes: [none, none, none], accept: false },
    { name: "a gain kept below the goal", passes: [keep, none, none], accept: true },
    {
      name: "a gain that was proven and could not be kept",
      passes: [{ ...keep, faults: { settle: "DISK_FULL" } }],
      accept: false,
    },
    {
      name: "the goal reached, but not integrated",
      passes: [{ faults: { settle: "BRANCH_EXISTS" } }],
      accept: true,
    },
    {
      name: "a workspace that could not be put back",
      passes: [{ ...none, faults: { settle: "DISK_FULL" } }],
      accept: false,
    },
    {
      name: "a validated change: intent validate integrates nothing",
      quest: validating,
      passes: [{ faults: { settle: "DISK_FULL" } }],
      accept: false,
    },
  ];

  it.each(cases)("after $name", ({ quest, passes, accept }) => {
    const play = run(openPlay(quest), passes);
    expect(play.state.status).toBe("escalated");
    expect(allowed(play.state)).toEqual({ ...always, accept, retry: true });
  });

  it("accept, after the gains of an improve quest could not be integrated", () => {
    const play = openPlay({ ...improving, budget: { passes: 1 } });
    until(play, "settle", keep);
    step(play);
    step(play, { faults: { settle: "BRANCH_EXISTS" } });
    expect(play.state.escalation?.reason).toBe("integration-failed");
    expect(allowed(play.state)).toEqual({ ...always, accept: true, retry: true });
  });

  it("I2: no retry once the extra pass was granted", () => {
    const play = run(openPlay(), [none, none, none]);
    rule(play, "retry");
    expect(allowed(play.state).retry).toBe(false);
    run(play, [none, none, none, none]);
    expect(allowed(play.state).retry).toBe(false);
    expect(why(play.state, "retry")).toBe("the extra pass was already granted");
  });

  it("says of a patch that was kept not that it was refused", () => {
    const kept = run(openPlay({ fixers: [{ patch: "a.patch" }] }), [keep]).state;
    expect(why(kept, "retry")).toContain("each patch was tried, and there is no other fixer");
  });

  it("says what each would do", () => {
    const failed = run(openPlay(), [none, none, none]).state;
    expect(why(failed, "accept")).toContain("nothing was proven");
    expect(why(failed, "retry")).toContain("grants one more pass, pass 4");
    expect(why(failed, "revert")).toBe("leaves the target as it was");
    const kept = run(openPlay(), [keep, { gain: 0.06, total: 0.17 }, none]).state;
    expect(why(kept, "accept")).toBe(
      "integrates what was proven: p95_ms 17 % better (95 % interval 17 % to 17 %)",
    );
    expect(why(kept, "revert")).toContain("drops what was kept");
  });

  it("an accept quotes only what is in the tree: a gain that could not be kept is not", () => {
    const play = run(openPlay(), [keep, { gain: 0.06, total: 0.17, faults: { settle: "DISK_FULL" } }]);
    expect(play.state.escalation?.reason).toBe("conflict");
    expect(why(play.state, "accept")).toContain("12 % better");
  });
});

describe("the evidence matrix", () => {
  it("has a row for each pass, with what was found and who signed", () => {
    const play = run(openPlay(), [{ suite: "red" }, keep, { worse: 0.5 }]);
    const { rows, options } = evidenceMatrix(play.state);
    expect(rows).toMatchObject([
      {
        pass: 1,
        fixer: "a.patch",
        verdict: "TESTS_FAILED",
        tests: "failed",
        effect: null,
        pairs: 0,
        guards: [],
        signOffs: { architect: "yes", qa: "no" },
      },
      {
        pass: 2,
        fixer: "b.patch",
        verdict: "KEEP",
        tests: "passed",
        guards: [{ name: "rss", state: "holds" }],
        signOffs: { architect: "yes", qa: "yes", performance: "yes", ops: "yes" },
      },
      {
        pass: 3,
        fixer: "c.patch",
        verdict: "GUARD_REGRESSION",
        guards: [{ name: "rss", state: "regressed" }],
      },
    ]);
    expect(rows[1]?.effect?.estimate).toBeCloseTo(0.12, 9);
    expect(rows[1]?.e).toBeGreaterThan(80);
    expect(rows[1]?.reason).toContain("below the goal");
    expect(options).toEqual(allowedDecisions(play.state));
  });

  it("has a row for a pass that is still open, and none before the first", () => {
    expect(evidenceMatrix(openPlay().state).rows).toEqual([]);
    const play = openPlay();
    until(play, "gate");
    expect(evidenceMatrix(play.state).rows).toMatchObject([
      { pass: 1, verdict: null, reason: "not judged yet", e: null, pairs: 0, tests: "passed" },
    ]);
  });

  it("names the artifacts of every task", () => {
    const play = openPlay();
    until(play, "settle");
    const named = evidenceMatrix(play.state).rows[0]?.artifacts ?? [];
    expect(named).toEqual(
      play.state.passes[0]?.findings.flatMap((each) =>
        each.artifacts.map(({ kind, sha256 }) => ({ kind, sha256 })),
      ),
    );
  });
});
