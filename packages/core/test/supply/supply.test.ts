import { type Actor, limit } from "@questbus/protocol";
import type { PassScript } from "@questbus/testkit/scripted-report";
import { describe, expect, test } from "vitest";
import { grantOf } from "../../src/quest/brief.ts";
import { awaitingPass, requestOf, standsStill } from "../../src/supply/supply.ts";
import {
  agentOf,
  arbiter,
  cancel,
  claim,
  codeOf,
  count,
  deadline,
  expire,
  goOn,
  offeredRole,
  openPlay,
  operator,
  type Play,
  release,
  run,
  step,
  supply,
  words,
} from "../quest/play.ts";

const worker: Actor = { role: "worker", name: "wanda" };
const human = { fixers: [{ human: "Rewrite the parser" }] };

/** A quest whose pass waits. */
function waiting(part: Parameters<typeof openPlay>[0] = human): Play {
  return run(openPlay(part));
}

/** Supplies, and plays on in the world of `script` until the quest waits again or rests. */
function supplied(play: Play, script: PassScript = {}): Play {
  supply(play);
  goOn(play);
  while (offeredRole(play.state)) step(play, script);
  return play;
}

describe("a pass whose candidate comes from outside", () => {
  test("stops before produce: nothing is offered, and it stands still until somebody supplies one", () => {
    const play = waiting();
    expect(play.state.status).toBe("running");
    expect(play.state.task).toBeNull();
    expect(offeredRole(play.state)).toBeNull();
    expect(standsStill(play.state)).toBe(true);
    expect(awaitingPass(play.state)).toMatchObject({ n: 1, fixer: 0, awaited: { refused: null } });
    expect(play.journal.at(-1)?.type).toBe("candidate.awaited");
  });

  test("what was supplied is in the brief of produce, and in no other; then the quest goes its way", () => {
    const play = waiting();
    supply(play);
    expect(awaitingPass(play.state)).toBeNull();
    expect(offeredRole(play.state), "the machine may be taken").toBeNull();
    goOn(play);
    const grant = claim(play);
    expect(grant.brief).toMatchObject({
      task: "produce",
      supplied: { by: "olga", change: { name: "topic" } },
    });
    release(play, grant);
    run(play, [{}]);
    expect(words(play.state)).toEqual(["ACCEPT"]);
    expect(play.state.status).toBe("accepted");
    expect(play.state.passes[0]?.supplied).toBeNull();
  });

  test("it waits in each pass", () => {
    const play = supplied(waiting(), { gain: 0 });
    expect(words(play.state)).toEqual(["NO_EFFECT", undefined]);
    expect(awaitingPass(play.state)?.n).toBe(2);
    supplied(play);
    expect(play.state.status).toBe("accepted");
  });

  test.each<[string, PassScript]>([
    ["does not apply", { faults: { produce: "PATCH_DOES_NOT_APPLY" } }],
    ["is a symbolic link", { faults: { produce: "PATH_FORBIDDEN" } }],
    ["changes nothing", { nothing: true }],
    ["writes what it may not, and says so", { forbiddenPaths: ["test/a.js"] }],
    ["writes what it may not, and keeps quiet about it", { files: ["test/a.js"] }],
  ])("one that %s is refused, changes nothing, and the wait goes on", (_, script) => {
    const play = supplied(waiting(), script);
    expect(words(play.state)).toEqual([undefined]);
    expect(awaitingPass(play.state)?.awaited?.refused).toMatchObject({
      code: expect.stringMatching(/^PAT[CH]+_/),
    });
    expect(count(play, "pass.judged")).toBe(0);
    supplied(play);
    expect(words(play.state)).toEqual(["ACCEPT"]);
  });

  test("a fault that says nothing of the change ends the pass", () => {
    const play = supplied(waiting(), { faults: { produce: "DISK_FULL" } });
    expect(words(play.state)).toEqual(["ENV_UNFIT"]);
  });

  test("one that games its evaluation ends the pass, though nothing of it is left, and is not held against a later one", () => {
    const weakened = { kind: "sealed-edit" as const, message: "It skips a test", where: "test/a.js:3" };
    const play = supplied(waiting(), { nothing: true, suspicions: [weakened] });
    expect(words(play.state)[0]).toBe("HACK_SUSPECTED");
    supplied(play);
    expect(words(play.state)[1]).toBe("ACCEPT");
  });

  test("refusals are bounded", () => {
    const play = waiting();
    const bad: PassScript = { faults: { produce: "PATCH_INVALID" } };
    for (let at = 0; at < limit.suppliesRefusedMax; at += 1) supplied(play, bad);
    expect(awaitingPass(play.state)?.refusals).toBe(limit.suppliesRefusedMax);
    supplied(play, bad);
    expect(words(play.state)[0]).toBe("CRASH");
  });

  test("the end of the wall clock ends the wait, and says so", () => {
    const play = waiting();
    play.nowMs = (play.state.deadlineMs ?? 0) + 1;
    deadline(play);
    expect(play.state.passes[0]?.verdict).toMatchObject({
      verdict: "INCONCLUSIVE",
      reasons: ["nobody supplied a candidate before the wall-clock budget was used up"],
    });
    run(play);
    expect(play.state.escalation?.reason).toBe("budget-used-up");
  });

  test("it can be cancelled", () => {
    const play = waiting();
    cancel(play);
    expect(play.state.status).toBe("cancelled");
    expect(codeOf(() => supply(play))).toBe("QUEST_ENDED");
  });

  test("an agent that dies while it makes the candidate ready loses nothing of what was supplied", () => {
    const play = waiting();
    supply(play);
    goOn(play);
    claim(play);
    expire(play, "performance");
    expect(claim(play).brief.supplied?.change.name).toBe("topic");
  });
});

describe("who may supply, and when", () => {
  test("a person to a quest that waits for a person; no program, no agent, no arbiter", () => {
    for (const other of [worker, agentOf("performance"), arbiter])
      expect(codeOf(() => supply(waiting(), other))).toBe("ROLE_FORBIDDEN");
    expect(codeOf(() => supply(waiting(), operator))).toBe("allowed");
  });

  test("a program, or a person, to a quest that waits for a program", () => {
    const part = { fixers: [{ worker: true }] };
    expect(codeOf(() => supply(waiting(part), worker))).toBe("allowed");
    expect(codeOf(() => supply(waiting(part), operator))).toBe("allowed");
    expect(codeOf(() => supply(waiting(part), agentOf("qa")))).toBe("ROLE_FORBIDDEN");
  });

  test("once, to the pass that waits, and to no other quest", () => {
    const play = waiting();
    expect(codeOf(() => supply(play, operator, { pass: 2 }))).toBe("CANDIDATE_NOT_AWAITED");
    expect(codeOf(() => supply(play, operator, { pass: 1 }))).toBe("allowed");
    expect(codeOf(() => supply(play))).toBe("CANDIDATE_NOT_AWAITED");
    expect(codeOf(() => supply(openPlay()))).toBe("CANDIDATE_NOT_AWAITED");
    const other = run(openPlay({ fixers: [{ patch: "a.patch" }] }), [{ gain: 0 }, { fixer: null }]);
    expect(codeOf(() => supply(other))).toBe("CANDIDATE_NOT_AWAITED");
  });
});

describe("a patch in the message itself is refused at once for what it shows, and the wait goes on", () => {
  const line = "@@ -0,0 +1 @@\n+x\n";
  test.each([
    [
      "a symbolic link",
      `diff --git a/src/a b/src/a\nnew file mode 120000\n--- /dev/null\n+++ b/src/a\n${line}`,
      "PATH_FORBIDDEN",
    ],
    ["a path outside", `--- /dev/null\n+++ b/../a\n${line}`, "PATH_ESCAPES"],
    ["no patch", "make it faster", "PATCH_INVALID"],
    ["a file that may not be written", `--- /dev/null\n+++ b/test/a.js\n${line}`, "PATH_FORBIDDEN"],
    ["a good one", `--- /dev/null\n+++ b/src/a.js\n${line}`, "allowed"],
  ])("%s", (_, patch, code) => {
    const play = waiting({ fixers: [{ worker: true }] });
    expect(codeOf(() => supply(play, worker, { change: { patch } }))).toBe(code);
    expect(awaitingPass(play.state) === null).toBe(code === "allowed");
  });
});

describe("what a program is told", () => {
  test("goal, measure, what may be written, what failed before, and where the files are", () => {
    const play = waiting({ fixers: [{ worker: "Make search faster" }] });
    expect(requestOf(play.state)).toMatchObject({
      quest: play.state.id,
      pass: 1,
      ask: "Make search faster",
      base: { repo: "/srv/word-search", commit: play.state.base.commit },
      lastGood: play.state.lastGood,
      brief: { goal: { improveBy: 0.2 }, authority: { write: ["src/**"] }, history: [], kept: 0 },
      refused: null,
    });
    supply(play, worker);
    goOn(play);
    while (offeredRole(play.state)) step(play, play.state.passes.length === 1 ? { gain: 0 } : {});
    expect(requestOf(play.state)).toMatchObject({
      pass: 2,
      brief: { history: [{ n: 1, verdict: "NO_EFFECT" }] },
    });
    const again = supplied(play, { faults: { produce: "PATCH_DOES_NOT_APPLY" } });
    expect(requestOf(again.state)?.refused?.code).toBe("PATCH_DOES_NOT_APPLY");
  });

  test("nothing where a person is waited for, or nobody", () => {
    expect(requestOf(waiting().state)).toBeNull();
    expect(requestOf(openPlay({ fixers: [{ worker: true }] }).state)).toBeNull();
  });

  test("no other task's brief holds what was supplied", () => {
    const play = waiting();
    supply(play);
    goOn(play);
    step(play);
    claim(play);
    expect(grantOf(play.state, "architect").brief.supplied).toBeNull();
  });
});
