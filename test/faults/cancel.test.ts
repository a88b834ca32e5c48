import { expect, onTestFinished, test, vi } from "vitest";
import { openCancelRig } from "./cancel-run.ts";

vi.setConfig({ testTimeout: 120_000 });

/** The figure itself is `npm run prove -- faults/cancel`: here the machine is busy with other tests. */
test("cancel ends the quest's whole process tree before it answers, without waiting for a renewal", async () => {
  const rig = await openCancelRig("cancel");
  onTestFinished(() => rig.close());
  const { problems, reachedMs } = await rig.run(1);
  expect(problems).toEqual([]);
  expect(reachedMs).toBeLessThan(2_000);
});
