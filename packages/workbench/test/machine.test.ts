import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { totalmem } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readMachine } from "../src/machine.ts";
import { type MeasurementLock, takeMeasurementLock } from "../src/measurement-lock.ts";
import { tempDir } from "./fixture.ts";

describe("readMachine", () => {
  it("gives figures that can be true", async () => {
    const machine = await readMachine(tempDir());
    expect(machine.cpus).toBeGreaterThanOrEqual(1);
    expect(machine.loadPerCpu).toBeGreaterThanOrEqual(0);
    expect(machine.diskFreeBytes).toBeGreaterThan(0);
    expect(machine.memoryFreeBytes).toBeGreaterThan(1_000_000);
    expect(machine.memoryFreeBytes).toBeLessThan(totalmem());
  });
});

describe("the measurement lock", () => {
  const held = (lock: MeasurementLock): boolean => "release" in lock;

  it("is one holder's at a time, and free again after", async () => {
    const dir = tempDir();
    const mine = await takeMeasurementLock("q-1", dir);
    if (!("release" in mine)) throw new Error("not taken");
    expect(statSync(join(dir, "questbus-measurement.lock")).mode & 0o777).toBe(0o600);
    expect(await takeMeasurementLock("q-2", dir)).toEqual({ holder: "q-1" });
    await mine.release();
    expect(readdirSync(dir)).toEqual([]);
    expect(held(await takeMeasurementLock("q-2", dir))).toBe(true);
    await mine.release();
    expect(await takeMeasurementLock("q-3", dir)).toEqual({ holder: "q-2" });
  });

  it("goes to one of many that ask at once, also over a stale file", async () => {
    const dir = tempDir();
    const path = join(dir, "questbus-measurement.lock");
    const gone = spawnSync("true").pid;
    const stale = [
      "",
      "{}",
      JSON.stringify({ id: "x", owner: "gone", pid: gone, start: "1" }),
      JSON.stringify({ id: "x", owner: "reused", pid: process.pid, start: "1" }),
    ];
    for (const text of stale) {
      writeFileSync(path, text);
      const locks = await Promise.all(
        Array.from({ length: 8 }, (_, at) => takeMeasurementLock(`q-${at}`, dir)),
      );
      expect(locks.filter(held), text).toHaveLength(1);
      expect(readdirSync(dir)).toEqual(["questbus-measurement.lock"]);
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid });
    }
  });
});
