import { makeTarget, openPlace, type Place, questbus, writeQuest } from "@questbus/testkit";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { summaryOf, verdictsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

let place: Place;
beforeEach(() => {
  place = openPlace("gaming", "preferred");
});
afterEach(() => place.close());

const append = (path: string, text: string) => ({
  command: `printf '%s\\n' '${text}' >> ${path}`,
  timeout: "10s",
});

test("what games its evaluation is refused before anything is measured, with place and advice", async () => {
  const target = makeTarget(place);
  const fixers = [
    append("src/total.awk", 'function quick() { if (ENVIRON["QUESTBUS_SEED"]) exit }'),
    append("src/most.awk", 'function store(x) { print x > "memo.txt" }'),
    append("src/least.awk", 'function answer(f) { return f == "data/numbers.txt" }'),
  ];
  const measure = { command: "sh bench.sh data/numbers.txt" };
  const run = await questbus(place, [
    "run",
    writeQuest(place, { fixers, measure }),
    "--state",
    "state",
    "--json",
  ]);
  const summary = summaryOf(run);
  expect(verdictsOf(summary)).toEqual(["HACK_SUSPECTED", "HACK_SUSPECTED", "HACK_SUSPECTED"]);
  expect(summary.passes.map(({ pairs }) => pairs)).toEqual([0, 0, 0]);
  expect(run.exit).toBe(7);
  expect(target.git("for-each-ref", "--format=%(refname)")).toBe("refs/heads/main");
  const told = run.stderr.replaceAll(/\s+/g, " ");
  expect(told).toContain("src/total.awk:10");
  expect(told).toContain("decide nothing by how or by whom the program is run");
  expect(told).toContain("keep the program ignorant of what judges it");
});

test("another dependency needs the operator's approval", async () => {
  const target = makeTarget(place, { "package.json": '{ "name": "figures" }\n' });
  const manifest = '{ "name": "figures", "dependencies": { "quick": "1.0.0" } }';
  const command = `printf '%s\\n' '${manifest}' > package.json`;
  const quest = (allow: boolean, name: string) =>
    writeQuest(
      place,
      {
        title: name,
        fixers: [{ command, timeout: "10s" }],
        budget: { passes: 1, pairs: 16 },
        authorities: { performance: { write: ["**"], never: [] } },
        ...(allow ? { allow: { dependencies: true } } : {}),
      },
      `${name}.json`,
    );
  const verdicts = async (file: string) =>
    verdictsOf(summaryOf(await questbus(place, ["run", file, "--state", "state", "--json"])));
  expect(await verdicts(quest(false, "refused"))).toEqual(["HACK_SUSPECTED"]);
  expect(["NO_EFFECT", "INCONCLUSIVE"]).toContainEqual((await verdicts(quest(true, "approved")))[0]);
  expect(target.git("status", "--porcelain")).toBe("");
});
