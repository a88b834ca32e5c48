import { existsSync, readdirSync, readFileSync } from "node:fs";
import {
  makeTarget,
  openPlace,
  type Place,
  questbus,
  startQuestbus,
  type Target,
  until,
  writeQuest,
} from "@questbus/testkit";
import { startTimeOf } from "@questbus/workbench";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 120_000 });

let place: Place;
let target: Target;

beforeEach(() => {
  place = openPlace("calibrate");
  target = makeTarget(place);
  target.patch("gain");
});
afterEach(() => place.close());

const calibrate = (measure: Record<string, unknown>, ...more: string[]) => {
  const file = writeQuest(place, { fixers: [{ patch: "fixes/gain.patch" }], measure, guards: [] });
  return questbus(place, ["calibrate", file, "--state", "state", "--pairs", "6", ...more]);
};

test("a bench that minds where it stands: the bias is shown, and the margin that it asks for", async () => {
  const before = target.stand();
  const command = "sh bench.sh >/dev/null && echo METRIC steps=$((10000 + $(pwd | wc -c)))";
  const run = await calibrate({ command }, "--json");
  expect(run.stderr).toMatch(/^measuring .*twice 6 pairs, in two places\n$/);
  expect(run.exit).toBe(0);
  const found = JSON.parse(run.stdout);
  expect(found).toMatchObject({ noise: 0, biasShown: true, pairs: 6, same: { estimate: 0 } });
  expect(found.moved.estimate).toBeLessThan(-0.01);
  expect(found.margin.quest).toBe(0.01);
  expect(found.margin.needed).toBeGreaterThanOrEqual(found.biasUpTo);
  expect(target.stand()).toBe(before);
  expect(readdirSync(place.path("state"))).toEqual([".gitignore"]);
});

test("a bench that minds only the size of its environment is seen as well, in words", async () => {
  const command = "echo METRIC steps=$((100000 + $" + "{#QUESTBUS_PADDING}))";
  const run = await calibrate({ command });
  expect(run.exit).toBe(0);
  expect(run.stdout).toContain("A/A, the same place        0 % better (steps) (95 % interval 0 % to 0 %)");
  expect(run.stdout).toContain("A/A′, rebuilt and moved    4 % worse (steps)");
  expect(run.stdout).toContain(
    "write margin: 4%, because place and build alone move this bench by up to 4 %",
  );
});

test("one that is killed ends what it runs, and the next one removes what it laid out", async () => {
  const ran = place.path("ran");
  const hold = { command: `echo $$ > ${ran}; exec sleep 600` };
  const file = writeQuest(place, { fixers: [{ patch: "fixes/gain.patch" }], measure: hold, guards: [] });
  const running = startQuestbus(place, ["calibrate", file, "--state", "state"]);
  const pid = await until("the bench to run", () => existsSync(ran) && Number(readFileSync(ran, "utf8")));
  running.signal("SIGKILL");
  await running.ended;
  await until("the bench to have ended", () => startTimeOf(pid) === null);
  expect((await calibrate({ command: "false" })).exit).toBe(1);
  expect(readdirSync(place.path("state"))).toEqual([".gitignore"]);
});

test("where the same place twice differs, nothing is said of a bias, and what to do is", async () => {
  // The second arm of A/A runs while the first is parked beside it: a stand-in for a machine that got busy with it.
  const command = "[ -d ../base ] && echo METRIC steps=1100 || echo METRIC steps=1000";
  const run = await calibrate({ command });
  expect(run.exit, run.stderr).toBe(0);
  expect(run.stdout).toContain("A/A, the same place        10 % worse (steps) (95 % interval");
  expect(run.stdout).not.toContain("no bias is shown");
  expect(run.stdout).toMatch(
    /^margin +nothing can be said of the bias: .*the machine was not steady.*: --pairs 12$/m,
  );
  const { steady, biasShown, margin } = JSON.parse((await calibrate({ command }, "--json")).stdout);
  expect({ steady, biasShown, margin }).toEqual({
    steady: false,
    biasShown: false,
    margin: { quest: 0.01, needed: null },
  });
});

test("a bench that cannot be measured is a plain error, and leaves nothing", async () => {
  const run = await calibrate({ command: "echo METRIC steps=0" });
  expect(run.exit).not.toBe(0);
  expect(run.stderr).toMatch(/error METRIC_NOT_A_NUMBER at \S*quest\.json:\d+:\d+: steps: it is 0/);
  expect(readdirSync(place.path("state"))).toEqual([".gitignore"]);
});
