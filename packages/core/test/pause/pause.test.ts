import { type EventType, type StackPause, type StackScope, stackScopes } from "@questbus/protocol";
import { scriptedReport } from "@questbus/testkit/scripted-report";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { refuseInSafeMode } from "../../src/pause/decide.ts";
import { askWithheld, holdsMachine, isPassDue, whyWithheld } from "../../src/pause/withheld.ts";
import {
  agentOf,
  at,
  cancel,
  claim,
  codeOf,
  count,
  deadline,
  expire,
  goOn,
  offeredRole,
  openPlay,
  type Play,
  pause,
  pauseStack,
  report,
  resume,
  resumeStack,
  rule,
  run,
  settle,
  start,
  step,
  supply,
  until,
} from "../quest/play.ts";

/** Pauses of one quest, alone on its machine: what stands, what goes on, and what keeps it. */

const stack = (scope: StackScope): StackPause[] => [{ scope, why: "incident", by: "olga", atMs: 1 }];
const keptBy = (play: Play, scope: StackScope) => whyWithheld(play.state, stack(scope), null) !== null;

const waiting = (): Play => {
  const play = openPlay({ fixers: [{ human: true }] });
  run(play);
  return play;
};
const supplied = (): Play => {
  const play = waiting();
  supply(play);
  return play;
};
const leased = (): Play => {
  const play = at("gate");
  claim(play);
  return play;
};
/** The first pass has failed, and is to be settled. */
const settling = (): Play => {
  const play = openPlay();
  until(play, "settle", { gain: 0 });
  return play;
};
const escalated = (): Play => run(openPlay({ budget: { passes: 1 } }), [{ gain: 0 }]);
const ruled = (): Play => {
  const play = escalated();
  rule(play, "abandon");
  return play;
};

/** Which pauses keep a quest from going on, by where it stands. `gate` is performance's, `settle` of a ruling ops's. */
const table: [string, () => Play, StackScope[]][] = [
  ["queued: a pass needs every role", () => openPlay(), [...stackScopes]],
  ["gate is offered", () => at("gate"), ["performance", "all", "safe-mode"]],
  ["gate is held: its holder may finish", leased, ["all", "safe-mode"]],
  ["it waits for a candidate", waiting, ["all", "safe-mode"]],
  ["a candidate was supplied", supplied, ["performance", "all", "safe-mode"]],
  ["escalated: it waits for an arbiter anyway", escalated, []],
  ["a ruling is carried out, also in safe mode", ruled, ["ops", "all"]],
  [
    "cancelled",
    () => {
      const play = at("gate");
      cancel(play);
      return play;
    },
    [],
  ],
];

describe("what keeps a quest from going on", () => {
  it.each(table)("%s", (_, made, scopes) => {
    const play = made();
    expect(stackScopes.filter((scope) => keptBy(play, scope))).toEqual(
      stackScopes.filter((scope) => scopes.includes(scope)),
    );
  });

  it("names the pause, or the quest that has the machine", () => {
    const play = at("gate");
    expect(whyWithheld(play.state, stack("performance"), "q-00000002")).toEqual({
      kind: "pause",
      ...stack("performance")[0],
    });
    pause(play, "later");
    expect(whyWithheld(play.state, [], null)).toMatchObject({
      scope: play.state.id,
      why: "later",
      by: "olga",
    });
    expect(whyWithheld(openPlay().state, [], "q-00000002")).toEqual({ kind: "machine", quest: "q-00000002" });
  });

  it.each(stackScopes)("%s: asks of qa", (scope) => {
    expect(askWithheld("qa", stack(scope)) !== null).toBe(["qa", "all", "safe-mode"].includes(scope));
    expect(codeOf(() => refuseInSafeMode(stack(scope), "ask"))).toBe(
      scope === "safe-mode" ? "SAFE_MODE" : "allowed",
    );
  });
});

describe("a paused quest", () => {
  it("keeps what is reported meanwhile, begins no pass, and takes it up when it goes on", () => {
    const play = settling();
    const grant = claim(play);
    pause(play);
    expect(holdsMachine(play.state), "until what is held is finished").toBe(true);
    report(play, scriptedReport(grant, { gain: 0 }), agentOf(grant.role));
    expect(isPassDue(play.state)).toBe(true);
    expect([holdsMachine(play.state), count(play, "pass.started"), offeredRole(play.state)]).toEqual([
      false,
      1,
      null,
    ]);
    resume(play);
    expect([count(play, "pass.started"), play.state.task]).toEqual([2, "plan"]);
    expect(run(play).state.status).toBe("accepted");
  });

  it("has its work offered again when the lease is over, to nobody before it goes on", () => {
    const play = leased();
    pause(play);
    expire(play, "performance");
    expect([offeredRole(play.state), holdsMachine(play.state)]).toEqual([null, false]);
    resume(play);
    expect(offeredRole(play.state)).toBe("performance");
  });

  it("takes a candidate, and makes it ready when it goes on", () => {
    const play = waiting();
    pause(play);
    supply(play);
    goOn(play);
    expect(play.state.task).toBeNull();
    resume(play);
    expect(play.state.task).toBe("produce");
  });

  it("can be cancelled and ruled on; an end takes the pause with it", () => {
    const play = at("gate");
    pause(play);
    cancel(play);
    expect(play.state).not.toHaveProperty("pause");
    expect(play.state).not.toHaveProperty("halted");
    const other = escalated();
    pause(other);
    rule(other, "abandon");
    settle(other);
    expect(offeredRole(other.state)).toBeNull();
    resume(other);
    expect(run(other).state.status).toBe("abandoned");
  });

  it("is not begun while it is queued", () => {
    const play = openPlay();
    pause(play);
    start(play);
    expect(play.state.status).toBe("queued");
    resume(play);
    start(play);
    expect(play.state.status).toBe("running");
  });
});

describe("the clock of a quest that is halted", () => {
  it("stands: no deadline cuts its pass, and it is as much later when it goes on", () => {
    const play = at("gate");
    const before = play.state.deadlineMs ?? 0;
    pause(play);
    const since = play.nowMs;
    play.nowMs += 10 * play.state.spec.budget.wallClockMs;
    deadline(play);
    expect(play.state.passes.at(-1)?.verdict).toBeNull();
    resume(play);
    expect(play.state.deadlineMs).toBe(before + play.nowMs - since);
    expect(run(play).state.status).toBe("accepted");
  });

  it("also for what is reported long after: the time is not used up", () => {
    const play = settling();
    const grant = claim(play);
    pause(play);
    play.nowMs += 10 * play.state.spec.budget.wallClockMs;
    report(play, scriptedReport(grant, { gain: 0 }), agentOf(grant.role));
    resume(play);
    expect([play.state.status, play.state.task]).toEqual(["running", "plan"]);
  });
});

describe("any pauses, one inside the other", () => {
  const scopes = fc.uniqueArray(fc.constantFrom("quest" as const, ...stackScopes), { minLength: 1 });
  const places = fc.constantFrom(
    () => openPlay(),
    () => at("fitness"),
    () => at("gate", 2),
    waiting,
    escalated,
    leased,
  );

  it("once all are over, in any order, the state is that from before, with the deadline later by the time it stood", () => {
    fc.assert(
      fc.property(places, scopes, fc.nat(1_000_000), fc.integer(), (made, paused, ms, order) => {
        const play = made();
        const before = play.state;
        for (const scope of paused) {
          if (scope === "quest") pause(play);
          else pauseStack(play, scope);
          play.nowMs += ms;
        }
        const back = order % 2 ? paused : paused.toReversed();
        for (const scope of back) {
          if (scope === "quest") resume(play);
          else resumeStack(play, scope);
        }
        const timeOf = (type: EventType) => play.journal.find((row) => row.type === type)?.timeMs ?? 0;
        const later = timeOf("quest.continued") - timeOf("quest.halted");
        const deadlineMs = before.deadlineMs === null ? null : before.deadlineMs + later;
        expect(play.state).toEqual({ ...before, deadlineMs });
        expect(play.pauses).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it("a role's pause lets the others work up to it", () => {
    const play = openPlay();
    start(play);
    pauseStack(play, "qa");
    for (const task of ["plan", "fitness"]) {
      expect(play.state.task).toBe(task);
      step(play);
      settle(play);
    }
    expect([play.state.task, offeredRole(play.state)]).toEqual(["base-suite", null]);
    resumeStack(play, "qa");
    until(play, "gate");
    expect(run(play).state.status).toBe("accepted");
  });
});
