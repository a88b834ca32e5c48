import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareTree } from "../src/arms.ts";
import { openArtifacts } from "../src/artifact.ts";
import { applyPatch } from "../src/candidate.ts";
import { runCommand } from "../src/command.ts";
import { takeMeasurementLock } from "../src/measurement-lock.ts";
import { observe } from "../src/observe.ts";
import { openProcessGroups } from "../src/process-group.ts";
import { withRunHome } from "../src/run-home.ts";
import { runSuite } from "../src/suite.ts";
import { checkout } from "../src/tree.ts";
import { openWorkspace } from "../src/workspace.ts";
import {
  commitAll,
  hashDir,
  makeTarget,
  mayMount,
  patchOf,
  refused,
  run,
  tempDir,
  write,
} from "./fixture.ts";

const possible = mayMount();
if (!possible) console.warn("SKIPPED: the disk-full tests need root on Linux, to mount a small file system");

describe.skipIf(!possible)("on a full disk", () => {
  let small = "";
  beforeAll(() => {
    small = mkdtempSync(join(tmpdir(), "questbus-small-"));
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", small]).status).toBe(0);
  });
  afterAll(() => {
    expect(spawnSync("umount", [small]).status).toBe(0);
    rmSync(small, { recursive: true });
  });

  /** Leaves `bytes` free. */
  const fill = (bytes: number): void => {
    const { bavail, bsize } = statfsSync(small);
    writeFileSync(
      join(small, `ballast-${process.hrtime.bigint()}`),
      Buffer.alloc(Math.max(0, bavail * bsize - bytes), 1),
    );
  };
  const workspace = (target: string, name: string) =>
    openWorkspace({ dir: join(small, name), targetRoot: target, commit: run(target, "rev-parse", "HEAD") });

  it("a run's HOME and the measurement lease say so, too, where that is the temporary directory's", async () => {
    fill(0);
    await refused("DISK_FULL", () => withRunHome(join(small, "run"), async () => {}));
    await refused("DISK_FULL", () => takeMeasurementLock("q-00000000", small));
    for (const name of readdirSync(small)) rmSync(join(small, name), { recursive: true });
  });

  it("every step says DISK_FULL, and the target stays as it was", async () => {
    const target = makeTarget({ "small.txt": "x\n" });
    write(target, { "big.txt": "x\n".repeat(1_000_000) });
    const big = commitAll(target, "big");
    run(target, "reset", "--quiet", "--hard", "HEAD^");
    const noise = Buffer.from(Array.from({ length: 400_000 }, (_, at) => ((at * 7919) ^ (at >> 3)) & 255));
    const patch = patchOf(target, { "small.txt": noise });
    const before = hashDir(target);
    const ws = await workspace(target, "first");
    const path = await checkout(ws, "work", ws.commit);
    await refused("DISK_FULL", () => checkout(ws, "big", big));
    expect(readdirSync(join(small, "first/trees"))).toEqual(["work"]);
    mkdirSync(join(small, "run"));
    fill(64 * 1024);
    await refused("DISK_FULL", () => applyPatch(ws, path, patch, "a.patch"));
    const artifacts = openArtifacts(join(small, "artifacts"));
    await refused("DISK_FULL", () => artifacts.put("diff", Buffer.alloc(200_000, 7)));
    fill(0);
    const spill = "head -c 300000 /dev/zero > out.bin";
    const cwd = join(small, "run");
    await refused("DISK_FULL", () => prepareTree(cwd, spill));
    const metric = { name: "m", from: "wall-time", unit: "s", better: "lower" } as const;
    await refused("DISK_FULL", () => observe({ command: spill, cwd, metric, guards: [], timeoutMs: 10_000 }));
    await refused("DISK_FULL", () =>
      runSuite({ command: spill, cwd, timeoutMs: 10_000, artifacts: openArtifacts(tempDir()) }),
    );
    await refused("DISK_FULL", () => workspace(target, "second"));
    const groups = openProcessGroups(cwd);
    await refused("DISK_FULL", () => runCommand({ command: "true", cwd, timeoutMs: 10_000, groups }));
    expect(hashDir(target)).toBe(before);
  });
});
