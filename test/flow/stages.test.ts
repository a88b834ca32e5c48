import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeTarget, openPlace, type Place, questbus, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type Summary, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** The first stages of a quest on a Node program whose time goes to one function. */

const node = {
  "package.json": '{ "type": "module" }\n',
  "src/planted.js": `export const quick = (count) => count * 2;

export function planted(count) {
  let sum = 0;
  for (let at = 0; at < count; at++) sum += Math.sin(at) * Math.cos(at);
  return sum;
}
`,
  // The figure is a fixed one with noise: what the machine does meanwhile is nothing to this test.
  "bench.js": `import { planted, quick } from "./src/planted.js";
if (Number.isNaN(planted(3_000_000) + quick(2))) process.exit(1);
console.log(\`METRIC report_ms=\${100 + Math.random()}\`);
`,
};

let place: Place;
const filesBelow = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));

let summary: Summary;
let run: Awaited<ReturnType<typeof questbus>>;

beforeAll(async () => {
  place = openPlace("stages", "preferred");
  makeTarget(place, node);
  writeFileSync(place.path("fixer.sh"), 'cat "$QUESTBUS_BRIEF"\nexit 1\n');
  const file = writeQuest(place, {
    measure: { command: "node bench.js", metric: { name: "report_ms", unit: "ms" } },
    goal: { improveBy: "30%" },
    guards: [],
    fixers: [{ command: 'sh "$QUESTBUS_QUEST_DIR/fixer.sh"' }],
    budget: { passes: 1 },
  });
  run = await questbus(place, ["run", file, "--state", "state", "--json"]);
  summary = summaryOf(run);
});
afterAll(() => place.close());

test("its name, its line and its bound are found, and both stages' evidence is kept", () => {
  expect(run.stderr).toMatch(/hot: planted src\/planted\.js:3 \d+(\.\d)? %/);
  expect(run.stderr.match(/stage \d of 4: \w+/g)).toEqual([
    "stage 1 of 4: baseline",
    "stage 2 of 4: analysis",
    "stage 3 of 4: implementation",
  ]);
  expect(summary.stage).toBe("implementation");
  const [baseline, analysis] = summary.stages;
  expect(baseline?.artifacts.map(({ kind }) => kind)).toContain("profile");
  expect(analysis?.produced.join("\n")).toMatch(
    /the goal needs 30 % of the time gone: planted alone could do it/,
  );
  expect(analysis?.artifacts.map(({ kind }) => kind)).toEqual(["analysis"]);
});

test("the fixer is told", () => {
  // What the fixer prints is evidence.
  const brief = filesBelow(place.path("state/artifacts")).find((text) => text.includes('"guidance"'));
  const { analysis } = JSON.parse(brief ?? "") as { analysis: { hot: { share: number; amdahl: number }[] } };
  const [hottest] = analysis.hot;
  expect(hottest).toMatchObject({ function: "planted", where: "src/planted.js:3", origin: "target" });
  expect(hottest?.share).toBeGreaterThan(0.5);
  expect(hottest?.amdahl).toBeCloseTo(1 / (1 - (hottest?.share ?? 0)), 3);
});

test("status shows the stages, and nothing is left behind", async () => {
  const { stdout } = await questbus(place, ["status", "--state", "state"]);
  expect(stdout).toMatch(
    /✓ 1 baseline\n.*✓ 2 analysis\n\s+hot: planted.*▸ 3 implementation\n.* 4 monitoring/s,
  );
  expect(place.leftInTmp()).toEqual([]);
});
