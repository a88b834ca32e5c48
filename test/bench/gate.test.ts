import { describe, expect, test } from "vitest";
import { addTally, type Job, playJob, type Tally } from "./gate/job.ts";
import { createMachine, profileNames, uniform } from "./gate/noise.ts";
import type { Ask } from "./gate/pass.ts";
import { fixedSignedRank } from "./gate/rival.ts";

/** The harness of `npm run prove -- gate` itself: a proof from a blind one would be none. */

const ask: Ask = { alpha: 0.05, pairsMax: 40, improveBy: null, minEffect: null };
const world = { profile: "iid-5", gain: 0 } as const;
const shareOf = (job: Job, quests: number): number =>
  (playJob(job, 0, quests).accepted ?? Number.NaN) / quests;

describe("the machines", () => {
  test("are the same for the same seed, and others for others", () => {
    for (const profile of profileNames) {
      const runs = (seed: string): number[] => {
        const machine = createMachine(profile, seed);
        return Array.from({ length: 50 }, (_, k) => machine.run(1, k % 2 === 1));
      };
      expect(runs("a")).toEqual(runs("a"));
      expect(runs("a")).not.toEqual(runs("b"));
      expect(runs("a").every((time) => time > 0.3 && time < 20)).toBe(true);
    }
  });

  test("draw uniformly", () => {
    const next = uniform("draws");
    const values = Array.from({ length: 20_000 }, next);
    const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
    const square = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
    expect(Math.abs(square - 1 / 12)).toBeLessThan(0.003);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values)).toBeLessThan(1);
  });
});

describe("the quests", () => {
  test("come to the same sums however they are split", () => {
    const jobs: Job[] = [
      { kind: "gate", seed: "t", world, ask },
      { kind: "quest", seed: "t", world: { profile: "bimodal", creep: true } },
    ];
    for (const job of jobs) {
      const split: Tally = {};
      for (const [from, to] of [
        [0, 3],
        [3, 4],
        [4, 9],
      ] as const)
        addTally(split, playJob(job, from, to));
      expect(split).toEqual(playJob(job, 0, 9));
    }
  });

  test("go through three passes and the arbiter's extra one", () => {
    const tally = playJob({ kind: "quest", seed: "t", world: { profile: "iid-2", creep: false } }, 0, 3);
    expect(tally).toMatchObject({ quests: 3, accepted: 0, passes: 12 });
  });

  test("tell a gate that keeps its promise from rules that do not, on the same machines", () => {
    expect(shareOf({ kind: "gate", seed: "t", world, ask }, 200)).toBeLessThanOrEqual(0.02);
    expect(shareOf({ kind: "peek", seed: "t", world, ask }, 200)).toBeGreaterThanOrEqual(0.08);
    expect(shareOf({ kind: "rival", seed: "t", world, rival: "block-means" }, 200)).toBeGreaterThanOrEqual(
      0.08,
    );
  });

  test("find a gain that is there", () => {
    const gained = { profile: "iid-5", gain: 0.2 } as const;
    expect(shareOf({ kind: "gate", seed: "t", world: gained, ask }, 50)).toBe(1);
  });
});

test("the fixed design uses the exact critical values of the signed-rank test", () => {
  // Hollander & Wolfe, table A.4: P(W >= 45) = .042 and P(W >= 44) = .053 for n = 10.
  const gains = (negative: number[]): number[] =>
    Array.from({ length: 10 }, (_, k) => (negative.includes(k + 1) ? -(k + 1) : k + 1));
  expect(fixedSignedRank(gains([10]), 0, 0.05)).toBe(true);
  expect(fixedSignedRank(gains([10, 1]), 0, 0.05)).toBe(false);
  expect(fixedSignedRank(gains([4, 6]), 0, 0.05)).toBe(true);
});
