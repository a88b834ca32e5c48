import { expect, it } from "vitest";
import type { TaskContext } from "../src/behaviour.ts";
import { loadBuiltIn } from "../src/built-in.ts";

it("a full disk under a task is told as that, whatever wrote there", async () => {
  const { behaviour } = await loadBuiltIn("architect");
  const workspace = (): Promise<never> =>
    Promise.reject(Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" }));
  const context = { brief: { spec: {}, lastGood: {} }, stateDir: "/state", workspace };
  await expect(behaviour.test(context as unknown as TaskContext)).rejects.toMatchObject({
    faults: [{ code: "DISK_FULL", where: "/state" }],
  });
});
