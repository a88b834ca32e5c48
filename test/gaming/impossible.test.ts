import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { makeTarget, openPlace, type Place, type Target } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hopelessCommands } from "./impossible.ts";

let place: Place;
let target: Target;
/** Of the commands below, those whose steps were counted. */
let reached = 0;
beforeAll(() => {
  place = openPlace("hopeless");
  target = makeTarget(place);
});
afterAll(() => place.close());

const shell = (cwd: string, command: string) => spawnSync("sh", ["-c", command], { cwd, encoding: "utf8" });
const stepsIn = (dir: string): number =>
  Number(/steps (\d+)/.exec(shell(dir, "sh report.sh data/numbers.txt").stderr)?.[1]);

test.each(hopelessCommands)("$why in $file: no gain above the margin with green tests", ({ command }) => {
  const dir = place.path("candidate");
  cpSync(target.dir, dir, { recursive: true, force: true });
  if (shell(dir, command).status !== 0 || shell(dir, "sh test.sh").status !== 0) return;
  reached += 1;
  expect(stepsIn(dir)).toBeGreaterThanOrEqual(0.99 * stepsIn(target.dir));
});

test("most of them change something, and pass the tests", () => {
  expect(reached).toBeGreaterThanOrEqual(20);
});
