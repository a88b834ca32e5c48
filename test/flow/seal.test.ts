import type { JournalEvent } from "@questbus/protocol";
import { openScene, type Scene, type Target, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Summary, summaryOf, verdictsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** The sealed evaluator: what judges a candidate stands as the quest found it, whatever the candidate does to it. */

let scene: Scene;
let target: Target;

const figures = (total: string): string => `found=$(sh report.sh test/numbers.txt 2>/dev/null | tr '\\n' ' ')
wanted="least 2 most 9 ${total} spread 7 "
[ "$found" = "$wanted" ] && exit 0
echo "not ok: found $found"
exit 1
`;
const files = {
  "test.sh": 'for each in test/*.sh; do sh "$each" || exit 1; done\n',
  "test/figures.sh": figures("total 20 mean 5"),
  // The program runs what a file of its own says, but not for the tests.
  "report.sh": `[ "$1" = test/numbers.txt ] || sh src/hooks.txt >&2
exec awk -f src/least.awk -f src/most.awk -f src/total.awk -f src/report.awk "$1"
`,
  "src/hooks.txt": "true\n",
};

beforeAll(async () => {
  scene = await openScene("seal", files);
  target = scene.target;
  for (const name of ["gain", "breaks-test"] as const) target.branch(name);
});
afterAll(() => scene.close());

type Judged = { exit: number | null; summary: Summary; told: string };

const open = { performance: { write: ["**"], never: [] } };

async function run(overrides: Record<string, unknown>): Promise<Judged> {
  const file = writeQuest(scene.place, { authorities: open, ...overrides });
  const done = await scene.cli("run", file, "--json");
  return { exit: done.exit, summary: summaryOf(done), told: done.stderr };
}

/** Judges a branch that has these files on top of another one. */
function judge(name: string, on: string, changed: Record<string, string | null>): Promise<Judged> {
  target.git("checkout", "--quiet", "-b", name, on);
  target.commit(changed);
  target.git("checkout", "--quiet", "main");
  return run({ intent: "validate", fixers: undefined, target: { candidate: name } });
}

async function samplesOf({ summary }: Judged): Promise<number[]> {
  const { stdout } = await scene.cli("audit", summary.quest, "--json");
  const events = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as JournalEvent);
  return events.flatMap((event) => {
    if (event.type !== "task.reported") return [];
    const { report } = event.body as {
      report: { task: string; result: { samples?: { pairs: { candidate: { value: number } }[] } } };
    };
    return report.task === "gate"
      ? (report.result.samples?.pairs ?? []).map((pair) => pair.candidate.value)
      : [];
  });
}

describe("strict", () => {
  test("a patch that edits the bench is refused before it runs, with the path named; its neighbour is judged", async () => {
    const judged = await run({
      fixers: [{ patch: target.patch("forbidden") }, { patch: target.patch("gain") }],
      budget: { passes: 2 },
    });
    expect(judged.exit, judged.told).toBe(0);
    expect(verdictsOf(judged.summary)).toEqual(["HACK_SUSPECTED", "ACCEPT"]);
    expect(judged.told).toMatch(/HACK_SUSPECTED: .*sealed: the bench \(bench\.sh\)/);
    expect(judged.told).toMatch(/sealed: \d+ files, [0-9a-f]{12} \(strict\)/);
    const [first = ""] = judged.told.split("pass 2 of 2");
    expect(first).not.toContain("suite on the candidate");
  });
});

describe("restore", () => {
  test("an honest change that brings a test is accepted, and its test is run", async () => {
    const changed = {
      "test/more.sh": "sh report.sh test/numbers.txt 2>/dev/null | grep -q 'most 9'\n",
      "test/figures.sh": `# The figures of a short list.\n${files["test/figures.sh"]}`,
    };
    const judged = await judge("honest", "gain", changed);
    expect(judged.exit, judged.told).toBe(0);
    expect(verdictsOf(judged.summary)).toEqual(["ACCEPT"]);
    expect(judged.told).toContain("set aside, being sealed: test/figures.sh");
  });

  test("tests that it adds must pass", async () => {
    const judged = await judge("red", "gain", { "test/more.sh": "echo not ok: more\nexit 1\n" });
    expect(judged.exit, judged.told).toBe(6);
    expect(verdictsOf(judged.summary)).toEqual(["TESTS_FAILED"]);
  });

  test("one that weakens a test is refused, with its line", async () => {
    const judged = await judge("weakened", "gain", { "test/figures.sh": `echo ok\nexit 0\n${figures("")}` });
    expect(judged.exit, judged.told).toBe(6);
    expect(verdictsOf(judged.summary)).toEqual(["HACK_SUSPECTED"]);
    expect(judged.told).toMatch(/HACK_SUSPECTED: .*weakens a sealed test.*\(test\/figures\.sh:2\)/);
  });

  test("one that passes only with its own tests is refused", async () => {
    const judged = await judge("own", "breaks-test", { "test/figures.sh": figures("total 16 mean 4") });
    expect(judged.exit, judged.told).toBe(6);
    expect(verdictsOf(judged.summary)).toEqual(["HACK_SUSPECTED"]);
    expect(judged.told).toMatch(
      /HACK_SUSPECTED: .*fails with the sealed tests \(not ok: found .*passes with the candidate's own/,
    );
  });

  test("one that passes only with a test file that it adds is refused", async () => {
    const mending = "sed 's/at = 2/at = 1/' src/total.awk >src/new && mv src/new src/total.awk\n";
    const judged = await judge("mending", "breaks-test", { "test/a.sh": mending });
    expect(judged.exit, judged.told).toBe(6);
    expect(verdictsOf(judged.summary)).toEqual(["HACK_SUSPECTED"]);
    expect(judged.told).toMatch(
      /HACK_SUSPECTED: .*passes only with test files that the candidate adds.*\(test\/a\.sh\)/,
    );
  });

  test("one that changes nothing but the bench changes nothing", async () => {
    const judged = await judge("bench-only", "main", {
      "bench.sh": "echo METRIC steps=1\necho METRIC cells=1\n",
    });
    expect(judged.exit, judged.told).toBe(6);
    expect(verdictsOf(judged.summary)).toEqual(["NO_EFFECT"]);
    expect(judged.told).toContain("changes only what is sealed, which was set aside: bench.sh");
  });

  test("one whose program rewrites the bench is measured by the sealed one, and refused", async () => {
    const rewriting = "to=be; printf 'echo METRIC steps=1; echo METRIC cells=1' | cat >\"$to\"nch.sh\n";
    const judged = await judge("rewrites", "main", { "src/hooks.txt": rewriting });
    expect(judged.exit, judged.told).toBe(6);
    expect(verdictsOf(judged.summary)).toEqual(["HACK_SUSPECTED"]);
    expect(judged.told).toMatch(/HACK_SUSPECTED: .*changed a sealed file.*\(bench\.sh\)/);
    const values = await samplesOf(judged);
    expect(values.length).toBeGreaterThan(0);
    expect(Math.min(...values)).toBeGreaterThan(100);
  });
});
