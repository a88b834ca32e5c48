import { readFileSync } from "node:fs";
import { type Finished, openScene, type Scene, watchJournal, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { expectNoTrace, faultsOf, type Summary, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** A program with a pool: 24 is its best size, more than 56 it cannot take, and a mode does nothing. */
const bench = `set -e
. ./src/pool.env
[ "$POOL" -le 56 ] || { echo "pool: too large"; exit 1; }
od -An -N8 -tu4 /dev/urandom | awk -v pool="$POOL" '{
  gauss = sqrt(-2 * log(($1 + 1) / 4294967297)) * cos(6.283185307 * $2 / 4294967296)
  away = pool > 24 ? pool - 24 : 24 - pool
  printf "METRIC steps=%.4f\\nMETRIC cells=7\\n", (400 + 10 * away) * exp(0.003 * gauss)
}'
`;
const poolEnv = "# connections\nPOOL=4 # one a core\n";
const mode = '{\n  "mode": "plain",\n  "list": [1, 2]\n}\n';

const pool = { name: "pool", from: 1, to: 64, integer: true, env: { file: "src/pool.env", key: "POOL" } };
const modes = { name: "mode", values: ["plain", "fancy"], json: { file: "src/mode.json", pointer: "/mode" } };

let scene: Scene;
beforeAll(async () => {
  scene = await openScene("knobs", { "bench.sh": bench, "src/pool.env": poolEnv, "src/mode.json": mode });
});
afterAll(() => scene.close());

/** Runs a quest whose only fixer searches these parameters. */
const search = (parameters: unknown[], more: object = {}): Promise<Finished> =>
  scene.cli(
    "run",
    writeQuest(scene.place, { fixers: [{ knobs: { parameters, seed: 7 } }], ...more }),
    "--json",
  );

describe("a quest whose only fixer searches parameters", () => {
  let summary: Summary;
  let text: string;

  beforeAll(async () => {
    const run = await search([pool, modes]);
    summary = summaryOf(run);
    text = run.stderr;
  });

  test("finds the setting that is really better, and it is accepted; the diff shows the setting alone", () => {
    expect(summary, text).toMatchObject({ status: "accepted", verdict: "ACCEPT" });
    const { branch = "" } = summary.accepted ?? {};
    const found = scene.target.git("show", `${branch}:src/pool.env`);
    const [, size] = /^# connections\nPOOL=(\d+) # one a core$/.exec(found) ?? [];
    expect(Math.abs(Number(size) - 24), found).toBeLessThanOrEqual(8);
    expect(scene.target.git("show", `${branch}:src/mode.json`).replace("fancy", "plain")).toBe(mode.trim());
    expect(text).toMatch(
      /candidate [0-9a-f]{12} from knobs pool, mode: .*; 16 settings in \d+ runs, \d+ failed; best pool=/,
    );
  });

  test("what was tried is evidence: every setting with its values, and why it failed", () => {
    const journal = watchJournal(scene.place.path("state"));
    const report = journal.of("task.reported").find(({ body }) => body.report.task === "produce");
    journal.close();
    const ref = report?.body.report.artifacts.find(({ kind }) => kind === "trials");
    const hash = ref?.sha256 ?? "";
    const file = scene.place.path("state", "artifacts", hash.slice(0, 2), hash.slice(2));
    const { trials, best } = JSON.parse(readFileSync(file, "utf8"));
    expect(trials).toHaveLength(17);
    expect(trials[0].setting).toBeNull();
    expect(trials[best].values.length).toBeGreaterThanOrEqual(4);
    const crashed = trials.filter((each: { failure: string | null }) => each.failure);
    for (const each of crashed) {
      expect(each.setting.pool).toBeGreaterThan(56);
      expect(each.failure).toContain("BENCH_FAILED");
    }
    expect(crashed.length).toBeGreaterThan(0);
  });
});

test("a later pass searches on among what was not judged yet, until nothing is left", async () => {
  const sizes = { ...pool, from: undefined, to: undefined, integer: undefined, values: [4, 24, 30] };
  // The suite wants a small pool, so that whatever is faster is refused.
  const tests = { command: '. ./src/pool.env; [ "$POOL" -le 20 ]' };
  const run = await search([sizes], { tests });
  expect(run.exit, run.stderr).toBe(7);
  expect(summaryOf(run).passes.map(({ verdict }) => verdict)).toEqual([
    "TESTS_FAILED",
    "TESTS_FAILED",
    "NO_EFFECT",
  ]);
  const said = [...run.stderr.matchAll(/(best pool=\d+|every setting was tried before)/g)].map(
    ([text]) => text,
  );
  expect([...new Set(said)]).toEqual(["best pool=24", "best pool=30", "every setting was tried before"]);
});

test("places that are not there, or may not be written, are refused with their line before anything runs", async () => {
  const parameters = [
    { ...pool, env: { file: "src/none.env", key: "POOL" } },
    { ...modes, json: { file: "test/mode.json", pointer: "/mode" } },
  ];
  const run = await search(parameters);
  expect(run.exit).toBe(2);
  expectNoTrace(run);
  expect(faultsOf(run)).toMatchObject([
    { code: "KNOB_PLACE_MISSING", where: expect.stringMatching(/quest\.json:\d+:\d+$/) },
    { code: "PATH_FORBIDDEN", where: expect.stringMatching(/quest\.json:\d+:\d+$/) },
  ]);
});
