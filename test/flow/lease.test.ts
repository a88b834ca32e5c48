import {
  makeTarget,
  openPlace,
  type Place,
  questbus,
  startQuestbus,
  until,
  writeQuest,
} from "@questbus/testkit";
import { takeMeasurementLock } from "@questbus/workbench";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** One quest measures on a machine at a time: whoever comes second waits, and says for whom. */
describe("the measurement lease", () => {
  const holder = "q-somebody";
  let place: Place;
  let release: () => Promise<void>;

  beforeAll(async () => {
    place = openPlace("lease");
    makeTarget(place).patch("gain");
    const lock = await takeMeasurementLock(holder, place.env.TMPDIR);
    if (!("release" in lock)) throw new Error("the lease of a fresh place is held");
    release = lock.release;
  });
  afterAll(() => place.close());

  const fixers = [{ patch: "fixes/gain.patch" }];

  test("held until the end of the budget: nothing was measured, and the reason names who held it", async () => {
    const file = writeQuest(place, { fixers, budget: { passes: 1, wallClock: "6s" } }, "short.json");
    const run = await questbus(place, ["run", file, "--state", "short", "--json"]);
    expect(run.exit).toBe(7);
    expect(summaryOf(run).passes).toMatchObject([{ verdict: "INCONCLUSIVE", pairs: 0 }]);
    expect(run.stderr).toContain(`at its end performance waits for the measurement lease, held by ${holder}`);
  });

  test("given back: the quest goes on by itself", async () => {
    const file = writeQuest(place, { fixers });
    const run = startQuestbus(place, ["run", file, "--state", "state", "--json"]);
    await until("the quest to wait", () => run.printed().stderr.includes(`held by ${holder}`));
    const status = await questbus(place, ["status", "--state", "state"]);
    expect(status.stdout).toContain(`base-measure: waits for the measurement lease, held by ${holder}`);
    expect(status.stdout).toMatch(/q-somebody \(\d+ s ago\)/);
    const agents = await questbus(place, ["agents", "--state", "state", "--json"]);
    const { progress } = JSON.parse(agents.stdout).agents.find(
      ({ name }: { name: string }) => name === "performance",
    );
    expect(progress.step).toMatch(/base-measure|waits for the measurement lease, held by q-somebody/);
    await release();
    const ended = await run.ended;
    expect(ended.exit).toBe(0);
    expect(ended.stderr).toContain("measures now");
  });
});
