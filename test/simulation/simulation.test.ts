import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { mutate, mutations } from "./mutations.ts";
import { openScheduler } from "./scheduler.ts";
import { playWorld } from "./world.ts";

/** `npm run prove -- faults` plays thousands, and lets them find every planted bug. */
describe("simulated worlds", () => {
  test("break no invariant", async () => {
    for (let seed = 1; seed <= 40; seed += 1)
      expect((await playWorld(seed)).problems, `seed ${seed}`).toEqual([]);
  }, 120_000);

  /** Of two who asked at once, one was told "pending" late, and that was held for a fault. */
  test("break none in the world where an answer is outrun by the one to its twin", async () => {
    expect((await playWorld(4967)).problems).toEqual([]);
  });

  test("break none in the world where a turn is handed over when none of its time is left", async () => {
    expect((await playWorld(21905)).problems).toEqual([]);
  });

  /** What its only agent failed at behind the storm had its breaker wait for longer than the world was given to end. */
  test("break none in the world where the breaker of the only agent for an ask opens eight times", async () => {
    expect((await playWorld(97819)).problems).toEqual([]);
  });

  test("end where somebody goes on for ever and no time passes", async () => {
    const scheduler = openScheduler(() => {});
    const goOn = (): void => void scheduler.after(0, goOn);
    goOn();
    await scheduler.run(() => false, 1_000);
    expect(scheduler.nowMs).toBe(0);
  });

  test("are the same for the same seed", async () => {
    const told = async (): Promise<unknown> => {
      const { rows, crashes, tookMs } = await playWorld(6);
      return { crashes, tookMs, rows: rows.map(({ hash }) => hash) };
    };
    expect(await told()).toEqual(await told());
  });
});

test("every planted bug has its place", () => {
  for (const mutation of mutations) {
    const text = readFileSync(join(import.meta.dirname, "../..", mutation.file), "utf8");
    expect(mutate(text, mutation)).not.toBe(text);
  }
  expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length);
});
