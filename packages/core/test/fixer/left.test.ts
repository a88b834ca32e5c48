import { improving, type PassScript } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { grantOf } from "../../src/quest/brief.ts";
import { codeOf, deadline, openPlay, rule, run, until, words } from "../quest/play.ts";

/** Which passes begin, by what its fixers can still give. */

const accept: PassScript = {};
const keep: PassScript = { gain: 0.12 };
const nothing: PassScript = { nothing: true };
const none: PassScript = { gain: 0 };
const red: PassScript = { suite: "red" };

type Course = {
  name: string;
  quest: Parameters<typeof openPlay>[0];
  passes: PassScript[];
  words: string[];
  status: string;
  reason?: string;
};

const courses: Course[] = [
  {
    name: "no pass is begun when every patch was tried",
    quest: { fixers: [{ patch: "a.patch" }] },
    passes: [red, accept],
    words: ["TESTS_FAILED"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "a kept gain short of the goal, and no patch left to build on it",
    quest: { fixers: [{ patch: "a.patch" }] },
    passes: [keep, accept],
    words: ["KEEP"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "a program that is not there, and then the one patch: nothing is left",
    quest: { fixers: [{ command: "./improve.sh" }, { patch: "a.patch" }] },
    passes: [{ faults: { produce: "FIXER_MISSING" } }, red, accept],
    words: ["CRASH", "TESTS_FAILED"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "a command that fails twice in a row is not asked a third time",
    quest: { fixers: [{ command: "./improve.sh" }] },
    passes: [{ faults: { produce: "FIXER_FAILED" } }, { faults: { produce: "FIXER_TIMEOUT" } }, accept],
    words: ["CRASH", "CRASH"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "the others are, and it is asked again where something else came between its failures",
    quest: { fixers: [{ command: "./improve.sh" }] },
    passes: [{ faults: { produce: "FIXER_FAILED" } }, red, { faults: { produce: "FIXER_FAILED" } }],
    words: ["CRASH", "TESTS_FAILED", "CRASH"],
    status: "escalated",
    reason: "passes-used-up",
  },
  {
    name: "a command always can give more, after a patch too",
    quest: { fixers: [{ command: "./improve.sh" }, { patch: "a.patch" }] },
    passes: [red, red, { ...accept, fixer: 0 }],
    words: ["TESTS_FAILED", "TESTS_FAILED", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "so can a search",
    quest: {
      fixers: [
        { knobs: { parameters: [{ name: "n", values: [1, 2], env: { file: "src/.env", key: "N" } }] } },
      ],
    },
    passes: [nothing, accept],
    words: ["NO_EFFECT", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "improve integrates what its one patch gained at once",
    quest: { ...improving, fixers: [{ patch: "a.patch" }] },
    passes: [accept, accept],
    words: ["KEEP"],
    status: "accepted",
  },
  {
    name: "improve with one patch that gains nothing ends there",
    quest: { ...improving, fixers: [{ patch: "a.patch" }] },
    passes: [none, accept],
    words: ["NO_EFFECT"],
    status: "reverted",
  },
];

describe("the fixers that are left", () => {
  it.each(courses)("$name", ({ quest, passes, words: expected, status, reason }) => {
    const { state } = run(openPlay(quest), passes);
    expect(words(state)).toEqual(expected);
    expect(state.status).toBe(status);
    expect(state.escalation?.reason ?? null).toBe(reason ?? null);
  });
});

describe("a quest with no candidate left", () => {
  const one = { fixers: [{ patch: "a.patch" }] };

  it("says so, and in the words of what was missing", () => {
    expect(run(openPlay(one), [red]).state.escalation?.detail).toBe(
      "no candidate is left to try: each patch was tried",
    );
    const { state } = run(openPlay({ fixers: [{ command: "./improve.sh" }, { patch: "a.patch" }] }), [
      { faults: { produce: "FIXER_MISSING" } },
      red,
    ]);
    expect(state.escalation?.detail).toBe(
      "no candidate is left to try: produce could not be done; each patch was tried",
    );
    expect(run(openPlay({ ...improving, ...one }), [none]).state.ending?.reason).toBe(
      "no pass showed a gain; no candidate is left to try: each patch was tried",
    );
  });

  it("is not what ended a quest whose time ran out before a candidate was chosen", () => {
    const play = openPlay({ ...improving, fixers: [{ patch: "a.patch" }, { patch: "b.patch" }] });
    until(play, "plan");
    play.nowMs = play.state.deadlineMs ?? 0;
    deadline(play);
    expect(run(play).state.ending?.reason).toBe("no pass showed a gain; the wall-clock budget is used up");
  });

  it("has one code for it, also where the architect chose none", () => {
    const { state } = run(openPlay(), [none, { fixer: null }]);
    expect(state.passes[1]?.crash?.code).toBe("NO_CANDIDATE_LEFT");
  });

  it("keeps no worktree for a pass that does not come", () => {
    const play = openPlay(one);
    until(play, "settle", red);
    expect(grantOf(play.state, "ops").brief.lastSettle).toBe(true);
  });

  it("is granted no pass that could not have one either", () => {
    const play = run(openPlay(one), [red]);
    expect(codeOf(() => rule(play, "retry"))).toBe("RULING_NOT_ALLOWED");
    rule(play, "revert");
    expect(run(play).state.status).toBe("reverted");
  });

  it("is granted one that measures an open question afresh", () => {
    const play = run(openPlay(one), [none]);
    rule(play, "retry");
    run(play, [none, accept]);
    expect(words(play.state)).toEqual(["NO_EFFECT", "ACCEPT"]);
  });

  it("is granted one for a gain that could not be kept", () => {
    const play = run(openPlay(one), [{ ...keep, faults: { settle: "DISK_FULL" } }]);
    rule(play, "retry");
    run(play, [keep, accept]);
    expect(words(play.state)).toEqual(["KEEP", "ACCEPT"]);
  });

  it("is granted one for a patch that an unfit machine kept from being judged", () => {
    const play = run(openPlay(), [keep, { faults: { produce: "DISK_FULL" } }]);
    expect(play.state.escalation?.reason).toBe("conflict");
    rule(play, "retry");
    until(play, "choose");
    expect(grantOf(play.state, "architect").brief.fixersUsed).toEqual([0]);
  });
});
