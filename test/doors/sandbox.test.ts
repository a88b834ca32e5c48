import { openSandbox, type Sandbox } from "@questbus/workbench";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { attempt, attempts, bounds, openScene, type Scene } from "./escape.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

const open = (from: "bubblewrap" | "namespaces"): Sandbox =>
  openSandbox({
    policy: "preferred",
    hidden: [scene.state],
    owner: `test-${from}-${process.pid}`,
    limits: bounds,
    from,
  });

describe.each(["bubblewrap", "namespaces"] as const)("out of %s", (level) => {
  let sandbox: Sandbox;
  beforeAll(() => {
    sandbox = open(level);
    if (sandbox.level !== level)
      process.stderr.write(`\nSKIPPED: no ${level} on this machine, no attempt was made to get out of it\n`);
  });
  afterAll(() => sandbox.close());

  it.for(attempts.filter(({ bound }) => !bound || level === "bubblewrap"))(
    "nobody can $name",
    { timeout: 30_000 },
    async (each, { skip }) => {
      skip(sandbox.level !== level, `no ${level} here`);
      expect(await attempt(scene, each, sandbox)).toBe(false);
    },
  );
});

describe("without a sandbox", () => {
  it.for(attempts.filter(({ control }) => control))("anybody can $name", async (each) => {
    expect(await attempt(scene, each, openSandbox({ policy: "off", hidden: [] }))).toBe(true);
  });
});
