import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fingerprint, openScene, type Scene, type Target, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { expectClearError, expectFault, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Monitoring: what a change gained is looked at again, after it was accepted. */

let scene: Scene;
let target: Target;
let quest: string;
let base: string;
let accepted: string;

type Answer = {
  quest: string | null;
  outcome: string;
  effect: { estimate: number; low: number } | null;
  followUp: { quest: string | null; file: string | null; patch: string | null } | null;
};

const cli = (...args: string[]) => scene.cli(...args, "--json");
async function recheck(exit: number, ...args: string[]): Promise<Answer> {
  const done = await cli("recheck", ...args);
  expect(done.exit, done.stderr).toBe(exit);
  return JSON.parse(done.stdout) as Answer;
}

beforeAll(async () => {
  scene = await openScene("recheck");
  target = scene.target;
  base = target.git("rev-parse", "HEAD");
  const file = writeQuest(scene.place, { fixers: [{ patch: target.patch("gain") }], budget: { passes: 1 } });
  const run = await cli("run", file);
  expect(run.exit, run.stderr).toBe(0);
  quest = summaryOf(run).quest;
  accepted = summaryOf(run).accepted?.commit ?? "";
});
afterAll(() => scene.close());

test("what was never merged was not lost: that is said before anything is measured", async () => {
  const untouched = fingerprint(target.dir);
  const run = await scene.cli("recheck", quest);
  expectClearError(run, "NOT_MERGED", 5);
  expect(run.stderr).toContain(`next: git merge questbus/${quest}, then recheck again`);
  expect(JSON.parse((await cli("list")).stdout)).toHaveLength(1);
  expect(fingerprint(target.dir)).toBe(untouched);
});

test("the very files that were accepted need no run", async () => {
  target.git("merge", "--quiet", "--ff-only", `questbus/${quest}`);
  expect(await recheck(0, quest)).toMatchObject({ outcome: "fine", quest: null });
});

test("a later commit that lost nothing is fine", async () => {
  target.commit({ "README.md": "# More about numbers\n", "test/more.txt": "1\n" });
  const untouched = fingerprint(target.dir);
  const done = await cli("recheck", quest);
  expect(done.exit, done.stderr).toBe(0);
  const found = JSON.parse(done.stdout) as Answer;
  expect(found).toMatchObject({ outcome: "fine", followUp: null, quest: expect.stringMatching(/^q-/) });
  expect(done.stderr.match(/the suite is not run in a recheck/g)).toHaveLength(3);
  expect(fingerprint(target.dir)).toBe(untouched);
});

test("a regression is proven with its figure, exit 6, and the way to regain it is laid out", async () => {
  // The target has moved on meanwhile: other output, with its tests, and a bench that prints what was computed.
  target.git("checkout", "--quiet", base, "--", "src");
  const read = (path: string): string => readFileSync(join(target.dir, path), "utf8");
  target.commit({
    "src/report.awk": read("src/report.awk").replace("END {", 'END {\n  print "count " count'),
    "test.sh": read("test.sh").replace("least 2", "count 4 least 2"),
    "bench.sh": `${read("bench.sh")}echo "DIGEST $(sh report.sh data/numbers.txt 2>/dev/null | cksum)"\n`,
  });
  const untouched = fingerprint(target.dir);
  const found = await recheck(6, quest);
  expect(found.outcome).toBe("regressed");
  expect(found.effect?.estimate).toBeCloseTo(0.5, 1);
  expect(fingerprint(target.dir)).toBe(untouched);
  const { file = null, patch = null } = found.followUp ?? {};
  expect(JSON.parse(readFileSync(file ?? "", "utf8"))).toMatchObject({
    intent: "optimize",
    goal: { improveBy: expect.stringMatching(/^(4\d|5[01])(\.\d)?%$/) },
    fixers: [{ patch: "regain.patch" }],
  });
  expectFault(await cli("run", file ?? ""), "PATCH_MISSING", 2);
  const lost = ["src/least.awk", "src/most.awk", "src/total.awk"];
  writeFileSync(patch ?? "", `${target.git("diff", "HEAD", accepted, "--", ...lost)}\n`);
  const regained = await cli("run", file ?? "");
  expect(regained.exit, regained.stderr).toBe(0);
});

test("the journal has every recheck, and the quest's monitoring stage says what they found", async () => {
  const status = summaryOf(await cli("status", quest));
  expect(status.stage).toBe("monitoring");
  expect(status.stages.at(-1)?.produced).toEqual([
    expect.stringMatching(/^q-.*no regression of HEAD/),
    expect.stringMatching(/^q-.*has regressed: the accepted commit is .* better/),
    expect.stringContaining(`questbus recheck ${quest}`),
  ]);
  expect((await cli("audit", "verify")).exit).toBe(0);
});

test("a commit that validate accepted is rechecked as well", async () => {
  target.git("checkout", "--quiet", "-b", "later", base);
  target.branch("gain");
  const file = writeQuest(
    scene.place,
    { intent: "validate", fixers: undefined, target: { ref: base, candidate: "gain" } },
    "validate.json",
  );
  const run = await cli("run", file);
  expect(run.exit, run.stderr).toBe(0);
  const validated = summaryOf(run).quest;
  const unmerged = await scene.cli("recheck", validated, "--ref", "later");
  expectClearError(unmerged, "NOT_MERGED", 5);
  expect(unmerged.stderr).toContain("next: git merge gain, then");
  target.git("merge", "--quiet", "--no-ff", "gain");
  target.git("revert", "--mainline", "1", "--no-edit", "HEAD");
  expect((await recheck(6, validated, "--ref", "later")).outcome).toBe("regressed");
  expect(summaryOf(await cli("status", validated)).stage).toBe("monitoring");
});

test("list and status say of a recheck what it found, and not that it was accepted", async () => {
  const { stdout } = await scene.cli("list");
  expect(stdout).toMatch(/^quest +intent +status +changed +title$/m);
  const words = stdout.split("\n").map((line) => line.split(/ {2,}/));
  expect(words.filter(([, intent]) => intent === "recheck").map(([, , status]) => status)).toEqual([
    "regressed",
    "regressed",
    "no regression",
  ]);
  expect(words.find(([id]) => id === quest)?.slice(1, 3)).toEqual(["optimize", "accepted"]);
  const [watch = ""] = words.find(([, intent]) => intent === "recheck") ?? [];
  expect((await scene.cli("status", watch)).stdout).toMatch(
    /^recheck of q-.*: regressed \(later \(.*\) has/m,
  );
});

test("what cannot be rechecked is said plainly", async () => {
  const run = (...args: string[]) => scene.cli("recheck", ...args);
  expectClearError(await run("q-00000000"), "QUEST_NOT_FOUND", 3);
  const listed = JSON.parse((await cli("list")).stdout) as { id: string; intent: string }[];
  const watch = listed.find(({ intent }) => intent === "recheck");
  expectClearError(await run(watch?.id ?? ""), "NOTHING_ACCEPTED", 5);
  expectClearError(await run(quest, "--ref", "v9"), "TARGET_REF_MISSING", 2);
  target.git("checkout", "--quiet", "main");
  target.git("reset", "--quiet", "--hard", base);
  for (const branch of target.git("branch", "--list", "questbus/*", "--format=%(refname:short)").split("\n"))
    target.git("branch", "--quiet", "-D", branch);
  target.git("reflog", "expire", "--expire=now", "--all");
  target.git("gc", "--quiet", "--prune=now");
  expectClearError(await run(quest), "TARGET_REF_MISSING", 2);
});
