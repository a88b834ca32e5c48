import type { Task } from "@questbus/protocol";
import { type PassScript, scriptedReport } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { decideRule } from "../../src/quest/decide.ts";
import {
  act,
  afterEnd,
  agentOf,
  arbiter,
  at,
  cancel,
  claim,
  codeOf,
  deadline,
  openPlay,
  type Play,
  report,
  rule,
  run,
  start,
  step,
  until,
  words,
} from "./play.ts";

/** What ends a quest besides its passes: the clock, the operator, the arbiter. */

const fail: PassScript = { gain: 0 };
const keep: PassScript = { gain: 0.12 };

describe("the end of the wall-clock budget", () => {
  it.each(["plan", "base-suite", "choose", "produce", "review", "suite", "gate", "guard"] as Task[])(
    "during %s cuts the pass, and the quest is escalated",
    (task) => {
      const play = at(task);
      const grant = claim(play);
      play.nowMs = play.state.deadlineMs ?? 0;
      deadline(play);
      expect(words(play.state)).toEqual(["INCONCLUSIVE"]);
      expect(play.state.passes[0]?.verdict?.reasons).toEqual([
        "the wall-clock budget was used up before this pass was decided",
      ]);
      expect(codeOf(() => report(play, scriptedReport(grant), agentOf(grant.role)))).toBe("LEASE_STALE");
      run(play);
      expect(play.state.escalation?.reason).toBe("budget-used-up");
    },
  );

  it("between passes ends the quest after the pass that is being settled", () => {
    const play = at("settle", 1);
    const open = openPlay();
    until(open, "settle", fail);
    open.nowMs = (open.state.deadlineMs ?? 0) + 1;
    expect(deadline(open).events).toEqual([]);
    step(open);
    expect(open.state.escalation?.reason).toBe("budget-used-up");
    // An accepted change is integrated, however late.
    play.nowMs = (play.state.deadlineMs ?? 0) + 1;
    deadline(play);
    expect(run(play).state.status).toBe("accepted");
  });

  it("with a gain kept leaves it to the arbiter", () => {
    const play = at("gate", 2, keep);
    play.nowMs = play.state.deadlineMs ?? 0;
    deadline(play);
    run(play);
    expect(play.state.escalation?.reason).toBe("budget-used-up");
    rule(play, "accept");
    expect(run(play).state.status).toBe("accepted");
  });

  it("of an improve quest integrates what was kept", () => {
    const play = openPlay({ intent: "improve", goal: {} });
    until(play, "settle");
    step(play);
    play.nowMs = play.state.deadlineMs ?? 0;
    deadline(play);
    expect(run(play).state.status).toBe("accepted");
  });

  it("starts anew with a retry", () => {
    const play = at("gate");
    play.nowMs = play.state.deadlineMs ?? 0;
    const first = play.state.deadlineMs ?? 0;
    deadline(play);
    run(play);
    rule(play, "retry");
    start(play);
    expect(play.state.deadlineMs).toBe(play.nowMs + play.state.spec.budget.wallClockMs);
    expect(play.state.deadlineMs).toBeGreaterThan(first);
  });

  it("means nothing to a quest that waits", () => {
    const play = openPlay();
    expect(deadline(play).events).toEqual([]);
    run(play, [fail, fail, fail]);
    expect(deadline(play).events).toEqual([]);
  });
});

describe("cancelling", () => {
  const ended = (play: Play): void => {
    expect(play.state).toMatchObject({
      status: "cancelled",
      task: null,
      settle: null,
      ending: { ending: "cancelled" },
    });
    expect(play.state.accepted).toBeNull();
    for (const each of Object.values(play.state.assignments)) {
      expect(each).toMatchObject({ status: "done", task: null, agent: null, machine: { value: "ended" } });
    }
    for (const pass of play.state.passes) expect(pass.verdict).not.toBeNull();
  };

  it("before it started", () => {
    const play = openPlay();
    cancel(play);
    ended(play);
  });

  it.each(["plan", "base-measure", "choose", "produce", "review", "gate", "guard"] as Task[])(
    "during %s judges the pass first",
    (task) => {
      const play = at(task);
      claim(play);
      cancel(play, "wrong branch");
      ended(play);
      expect(play.state.passes[0]?.verdict).toMatchObject({
        verdict: "INCONCLUSIVE",
        reasons: ["cancelled: wrong branch"],
      });
    },
  );

  it("while a pass is being put back", () => {
    const play = openPlay();
    until(play, "settle", fail);
    cancel(play);
    ended(play);
  });

  it("while it is escalated, and while it waits after a retry", () => {
    for (const retried of [false, true]) {
      const play = run(openPlay(), [fail, fail, fail]);
      if (retried) rule(play, "retry");
      cancel(play);
      ended(play);
    }
  });

  it("is refused while a change is being integrated", () => {
    const play = at("settle");
    expect(codeOf(() => cancel(play))).toBe("QUEST_ENDED");
    claim(play);
    expect(codeOf(() => cancel(play))).toBe("QUEST_ENDED");
    const ruled = run(openPlay(), [keep, fail, fail]);
    rule(ruled, "accept");
    expect(codeOf(() => cancel(ruled))).toBe("QUEST_ENDED");
  });
});

describe("ruling", () => {
  const failed = (): Play => run(openPlay(), [fail, fail, fail]);

  it("needs the escalation that is open", () => {
    const play = at("gate");
    expect(codeOf(() => rule(play, "revert"))).toBe("ESCALATION_NOT_FOUND");
    const open = failed();
    const other = { escalation: "e-11111111", decision: "revert", reason: "no", guidance: null } as const;
    const ruling = () => act(open, arbiter, (state, context) => decideRule(state, other, context));
    expect(codeOf(ruling)).toBe("ESCALATION_NOT_FOUND");
  });

  it("accept is refused when nothing was kept", () => {
    expect(codeOf(() => rule(failed(), "accept"))).toBe("RULING_NOT_ALLOWED");
  });

  it("I2: retry is granted once", () => {
    const play = failed();
    rule(play, "retry");
    run(play, [fail, fail, fail, fail]);
    expect(play.state.passes).toHaveLength(4);
    expect(codeOf(() => rule(play, "retry"))).toBe("RULING_NOT_ALLOWED");
  });

  it("is made once: a second one finds no open escalation", () => {
    const play = failed();
    rule(play, "revert");
    expect(codeOf(() => rule(play, "abandon"))).toBe("ESCALATION_NOT_FOUND");
  });
});

describe("I4: an ended quest stays ended", () => {
  const endings: [string, () => Play][] = [
    ["accepted", () => run(openPlay())],
    ["unfit", () => run(openPlay(), [{ faults: { fitness: "MACHINE_UNFIT" } }])],
    ["reverted", () => rested("revert")],
    ["abandoned", () => rested("abandon")],
    [
      "cancelled",
      () => {
        const play = run(openPlay(), [fail, fail, fail]);
        cancel(play);
        return play;
      },
    ],
  ];

  it.each(endings)("%s", (status, play) => {
    const ended = play();
    expect(ended.state.status).toBe(status);
    const grant = claim(at("plan"));
    expect(afterEnd(ended, grant)).toEqual({
      start: "nothing",
      claim: "nothing",
      report: "LEASE_STALE",
      release: "LEASE_STALE",
      expire: "nothing",
      deadline: "nothing",
      cancel: "QUEST_ENDED",
      rule: "ESCALATION_NOT_FOUND",
      pause: "QUEST_ENDED",
      resume: "QUEST_ENDED",
    });
  });

  function rested(decision: "revert" | "abandon"): Play {
    const play = run(openPlay(), [fail, fail, fail]);
    rule(play, decision);
    return run(play);
  }
});
