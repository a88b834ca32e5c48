import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type OpenStage, openStage, play } from "./overstep.ts";
import { attempts, attemptsOf } from "./overstep-attempts.ts";

/** Must show 2 of issue 5: whatever a valid credential tries beyond its own, nothing comes of it, and an operator sees it. */

let stage: OpenStage;
beforeAll(async () => {
  stage = await openStage();
}, 60_000);
afterAll(() => stage?.close(), 60_000);

test("there are enough of them, each with a name of its own", () => {
  expect(new Set(attempts.map(({ name }) => name)).size).toBe(attempts.length);
  expect(attempts.length).toBeGreaterThanOrEqual(25);
});

test("docs/security.md lists each, by what is tried", () => {
  const page = readFileSync(join(import.meta.dirname, "..", "..", "docs", "security.md"), "utf8");
  const listed = [...page.matchAll(/^- \*\*(.+?)\*\*: ([\s\S]+?)\.$/gm)].map(([, what, names = ""]) => [
    what,
    names.replaceAll(/\s+/g, " ").split("; "),
  ]);
  expect(listed).toEqual(
    Object.entries(attemptsOf).map(([what, each]) => [what, each.map(({ name }) => name)]),
  );
});

test.each(attempts)("$name: nothing comes of it, and it is seen", { timeout: 60_000 }, async (attempt) => {
  expect(await play(stage, attempt)).toEqual({ effects: [], isSeen: true });
});

test("after all of them an ask is answered, the quest goes on to acceptance, and the operator is told whose they were", async () => {
  await stage.isServed();
  expect(await stage.agents()).toMatch(/\d+ of qa\/mine.*\d+ without a credential of this stack/);
}, 60_000);
