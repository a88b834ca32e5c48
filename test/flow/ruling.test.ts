import {
  type ChangeName,
  fingerprint,
  openScene,
  type Scene,
  type Target,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { expectClearError, summaryOf, verdictsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** What three passes cannot settle waits for an arbiter, who rules at the command line; the ruling is carried out. */

let scene: Scene;
let target: Target;

beforeAll(async () => {
  scene = await openScene("ruling");
  target = scene.target;
});
afterAll(() => scene.close());

const cli = (...args: string[]) => scene.cli(...args);
const rule = (escalation: string | null, decision: string, ...more: string[]) =>
  cli("rule", escalation ?? "", "--decision", decision, "--reason", "seen the evidence", "--json", ...more);

/** Runs a quest that ends with an arbiter's question. */
async function escalated(overrides: Record<string, unknown>, ...fixers: ChangeName[]) {
  const patches = fixers.map((name) => ({ patch: target.patch(name) }));
  const run = await cli("run", writeQuest(scene.place, { fixers: patches, ...overrides }), "--json");
  expect(run.exit, run.stderr).toBe(7);
  const summary = summaryOf(run);
  expect(summary).toMatchObject({
    status: "escalated",
    accepted: null,
    escalation: expect.stringMatching(/^e-[a-z0-9]{8}$/),
  });
  return summary;
}

async function openOnes(): Promise<{ id: string; quest: string }[]> {
  return JSON.parse((await cli("escalations", "--json")).stdout);
}

describe("three candidates that fail", () => {
  test("wait for an arbiter with the evidence; revert puts everything back, exit 0", async () => {
    const untouched = fingerprint(target.dir);
    const { quest, escalation, passes } = await escalated(
      { title: "All fail" },
      "breaks-test",
      "no-effect",
      "no-effect-2",
    );
    expect(passes.map(({ verdict }) => verdict)).toEqual(["TESTS_FAILED", "NO_EFFECT", "NO_EFFECT"]);
    expect(await openOnes()).toMatchObject([
      { id: escalation, quest, status: "open", reason: "passes-used-up" },
    ]);
    const matrix = await cli("escalations");
    for (const text of [
      "All fail",
      "fixes/breaks-test.patch",
      "TESTS_FAILED",
      "what an arbiter can rule",
      "qa no",
    ]) {
      expect(matrix.stdout).toContain(text);
    }
    const ruled = await rule(escalation, "revert");
    expect(ruled.exit, ruled.stderr).toBe(0);
    expect(summaryOf(ruled)).toMatchObject({ quest, status: "reverted", escalation: null, accepted: null });
    expect(await openOnes()).toEqual([]);
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("one patch that is refused leaves none for another pass, nor for one that is granted", async () => {
    const { escalation, passes } = await escalated({ title: "One patch" }, "breaks-test");
    expect(passes.map(({ verdict }) => verdict)).toEqual(["TESTS_FAILED"]);
    expect(await openOnes()).toMatchObject([{ id: escalation, reason: "no-fixer-left" }]);
    const retry = await cli("rule", escalation ?? "", "--decision", "retry", "--reason", "x");
    expectClearError(retry, "RULING_NOT_ALLOWED", 5);
    expect(retry.stderr).toContain("no candidate is left to try");
    expect((await rule(escalation, "abandon")).exit).toBe(0);
  });

  test("accept is refused, for nothing was proven; abandon closes it, exit 0; what is closed cannot be ruled on", async () => {
    const untouched = fingerprint(target.dir);
    const { quest, escalation } = await escalated({ budget: { passes: 1 } }, "no-effect");
    const accept = await cli("rule", escalation ?? "", "--decision", "accept", "--reason", "x");
    expectClearError(accept, "RULING_NOT_ALLOWED", 5);
    expect(await openOnes()).toHaveLength(1);
    const ruled = await rule(escalation, "abandon");
    expect(ruled.exit, ruled.stderr).toBe(0);
    expect(summaryOf(ruled)).toMatchObject({ quest, status: "abandoned" });
    for (const decision of ["abandon", "retry"]) {
      const late = await cli("rule", escalation ?? "", "--decision", decision, "--reason", "x");
      expectClearError(late, "ESCALATION_NOT_FOUND", 3);
    }
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("cancel ends a quest that waits, exit 0, and its escalation is closed", async () => {
    const { quest, escalation } = await escalated(
      { budget: { passes: 1 }, title: "To be cancelled" },
      "breaks-test",
    );
    const cancelled = await cli("cancel", quest, "--reason", "no time", "--json");
    expect(cancelled.exit, cancelled.stderr).toBe(0);
    expect(summaryOf(cancelled)).toMatchObject({ status: "cancelled", escalation: null });
    expect(await openOnes()).toEqual([]);
    expectClearError(
      await cli("rule", escalation ?? "", "--decision", "revert", "--reason", "x"),
      "ESCALATION_NOT_FOUND",
      3,
    );
  });
});

describe("retry", () => {
  test("grants one more pass, with guidance for the fixer, and the gain is accepted", async () => {
    target.patch("gain");
    const command = `if grep -q "look at the loops" "$QUESTBUS_BRIEF"; then git apply "$QUESTBUS_QUEST_DIR/fixes/gain.patch"; fi`;
    const { escalation } = await escalated({ budget: { passes: 1 }, fixers: [{ command }] });
    const ruled = await rule(escalation, "retry", "--guidance", "look at the loops");
    expect(ruled.exit, ruled.stderr).toBe(0);
    const summary = summaryOf(ruled);
    expect(summary).toMatchObject({ status: "accepted", passes: [{ n: 1 }, { n: 2, verdict: "ACCEPT" }] });
    expect(target.git("rev-list", `main..${summary.accepted?.branch}`)).toBe(summary.accepted?.commit);
  });

  test("is granted once: the next question can be answered otherwise only", async () => {
    const { escalation } = await escalated({ budget: { passes: 1 }, title: "Once" }, "no-effect");
    const first = await rule(escalation, "retry");
    expect(first.exit, first.stderr).toBe(7);
    const { escalation: second, passes } = summaryOf(first);
    expect(passes).toHaveLength(2);
    expect(second).not.toBe(escalation);
    expectClearError(
      await cli("rule", second ?? "", "--decision", "retry", "--reason", "x"),
      "RULING_NOT_ALLOWED",
      5,
    );
    expect((await rule(second, "revert")).exit).toBe(0);
  });
});

describe("gains that were kept, short of the goal", () => {
  const gains: ChangeName[] = ["gain-least", "gain-most"];

  test("accept integrates them all as one commit, exit 0", async () => {
    const base = target.git("rev-parse", "HEAD");
    const stand = target.stand();
    const kept = await escalated({ goal: { improveBy: "60%" }, budget: { passes: 2 } }, ...gains);
    expect(verdictsOf(kept)).toEqual(["KEEP", "KEEP"]);
    const ruled = await rule(kept.escalation, "accept");
    expect(ruled.exit, ruled.stderr).toBe(0);
    const { accepted, status } = summaryOf(ruled);
    expect(status).toBe("accepted");
    expect(target.git("rev-parse", `${accepted?.commit}^@`)).toBe(base);
    const files = ["CHANGELOG.md", "src/least.awk", "src/most.awk"];
    expect(target.git("diff", "--name-only", base, accepted?.branch ?? "").split("\n")).toEqual(files);
    expect(target.git("show", `${accepted?.branch}:CHANGELOG.md`)).toMatch(
      /steps (32|33|34)(\.\d)? % better/,
    );
    expect(target.stand()).toBe(stand);
  });

  test("the next quest builds on them: two small gains reach a goal that neither reaches alone", async () => {
    const patches = gains.map((name) => ({ patch: target.patch(name) }));
    const run = await cli(
      "run",
      writeQuest(scene.place, { fixers: patches, goal: { improveBy: "25%" } }),
      "--json",
    );
    expect(run.exit, run.stderr).toBe(0);
    expect(verdictsOf(summaryOf(run))).toEqual(["KEEP", "ACCEPT"]);
  });

  test("revert drops them, and the target is as it was", async () => {
    const untouched = fingerprint(target.dir);
    const kept = await escalated({ goal: { improveBy: "60%" }, budget: { passes: 1 } }, "gain-least");
    const ruled = await rule(kept.escalation, "revert");
    expect(ruled.exit, ruled.stderr).toBe(0);
    expect(summaryOf(ruled)).toMatchObject({ status: "reverted", accepted: null });
    expect(fingerprint(target.dir)).toBe(untouched);
  });
});

test("afterwards the audit trail holds, and a replay gives the same state", async () => {
  const [verify, replay] = await Promise.all([cli("audit", "verify"), cli("audit", "replay")]);
  expect([verify.exit, replay.exit], verify.stderr + replay.stderr).toEqual([0, 0]);
});
