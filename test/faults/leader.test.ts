import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type LeaderRig, openLeaderRig } from "./leader-run.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** More of the same: `npm run prove -- faults/leader`. */
let rig: LeaderRig;
beforeAll(async () => {
  rig = await openLeaderRig("leader");
});
afterAll(() => rig.close());

test("a leader killed and one stopped past its lease: what was answered stays, and no node has anything else", async () => {
  expect((await rig.run(1, "kill")).problems).toEqual([]);
  expect((await rig.run(2, "pause")).problems).toEqual([]);
  expect(await rig.settle()).toEqual([]);
});
