import { fingerprint, openScene, type Scene, type Target, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { expectClearError, summaryOf, verdictsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Intents `validate`, which judges one change and integrates nothing, and `improve`, which keeps what is proven. */

let scene: Scene;
let target: Target;

beforeAll(async () => {
  scene = await openScene("intent");
  target = scene.target;
  for (const name of ["gain", "no-effect", "breaks-test"] as const) target.branch(name);
});
afterAll(() => scene.close());

const run = (overrides: Record<string, unknown>) =>
  scene.cli("run", writeQuest(scene.place, overrides), "--json");

describe("validate", () => {
  const judge = (candidate: string, more: Record<string, unknown> = {}) =>
    run({ intent: "validate", fixers: undefined, target: { candidate }, ...more });

  test.each<[string, () => string, number, string, string]>([
    ["a branch with a real gain", () => "gain", 0, "accepted", "ACCEPT"],
    ["a patch with a real gain", () => target.patch("gain"), 0, "accepted", "ACCEPT"],
    ["a branch without any effect", () => "no-effect", 6, "reverted", "NO_EFFECT"],
    ["a branch that breaks a test", () => "breaks-test", 6, "reverted", "TESTS_FAILED"],
  ])("%s", async (_, candidate, exit, status, verdict) => {
    const name = candidate();
    const untouched = fingerprint(target.dir);
    const done = await judge(name);
    expect(done.exit, done.stderr).toBe(exit);
    const summary = summaryOf(done);
    expect(summary).toMatchObject({
      status,
      verdict,
      accepted: null,
      escalation: null,
      passes: [{ n: 1, fixer: name }],
    });
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("a gain short of the goal is not accepted", async () => {
    const done = await judge(target.patch("gain-least"));
    expect(done.exit, done.stderr).toBe(6);
    expect(verdictsOf(summaryOf(done))).toEqual(["KEEP"]);
  });

  test("the identical tree is refused before anything is measured", async () => {
    const untouched = fingerprint(target.dir);
    const file = writeQuest(scene.place, {
      intent: "validate",
      fixers: undefined,
      target: { candidate: "main" },
    });
    expectClearError(await scene.cli("run", file), "PATCH_EMPTY", 2);
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("a candidate that is neither a file nor a commit", async () => {
    const file = writeQuest(scene.place, {
      intent: "validate",
      fixers: undefined,
      target: { candidate: "v9" },
    });
    expectClearError(await scene.cli("run", file), "TARGET_REF_MISSING", 2);
  });
});

describe("improve", () => {
  const improve = (...fixers: Parameters<Target["patch"]>[0][]) =>
    run({
      intent: "improve",
      goal: { improveBy: undefined },
      fixers: fixers.map((name) => ({ patch: target.patch(name) })),
    });

  test("keeps every proven gain within its passes, and integrates them as one commit", async () => {
    const stand = target.stand();
    const done = await improve("gain-least", "no-effect", "gain-most");
    expect(done.exit, done.stderr).toBe(0);
    const summary = summaryOf(done);
    expect(verdictsOf(summary)).toEqual(["KEEP", "NO_EFFECT", "KEEP"]);
    const { branch = "", commit = "" } = summary.accepted ?? {};
    expect(target.git("rev-list", `main..${branch}`)).toBe(commit);
    expect(target.git("diff", "--name-only", "main", branch, "--", "src").split("\n")).toEqual([
      "src/least.awk",
      "src/most.awk",
    ]);
    expect(target.stand()).toBe(stand);
  });

  test("without any gain nothing changes, exit 6", async () => {
    const untouched = fingerprint(target.dir);
    const done = await improve("no-effect", "breaks-test");
    expect(done.exit, done.stderr).toBe(6);
    expect(summaryOf(done)).toMatchObject({ status: "reverted", accepted: null, escalation: null });
    expect(fingerprint(target.dir)).toBe(untouched);
  });
});
