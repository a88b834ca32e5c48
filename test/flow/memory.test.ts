import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { EventBody, JournalEvent } from "@questbus/protocol";
import { makeTarget, openPlace, type Place, questbus, type Target, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Must show: the second quest on a repository is given what the first learned, and what comes of it counts. */

type Shown = {
  memory: string;
  kind: string;
  text: string;
  uses: number;
  successes: number;
  standing: number;
};
type Known = { memories: { memory: string; text: string }[]; context: { path: string; sha256: string }[] };

let place: Place;
let target: Target;
let quests: string[];
let learned: Shown[];
let known: Known;

const cli = (...args: string[]) => questbus(place, [...args, "--state", "state"]);
const search = async (...words: string[]): Promise<Shown[]> =>
  JSON.parse((await cli("memory", "search", ...words, "--json")).stdout);

beforeAll(async () => {
  place = openPlace("memory");
  target = makeTarget(place, { "AGENTS.md": "Keep the figures as they are.\n" });
  const gain = target.patch("gain");
  const fixers = [{ patch: target.patch("breaks-test") }, { patch: gain }];
  const first = await cli("run", writeQuest(place, { fixers }), "--json");
  learned = await search();
  const command = `cp "$QUESTBUS_BRIEF" "$QUESTBUS_QUEST_DIR/brief.json" && git apply "$QUESTBUS_QUEST_DIR/${gain}"`;
  const again = { title: "Even fewer steps", fixers: [{ command }], budget: { passes: 1 } };
  const second = await cli("run", writeQuest(place, again), "--json");
  expect([first.exit, second.exit], first.stderr + second.stderr).toEqual([0, 0]);
  quests = [first, second].map((each) => summaryOf(each).quest);
  known = JSON.parse(readFileSync(place.path("brief.json"), "utf8"));
});
afterAll(() => place.close());

describe("two quests on one repository", () => {
  test("the first leaves what it learned: the candidate that failed, and the one that gained", () => {
    expect(learned).toMatchObject([
      {
        kind: "optimization",
        text: expect.stringMatching(/^fixes\/gain\.patch for steps: ACCEPT\. \d+.* better/),
      },
      { kind: "error", text: expect.stringContaining("fixes/breaks-test.patch for steps: TESTS_FAILED.") },
    ]);
    expect(learned.map(({ uses }) => uses)).toEqual([0, 0]);
  });

  test("the second's brief brings it, and the project's documents", () => {
    expect(known.memories.map(({ memory }) => memory).sort()).toEqual(
      learned.map(({ memory }) => memory).sort(),
    );
    const sha256 = createHash("sha256").update("Keep the figures as they are.\n").digest("hex");
    expect(known.context).toMatchObject([{ path: "AGENTS.md", sha256 }]);
  });

  test("what each assignment was given is in the journal, and fits the brief and the repository", async () => {
    const { stdout } = await cli("audit", quests[1] ?? "", "--json");
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as JournalEvent);
    const given = rows.flatMap(({ type, body }) =>
      type === "context.given" ? [body as EventBody["context.given"]] : [],
    );
    expect(given.map(({ assignment }) => assignment.split(".")[1]).sort()).toEqual([
      "architect",
      "ops",
      "performance",
      "qa",
    ]);
    const commit = target.git("rev-parse", "main");
    for (const each of given) {
      expect(each).toMatchObject({
        pass: 1,
        commit,
        files: known.context.map(({ path, sha256 }) => ({ path, sha256 })),
      });
      expect([...each.memories].sort()).toEqual(learned.map(({ memory }) => memory).sort());
    }
  });

  test("its outcome has raised what was given; a replay of the journal gives the same", async () => {
    const after = await search();
    for (const { memory, standing } of learned) {
      const now = after.find((each) => each.memory === memory);
      expect(now).toMatchObject({ uses: 1, successes: 1 });
      expect(now?.standing).toBeGreaterThan(2 * standing);
    }
    expect((await cli("audit", "replay")).exit).toBe(0);
  });

  test("an operator adds one, finds it by its words, and forgets it", async () => {
    const text = 'Say "why" in the commit -- always';
    const added = await cli(
      "memory",
      "add",
      text,
      "--kind",
      "project",
      "--repo",
      "target",
      "--tag",
      "commits",
      "--json",
    );
    const { memory } = JSON.parse(added.stdout);
    expect(await search('"commit', "OR")).toMatchObject([
      { memory, text, by: "operator/operator", project: target.dir },
    ]);
    expect((await cli("memory", "show", memory)).stdout).toContain("not tried yet");
    expect((await cli("memory", "forget", memory)).exit).toBe(0);
    expect(await search("commit")).toEqual([]);
    const gone = await cli("memory", "show", memory);
    expect([gone.exit, gone.stderr]).toEqual([3, expect.stringContaining("MEMORY_NOT_FOUND")]);
  });
});
