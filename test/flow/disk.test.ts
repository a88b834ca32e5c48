import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  fingerprint,
  makeTarget,
  openHolds,
  openPlace,
  type Place,
  questbus,
  startQuestbus,
  type Target,
  writeQuest,
} from "@questbus/testkit";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { expectClearError, expectFault, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** A state directory on a disk of its own, which is full when a quest needs it. Only the superuser can mount one. */

function tryToMount(): boolean {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  const dir = mkdtempSync(join(tmpdir(), "questbus-mount-"));
  const mounted = spawnSync("mount", ["-t", "tmpfs", "none", dir]).status === 0;
  if (mounted) execFileSync("umount", [dir]);
  rmSync(dir, { recursive: true });
  return mounted;
}

const canMount = tryToMount();
if (!canMount)
  process.stderr.write("\nSKIPPED: the tests of a full disk need Linux, root and the right to mount\n\n");

describe.skipIf(!canMount)("a full disk", () => {
  let place: Place;
  let target: Target;
  let untouched: string;
  let state: string;

  beforeEach(() => {
    place = openPlace("disk");
    target = makeTarget(place);
    target.patch("gain");
    untouched = fingerprint(target.dir);
    state = place.path("state");
    mkdirSync(state);
  });
  afterEach(async () => {
    execFileSync("umount", [state]);
    await place.close();
  });

  const mount = (mib: number): void =>
    void execFileSync("mount", ["-t", "tmpfs", "-o", `size=${mib}m`, "none", state]);
  const quest = (overrides: Record<string, unknown>): string =>
    writeQuest(place, { fixers: [{ patch: "fixes/gain.patch" }], ...overrides });

  /** Fills the disk with the command's own file. */
  const fill = "cat /dev/zero > fill.bin";

  test.each<[string, Record<string, unknown>]>([
    ["prepare", { target: { prepare: fill } }],
    ["a fixer", { fixers: [{ command: fill }] }],
    ["a fixer that does not say so", { fixers: [{ command: `${fill}; true` }] }],
    ["the bench", { measure: { command: `${fill} && sh bench.sh` } }],
  ])(
    "by %s: DISK_FULL, exit 1; the space is given back, and the quest ends as unfit",
    async (_, overrides) => {
      mount(320);
      const run = await questbus(place, ["run", quest(overrides), "--state", state, "--json"]);
      expectFault(run, "DISK_FULL", 1);
      expect(summaryOf(run)).toMatchObject({ status: "unfit", verdict: "ENV_UNFIT", accepted: null });
      const { bfree, bsize } = statfsSync(state);
      expect(bfree * bsize).toBeGreaterThan(300 * 1_048_576);
      expect(fingerprint(target.dir)).toBe(untouched);
      const verify = await questbus(place, ["audit", "verify", "--state", state]);
      expect(verify.exit, verify.stderr).toBe(0);
    },
  );

  test("too small from the start: MACHINE_UNFIT, exit 1", async () => {
    mount(64);
    expectClearError(await questbus(place, ["run", quest({}), "--state", state]), "MACHINE_UNFIT", 1);
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("by somebody else: DISK_FULL, exit 1; with space again, the same run is taken up or begun anew, and accepted", async () => {
    mount(320);
    const holds = openHolds(place);
    holds.set("suite");
    const file = quest({ tests: { command: `${holds.command("suite")} && sh test.sh` } });
    const args = ["run", file, "--state", state, "--json"];
    const first = startQuestbus(place, args, { env: holds.env });
    await holds.reached("suite");
    expect(() => writeFileSync(`${state}/other.bin`, Buffer.alloc(330 * 1_048_576))).toThrow("ENOSPC");
    holds.lift("suite");
    const full = await first.ended;
    expectFault(full, "DISK_FULL", 1);
    rmSync(`${state}/other.bin`);
    // What little its agent could give back may have been enough to store that the task failed, then or in the next run.
    const taken = await questbus(place, args, { env: holds.env });
    const second = taken.exit === 1 ? await questbus(place, args, { env: holds.env }) : taken;
    expect(second.exit, second.stderr).toBe(0);
    expect(summaryOf(second)).toMatchObject({ status: "accepted" });
  });
});
