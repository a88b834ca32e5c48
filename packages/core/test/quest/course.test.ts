import { improving, type PassScript, validating } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { grantOf } from "../../src/quest/brief.ts";
import { count, offeredRole, openPlay, type Play, rule, run, step, until, words } from "./play.ts";

/** A quest from its submission to the place where it rests, by what its passes find. */

const accept: PassScript = {};
const keep: PassScript = { gain: 0.12 };
const keepMore: PassScript = { gain: 0.06, total: 0.17 };
const nothing: PassScript = { nothing: true };
const none: PassScript = { gain: 0 };
const red: PassScript = { suite: "red" };

type Course = {
  name: string;
  quest?: Parameters<typeof openPlay>[0];
  passes: PassScript[];
  words: string[];
  status: string;
  reason?: string;
};

const courses: Course[] = [
  {
    name: "a gain at the goal is accepted in pass 1",
    passes: [accept],
    words: ["ACCEPT"],
    status: "accepted",
  },
  {
    name: "a broken suite, then no effect, then the goal",
    passes: [red, none, accept],
    words: ["TESTS_FAILED", "NO_EFFECT", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "three passes without a gain are escalated",
    passes: [red, none, nothing],
    words: ["TESTS_FAILED", "NO_EFFECT", "NO_EFFECT"],
    status: "escalated",
    reason: "passes-used-up",
  },
  {
    name: "a gain below the goal is kept, and the next pass reaches the goal in total",
    passes: [keep, { gain: 0.15 }],
    words: ["KEEP", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "the goal counts the total: a pass that is large alone, and short in total, is kept",
    passes: [keep, { gain: 0.25, total: 0.18 }, none],
    words: ["KEEP", "KEEP", "NO_EFFECT"],
    status: "escalated",
    reason: "passes-used-up",
  },
  {
    name: "three kept gains that stay short of the goal are escalated",
    passes: [keep, keepMore, { gain: 0.06, total: 0.19 }],
    words: ["KEEP", "KEEP", "KEEP"],
    status: "escalated",
    reason: "passes-used-up",
  },
  {
    name: "a gain below the smallest effect worth chasing",
    passes: [{ gain: 0.03 }, { gain: -0.2 }, { pairs: 3 }],
    words: ["BELOW_MIN_EFFECT", "NO_EFFECT", "INCONCLUSIVE"],
    status: "escalated",
    reason: "passes-used-up",
  },
  {
    name: "a worse guard outweighs a gain",
    passes: [{ worse: 0.5 }, accept],
    words: ["GUARD_REGRESSION", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "fewer passes than the product allows",
    quest: { budget: { passes: 1 } },
    passes: [none],
    words: ["NO_EFFECT"],
    status: "escalated",
    reason: "passes-used-up",
  },
  {
    name: "a fixer that fails is a crash, and the next pass goes on",
    passes: [{ faults: { produce: "FIXER_FAILED" } }, accept],
    words: ["CRASH", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "a fixer whose program is not there ends the quest when it is the only one",
    quest: { fixers: [{ command: "./improve.sh" }] },
    passes: [{ faults: { produce: "FIXER_MISSING" } }],
    words: ["CRASH"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "so does one whose quota is used up for longer than may be waited",
    quest: { fixers: [{ cli: "claude" }] },
    passes: [{ faults: { produce: "FIXER_QUOTA" } }],
    words: ["CRASH"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "another fixer goes on where the program of one is not there",
    quest: { fixers: [{ command: "./improve.sh" }, { patch: "a.patch" }] },
    passes: [{ faults: { produce: "FIXER_MISSING" } }, accept],
    words: ["CRASH", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "a fixer that fails in its own way is asked again",
    quest: { fixers: [{ command: "./improve.sh" }] },
    passes: [{ faults: { produce: "FIXER_FAILED" } }, accept],
    words: ["CRASH", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "a bench that fails on the candidate is a crash",
    passes: [{ faults: { gate: "BENCH_FAILED" } }, accept],
    words: ["CRASH", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "forbidden paths that the agent reports",
    passes: [{ forbiddenPaths: ["test/search.test.js"] }, accept],
    words: ["HACK_SUSPECTED", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "I5: forbidden paths that the agent keeps quiet about",
    passes: [{ files: ["src/search.js", "test/search.test.js"] }, accept],
    words: ["HACK_SUSPECTED", "ACCEPT"],
    status: "accepted",
  },
  {
    name: "the architect finds no candidate left",
    passes: [none, { faults: { choose: "NO_CANDIDATE_LEFT" } }],
    words: ["NO_EFFECT", "CRASH"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "the architect chooses none",
    passes: [none, { fixer: null }],
    words: ["NO_EFFECT", "CRASH"],
    status: "escalated",
    reason: "no-fixer-left",
  },
  {
    name: "a base that is red ends the quest as unfit",
    passes: [{ faults: { separate: "SUITE_FAILED" } }],
    words: ["ENV_UNFIT"],
    status: "unfit",
  },
  {
    name: "a bench that is too noisy ends the quest as unfit",
    passes: [{ faults: { "base-measure": "BENCH_TOO_NOISY" } }],
    words: ["ENV_UNFIT"],
    status: "unfit",
  },
  {
    name: "a machine that becomes unfit in a later pass",
    passes: [none, { faults: { fitness: "MACHINE_UNFIT" } }],
    words: ["NO_EFFECT", "ENV_UNFIT"],
    status: "unfit",
  },
  {
    name: "a full disk while producing says nothing about the candidate",
    passes: [{ faults: { produce: "DISK_FULL" } }],
    words: ["ENV_UNFIT"],
    status: "unfit",
  },
  {
    name: "a full disk that keeps the workspace from being put back is still an unfit machine",
    passes: [{ faults: { prepare: "DISK_FULL", settle: "DISK_FULL" } }],
    words: ["ENV_UNFIT"],
    status: "unfit",
  },
  {
    name: "an unfit machine does not throw away what was kept",
    passes: [keep, { faults: { fitness: "MACHINE_UNFIT" } }],
    words: ["KEEP", "ENV_UNFIT"],
    status: "escalated",
    reason: "conflict",
  },
  {
    name: "a workspace that cannot be put back needs a person",
    passes: [{ ...none, faults: { settle: "ROLLBACK_UNPROVEN" } }],
    words: ["NO_EFFECT"],
    status: "escalated",
    reason: "conflict",
  },
  {
    name: "an accepted change that cannot be integrated needs a person",
    passes: [{ faults: { settle: "BRANCH_EXISTS" } }],
    words: ["ACCEPT"],
    status: "escalated",
    reason: "integration-failed",
  },
  {
    name: "improve keeps every proven gain and integrates them at the end",
    quest: improving,
    passes: [accept, none, keep],
    words: ["KEEP", "NO_EFFECT", "KEEP"],
    status: "accepted",
  },
  {
    name: "improve without a gain changes nothing",
    quest: improving,
    passes: [none, red, nothing],
    words: ["NO_EFFECT", "TESTS_FAILED", "NO_EFFECT"],
    status: "reverted",
  },
  {
    name: "improve integrates what it has when no fixer is left",
    quest: improving,
    passes: [accept, { faults: { choose: "NO_CANDIDATE_LEFT" } }],
    words: ["KEEP", "CRASH"],
    status: "accepted",
  },
  {
    name: "validate accepts a given change",
    quest: validating,
    passes: [accept],
    words: ["ACCEPT"],
    status: "accepted",
  },
  {
    name: "validate rejects a given change",
    quest: validating,
    passes: [none],
    words: ["NO_EFFECT"],
    status: "reverted",
  },
  {
    name: "validate of a gain short of the goal is no acceptance",
    quest: validating,
    passes: [keep],
    words: ["KEEP"],
    status: "reverted",
  },
];

describe("where a quest comes to rest", () => {
  it.each(courses)("$name", ({ quest, passes, words: expected, status, reason }) => {
    const { state } = run(openPlay(quest), passes);
    expect(words(state)).toEqual(expected);
    expect(state.status).toBe(status);
    expect(state.escalation?.reason ?? null).toBe(reason ?? null);
  });
});

describe("what an accepted quest leaves", () => {
  const integrations = (play: Play) => play.journal.filter((event) => event.type === "change.integrated");

  it("is one integration of the accepted candidate, on the branch of the quest", () => {
    const play = openPlay();
    until(play, "settle");
    expect(play.state.settle).toMatchObject({
      kind: "integrate",
      tree: play.state.passes[0]?.candidate?.tree,
      branch: `questbus/${play.state.id}`,
      changelog: { path: null, impact: expect.stringContaining("p95_ms 25 % better") },
    });
    run(play);
    expect(integrations(play)).toHaveLength(1);
    expect(play.state.accepted).toMatchObject({ branch: `questbus/${play.state.id}` });
    expect(play.state.ending).toMatchObject({ ending: "accepted", fault: null });
  });

  it("names the fixers and sign-offs of everything that went in", () => {
    const play = openPlay();
    until(play, "settle", keep);
    run(play, [keep, { gain: 0.15 }]);
    const orders = play.journal.flatMap((event) =>
      event.type === "assignment.offered" ? [event.body.settle] : [],
    );
    const [order] = orders.filter((each) => each?.kind === "integrate");
    const trailers =
      order?.kind === "integrate"
        ? order.message.split("\n").filter((line) => line.startsWith("Questbus-"))
        : [];
    expect(trailers).toEqual([
      `Questbus-Quest: ${play.state.id}`,
      "Questbus-Fixer: a.patch",
      "Questbus-Fixer: b.patch",
      "Questbus-Sign-Off: architect",
      "Questbus-Sign-Off: performance",
      "Questbus-Sign-Off: qa",
      "Questbus-Sign-Off: ops",
    ]);
  });

  it.each([accept, none])("intent validate integrates nothing, whatever the verdict", (script) => {
    const play = run(openPlay(validating), [script]);
    expect(integrations(play)).toEqual([]);
    expect(play.state.accepted).toBeNull();
    expect(count(play, "workspace.restored")).toBe(1);
  });

  it("improve integrates the last tree that was kept", () => {
    const play = openPlay(improving);
    run(play, [accept, keep, none]);
    const second = play.state.passes[1]?.candidate;
    expect(play.state.lastGood).toEqual({ commit: second?.commit, tree: second?.tree });
    expect(integrations(play)).toHaveLength(1);
    expect(count(play, "good.moved")).toBe(2);
  });
});

describe("last known-good", () => {
  it("moves to a kept candidate, and the next pass starts from there", () => {
    const play = openPlay();
    until(play, "settle", keep);
    expect(play.state.settle).toMatchObject({ kind: "advance", tree: play.state.passes[0]?.candidate?.tree });
    step(play);
    expect(play.state.lastGood.tree).toBe(play.state.passes[0]?.candidate?.tree);
    expect(play.state.passes[1]?.lastGood).toEqual(play.state.lastGood);
  });

  it.each([none, red, nothing, { worse: 0.5 }, { files: ["test/a.js"] }])(
    "is restored after a pass that shows no gain",
    (script) => {
      const play = openPlay();
      until(play, "settle", script);
      expect(play.state.settle).toMatchObject({
        kind: "restore",
        commit: play.state.base.commit,
        tree: play.state.base.tree,
      });
      step(play);
      expect(play.state.lastGood).toEqual(play.state.base);
      expect(count(play, "workspace.restored")).toBe(1);
    },
  );
});

describe("a pass that cannot be accepted any more is not measured", () => {
  const gatesOf = (play: Play): number =>
    play.journal.filter((event) => event.type === "assignment.offered" && event.body.task === "gate").length;

  it.each([
    {
      name: "a refusal of the architect",
      script: { refuses: ["review"] },
      word: "INCONCLUSIVE",
      says: "architect says no: review found a problem",
    },
    { name: "a red suite", script: { suite: "red" }, word: "TESTS_FAILED", says: "The test suite fails" },
    {
      name: "forbidden paths",
      script: { forbiddenPaths: ["bench.mjs"] },
      word: "HACK_SUSPECTED",
      says: "bench.mjs",
    },
    { name: "no change", script: { nothing: true }, word: "NO_EFFECT", says: "changes nothing" },
    {
      name: "no change but to what is sealed",
      script: { nothing: true, setAside: ["bench.mjs", "test/a.js"] },
      word: "NO_EFFECT",
      says: "only what is sealed, which was set aside: bench.mjs, test/a.js",
    },
    {
      name: "a fault",
      script: { faults: { produce: "FIXER_TIMEOUT" } },
      word: "CRASH",
      says: "FIXER_TIMEOUT",
    },
  ] as { name: string; script: PassScript; word: string; says: string }[])(
    "$name",
    ({ script, word, says }) => {
      const play = openPlay();
      until(play, "settle", script);
      expect(words(play.state)).toEqual([word]);
      expect(play.state.passes[0]?.verdict?.reasons[0]).toContain(says);
      expect(gatesOf(play)).toBe(0);
    },
  );

  it("a candidate whose tree is last known-good's changes nothing, whatever the agent calls it", () => {
    const play = openPlay();
    until(play, "settle", { tree: play.state.base.tree });
    expect(words(play.state)).toEqual(["NO_EFFECT"]);
    expect(gatesOf(play)).toBe(0);
  });

  it("a missing sign-off is none", () => {
    const play = openPlay();
    until(play, "settle", { unsigned: ["guard"] });
    expect(words(play.state)).toEqual(["INCONCLUSIVE"]);
    expect(play.state.passes[0]?.verdict?.reasons).toEqual(["ops has not signed off."]);
  });

  it("the no of a role whose sign-off the quest does not ask for does not end the pass", () => {
    const play = openPlay({ signOff: ["qa", "performance"] });
    run(play, [{ refuses: ["review"] }]);
    expect(words(play.state)).toEqual(["ACCEPT"]);
  });

  it("a fault after good sign-offs takes nothing from the reason", () => {
    const play = run(openPlay(), [{ faults: { gate: "METRIC_MISSING" } }, accept]);
    expect(play.state.passes[0]?.crash?.code).toBe("METRIC_MISSING");
  });
});

describe("the escalated quest and its ruling", () => {
  const kept = (): Play => run(openPlay(), [keep, keepMore, none]);
  const failed = (): Play => run(openPlay(), [none, red, nothing]);

  it("accept integrates what was kept", () => {
    const play = kept();
    rule(play, "accept");
    expect(play.state.status).toBe("running");
    expect(play.state.settle).toMatchObject({ kind: "integrate", tree: play.state.lastGood.tree });
    run(play);
    expect(play.state.ending).toMatchObject({
      ending: "accepted",
      reason: "the arbiter accepted what was kept",
    });
    expect(play.state.accepted).not.toBeNull();
  });

  it.each(["revert", "abandon"] as const)("%s puts the base back, whatever was kept", (decision) => {
    const play = kept();
    rule(play, decision);
    expect(play.state.settle).toMatchObject({ kind: "restore", tree: play.state.base.tree });
    run(play);
    expect(play.state.status).toBe(decision === "revert" ? "reverted" : "abandoned");
    expect(play.state.accepted).toBeNull();
  });

  it("retry waits for the measurement lease, and gives the next pass the arbiter's words", () => {
    const play = failed();
    rule(play, "retry", "try the cache first");
    expect(play.state.status).toBe("queued");
    expect(offeredRole(play.state)).toBeNull();
    until(play, "choose");
    const { brief } = grantOf(play.state, "architect");
    expect(brief).toMatchObject({ pass: 4, guidance: "try the cache first", fixersUsed: [0, 1, 2] });
    expect(brief.history.map((pass) => pass.n)).toEqual([1, 2, 3]);
    run(play, [none, none, none, accept]);
    expect(play.state.status).toBe("accepted");
  });

  it("I2: a fourth pass is granted once; after it only accept, revert and abandon are left", () => {
    const play = failed();
    rule(play, "retry");
    run(play, [none, none, none, keep]);
    expect(words(play.state)).toHaveLength(4);
    expect(play.state.escalation).toMatchObject({ reason: "passes-used-up", ruling: null });
    rule(play, "accept");
    run(play);
    expect(play.state.status).toBe("accepted");
  });

  it("a ruling that fails goes back to the arbiter and can be ruled again", () => {
    const play = kept();
    const first = play.state.escalation?.id;
    rule(play, "accept");
    run(play, [{}, {}, { faults: { settle: "BRANCH_EXISTS" } }]);
    expect(play.state.escalation).toMatchObject({ reason: "integration-failed", ruling: null });
    expect(play.state.escalation?.id).not.toBe(first);
    expect(play.state.escalation?.detail).toContain("BRANCH_EXISTS");
    rule(play, "accept");
    run(play);
    expect(play.state.status).toBe("accepted");
  });

  it("an accepted change whose integration failed can be accepted once its cause is gone", () => {
    const play = run(openPlay(), [{ faults: { settle: "BRANCH_EXISTS" } }]);
    rule(play, "accept");
    expect(play.state.settle).toMatchObject({
      kind: "integrate",
      tree: play.state.passes[0]?.candidate?.tree,
    });
    run(play);
    expect(play.state.status).toBe("accepted");
  });

  it("a commit message names no fixer whose change is not in it", () => {
    const play = run(openPlay(), [{ faults: { settle: "BRANCH_EXISTS" } }]);
    rule(play, "retry");
    run(play, [{}, keep, none, none]);
    rule(play, "accept");
    const message = play.state.settle?.kind === "integrate" ? play.state.settle.message : "";
    expect(message).toContain("Questbus-Fixer: b.patch");
    expect(message).not.toContain("Questbus-Fixer: a.patch");
  });
});
