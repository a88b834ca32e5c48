import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { openAgentRig } from "./agent-run.ts";
import { type CrashRig, type CrashRun, openCrashRig } from "./crash-run.ts";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 120_000 });

/** The first seeds of `npm run prove -- faults`, which CI runs as well, with a hundred crashes and more. */
const [crashes, wipes] = [6, 1];

let rig: CrashRig;
beforeAll(async () => {
  rig = await openCrashRig("crash");
});
afterAll(() => rig.close());

const told = ({ point, count, scenario }: CrashRun): string => `${point} ${count}, ${scenario}`;

describe("nothing is lost and nothing happens twice", () => {
  test("whatever point the orchestrator is killed at", async () => {
    let hits = 0;
    for (let seed = 1; seed <= crashes; seed += 1) {
      const run = await rig.run(seed);
      expect(run.problems, `seed ${seed}: ${told(run)}`).toEqual([]);
      if (run.hit) hits += 1;
    }
    // How many turns a quest takes is a matter of time; most of the points are met all the same.
    expect(hits).toBeGreaterThan(crashes / 4);
    expect(rig.settle()).toEqual([]);
  });

  test("when the broker loses all it has", async () => {
    for (let seed = 1; seed <= wipes; seed += 1)
      expect((await rig.wipe(seed)).problems, `seed ${seed}`).toEqual([]);
    expect(rig.settle()).toEqual([]);
  });
});

/** Seeds of a removed tree, of the moment before the branch is made, and of the moment after it. */
const agentSeeds = [7, 11, 13];

test("whatever point an agent is killed at, the target is never between", async () => {
  const agents = await openAgentRig("crash-agents");
  onTestFinished(() => agents.close());
  for (const seed of agentSeeds) {
    const { point, hit, problems } = await agents.run(seed);
    expect({ point, hit, problems }, `seed ${seed}`).toEqual({ point, hit: true, problems: [] });
  }
  expect(agents.settle()).toEqual([]);
});
