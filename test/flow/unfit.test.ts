import { fingerprint, openScene, processesOf, type Scene, type Target, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  expectClearError,
  expectFault,
  expectNoTrace,
  faultsOf,
  summaryOf,
  verdictsOf,
} from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** "Bad input" of the issue that shows only when it is run, and the stack in the foreground that runs all of it. */

let scene: Scene;
let target: Target;
let untouched: string;

beforeAll(async () => {
  scene = await openScene("unfit");
  target = scene.target;
  target.patch("gain");
  untouched = fingerprint(target.dir);
});
afterAll(async () => {
  expect(await scene.close()).toBe(130);
});

const cli = (...args: string[]) => scene.cli(...args);
const quest = (overrides: Record<string, unknown>): string =>
  writeQuest(scene.place, { fixers: [{ patch: "fixes/gain.patch" }], ...overrides });

/** A command of a quest that runs on until it is ended. */
const forEver = "sleep 600; echo METRIC steps=1";

describe("what cannot be judged ends as unfit, with the reason, exit 1", () => {
  const noisy = "awk 'BEGIN { srand(); }' ; echo METRIC steps=$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')1";
  test.each<[string, string, Record<string, unknown>]>([
    ["the bench exits non-zero", "BENCH_FAILED", { measure: { command: "echo no data; exit 3" } }],
    ["the bench prints no metric", "METRIC_MISSING", { measure: { command: "echo METRIC other=1" } }],
    ["the bench prints NaN", "METRIC_NOT_A_NUMBER", { measure: { command: "echo METRIC steps=NaN" } }],
    ["the bench hangs", "BENCH_TIMEOUT", { measure: { command: forEver, timeout: "300ms" } }],
    ["the bench is only noise", "BENCH_TOO_NOISY", { measure: { command: noisy }, guards: [] }],
    ["the suite fails on the base", "SUITE_FAILED", { tests: { command: "echo not ok 1; exit 1" } }],
    ["the suite hangs", "SUITE_TIMEOUT", { tests: { command: forEver, timeout: "300ms" } }],
    ["prepare fails", "PREPARE_FAILED", { target: { prepare: "echo no network; exit 1" } }],
  ])("%s: %s", async (_, code, overrides) => {
    const run = await cli("run", quest(overrides), "--json");
    expectFault(run, code, 1);
    expect(faultsOf(run)[0]?.where).toMatch(/quest\.json:\d+:\d+$/);
    const summary = summaryOf(run);
    expect(summary).toMatchObject({
      status: "unfit",
      verdict: "ENV_UNFIT",
      accepted: null,
      escalation: null,
    });
    expect(verdictsOf(summary)).toEqual(["ENV_UNFIT"]);
    expect(fingerprint(target.dir)).toBe(untouched);
    const ours = processesOf(scene.place.dir).filter(({ command }) => command.includes("sleep 600"));
    expect(ours).toEqual([]);
  });
});

test("a suite that fails and prints nothing is told with its exit code", async () => {
  const run = await cli("run", quest({ tests: { command: "exit 7" } }));
  expect(run.stderr).toMatch(/error SUITE_FAILED .*: no output, exit code 7\n/);
  const { stdout } = await cli("status");
  expect(stdout).toContain("✗ 1 baseline");
  expect(stdout).toMatch(/\nSUITE_FAILED at \S+: .*exit code 7\n {2}next: \S/);
});

test("a red suite is told before anything is measured, with its place in the quest file", async () => {
  const run = await cli("run", quest({ tests: { command: "echo not ok 1; exit 1" } }));
  expectClearError(run, "SUITE_FAILED", 1);
  expect(run.stderr).toMatch(
    /error SUITE_FAILED at \S*quest\.json:\d+:\d+: the suite fails on the base itself/,
  );
  expect(run.stderr).not.toMatch(/performance|stage 2/);
});

describe("a goal below what the budget can show", () => {
  // 15 % of noise, so that even eight lucky runs do not show 3 %, on top of the bench's own.
  const noise = `awk -v seed="$(od -An -N2 -tu2 /dev/urandom)" '
    BEGIN { srand(seed); factor = exp(0.3 * (rand() + rand() + rand() - 1.5)) }
    /^METRIC steps/ { split($2, part, "="); printf "METRIC steps=%.4f\\n", part[2] * factor; next }
    { print }'`;
  const measure = { command: `sh bench.sh | ${noise}` };
  const small = () => quest({ measure, goal: { improveBy: "3%" } });

  test("is refused, with the figure and what would help", async () => {
    const run = await cli("run", small());
    expectClearError(run, "BENCH_TOO_NOISY", 1);
    expect(run.stderr).toMatch(/with 60 pairs this bench can show no gain below [\d.]+ %; the goal is 3 %/);
    expect(run.stderr).toMatch(
      /next: (make the bench about 1?\d times longer|this bench cannot show it: ).*, or ask for [\d.]+ %/,
    );
  });

  test("is raised to that where the operator says so", async () => {
    const judged = { intent: "validate", target: { candidate: "fixes/gain.patch" }, fixers: [] };
    const file = quest({ measure, goal: { improveBy: "3%" }, ...judged });
    const run = await cli("run", file, "--accept-detectable");
    expect(run.exit, run.stderr).toBe(0);
    expect(run.stderr).toMatch(
      /the budget can show ([\d.]+) %, which is the goal now \([\d.]+ %\), about 60 pairs/,
    );
    expect(run.stderr).toMatch(
      /ACCEPT: [3-6]\d(\.\d)? % better \(steps\).*at or above the goal of (?!3 %)[\d.]+ %/,
    );
  });

  test("there is none to raise", async () => {
    const run = await cli(
      "run",
      quest({ intent: "improve", goal: { improveBy: undefined } }),
      "--accept-detectable",
    );
    expectClearError(run, "USAGE", 2);
  });
});

describe("a candidate that fails is put back; it waits for an arbiter, exit 7", () => {
  test("a bench that crashes, hungry memory, a broken test", async () => {
    const fixers = (["crash", "hungry", "breaks-test"] as const).map((name) => ({
      patch: target.patch(name),
    }));
    const run = await cli("run", writeQuest(scene.place, { fixers }), "--json");
    expect(run.exit, run.stderr).toBe(7);
    expect(verdictsOf(summaryOf(run))).toEqual(["CRASH", "GUARD_REGRESSION", "TESTS_FAILED"]);
    expectNoTrace(run);
    expect(fingerprint(target.dir)).toBe(untouched);
  });
});

describe("fixers that are commands", () => {
  const run = (commands: string[]) =>
    cli(
      "run",
      writeQuest(scene.place, { fixers: commands.map((command) => ({ command, timeout: "500ms" })) }),
      "--json",
    );

  test("one fails, one changes nothing, one writes what it may not", async () => {
    const done = await run(["echo cannot >&2; exit 4", "true", "echo >> bench.sh; echo >> src/new.awk"]);
    expect(done.exit, done.stderr).toBe(7);
    const summary = summaryOf(done);
    expect(verdictsOf(summary)).toEqual([
      "CRASH",
      expect.stringMatching(/NO_EFFECT|CRASH/),
      "HACK_SUSPECTED",
    ]);
    expect(done.stderr).toContain("exit code 4: cannot");
    expect(done.stderr).toContain("FIXER_FAILED");
    expect(done.stderr).toMatch(/changed nothing|changes nothing/);
    expect(done.stderr).toMatch(/bench\.sh/);
    expectNoTrace(done);
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("one makes a symbolic link, one hangs, one reads its brief and edits the worktree", async () => {
    const knows = `grep -q '"pass": 3' "$QUESTBUS_BRIEF" && grep -q FIXER_TIMEOUT "$QUESTBUS_BRIEF"`;
    const done = await run([
      "ln -s /etc/passwd src/link",
      "sleep 600",
      `${knows} && git apply "$QUESTBUS_QUEST_DIR/fixes/gain.patch"`,
    ]);
    expect(done.exit, done.stderr).toBe(0);
    expect(verdictsOf(summaryOf(done))).toEqual(["CRASH", "CRASH", "ACCEPT"]);
    expect(done.stderr).toContain("PATH_FORBIDDEN");
    expect(done.stderr).toContain("FIXER_TIMEOUT");
    expect(processesOf(scene.place.dir).filter(({ command }) => command.includes("sleep 600"))).toEqual([]);
  });
});

describe("one orchestrator a state directory", () => {
  test("a second `up` is refused: STATE_LOCKED, exit 5, and the first goes on", async () => {
    expectClearError(await cli("up"), "STATE_LOCKED", 5);
    const agents = await cli("agents", "--json");
    const answer = JSON.parse(agents.stdout) as { running: boolean; agents: { role: string }[] };
    expect(answer.running).toBe(true);
    expect(answer.agents.map(({ role }) => role).sort()).toEqual(["architect", "ops", "performance", "qa"]);
  });

  test("the quests so far are all there, and the audit trail holds", async () => {
    const list = JSON.parse((await cli("list", "--json")).stdout) as { status: string }[];
    const counted = Object.groupBy(list, ({ status }) => status);
    expect(Object.fromEntries(Object.entries(counted).map(([status, all]) => [status, all?.length]))).toEqual(
      {
        unfit: 11,
        escalated: 2,
        accepted: 2,
      },
    );
    expect((await cli("audit", "verify")).exit).toBe(0);
    expect((await cli("audit", "replay")).exit).toBe(0);
  });
});
