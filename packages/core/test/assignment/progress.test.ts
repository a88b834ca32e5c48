import { limit, type QuestSpec, type Task, tasks } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Heard, heardNow, isStill, stillMsMax, stillReason } from "../../src/assignment/progress.ts";

const at = (count: number, step = "pair") => ({ step, count });

describe("what was heard of the holder of a lease", () => {
  it("moves on when it did more, and only then", () => {
    const first = heardNow(null, 3, at(5), 1_000);
    expect(first).toEqual({ epoch: 3, step: "pair", count: 5, movedMs: 1_000, heardMs: 1_000 });
    const same = heardNow(first, 3, at(5, "another word"), 4_000);
    expect(same).toMatchObject({ step: "another word", count: 5, movedMs: 1_000, heardMs: 4_000 });
    expect(heardNow(same, 3, at(4), 5_000), "a renewal that comes late").toMatchObject({
      count: 5,
      movedMs: 1_000,
    });
    expect(heardNow(same, 3, at(6), 6_000)).toMatchObject({ count: 6, movedMs: 6_000 });
  });

  it("begins anew under another epoch, whatever was counted before", () => {
    const before = heardNow(null, 3, at(500), 1_000);
    expect(heardNow(before, 4, at(0), 9_000)).toMatchObject({ epoch: 4, count: 0, movedMs: 9_000 });
  });

  const renewals = fc.array(fc.record({ afterMs: fc.nat(10_000), count: fc.nat(20) }), { minLength: 1 });

  it("for any renewals: it stands still exactly when the highest count is older than it may be", () => {
    fc.assert(
      fc.property(renewals, fc.nat(20_000), (given, maxMs) => {
        let nowMs = 0;
        let heard: Heard | null = null;
        let highest = { count: -1, sinceMs: 0 };
        for (const { afterMs, count } of given) {
          nowMs += afterMs;
          if (count > highest.count) highest = { count, sinceMs: nowMs };
          const before: Heard | null = heard;
          heard = heardNow(before, 1, at(count), nowMs);
          expect(heard.count).toBeGreaterThanOrEqual(before?.count ?? 0);
          expect(heard.movedMs).toBeLessThanOrEqual(heard.heardMs);
          expect(isStill(heard, maxMs, nowMs)).toBe(nowMs - highest.sinceMs > maxMs);
        }
      }),
    );
  });
});

describe("how long the holder of a task may stand still", () => {
  const spec = {
    target: { prepare: null },
    tests: { timeoutMs: 60_000 },
    measure: { timeoutMs: 20_000 },
    fixers: [
      { kind: "patch" },
      { kind: "command", timeoutMs: 900_000 },
      { kind: "cli", timeoutMs: 100_000, quotaWaitMs: 7_200_000 },
      { kind: "knobs" },
    ],
  } as unknown as QuestSpec;

  it.each([
    ["plan", null, 0],
    ["fitness", null, 0],
    ["base-suite", null, 60_000],
    ["separate", null, 60_000],
    ["suite", 1, 60_000],
    ["base-measure", null, 20_000],
    ["gate", 1, 20_000],
    ["produce", null, 20_000],
    ["produce", 0, 20_000],
    ["produce", 1, 900_000],
    ["produce", 2, 7_200_000],
    ["produce", 3, 20_000],
    ["settle", 2, 0],
  ] as const)("%s with fixer %s: its longest command has %s ms", (task, fixer, longestMs) => {
    expect(stillMsMax(spec, task, fixer)).toBe(longestMs + limit.stillMs);
  });

  it("a tree that is prepared has the time for that, wherever a command runs in it", () => {
    const prepared = { ...spec, target: { prepare: "make" } } as unknown as QuestSpec;
    const longer = tasks.filter((task) => stillMsMax(prepared, task, null) > limit.prepareMs);
    const wanted: Task[] = ["base-suite", "base-measure", "separate", "prepare", "produce", "suite", "gate"];
    expect(longer).toEqual(wanted);
  });
});

it("why its lease is over is told with the step", () => {
  const heard = { ...heardNow(null, 1, at(3, "pair 14 of 90"), 0), heardMs: 301_000 };
  expect(stillReason(heard)).toBe("no progress for 5 min, at: pair 14 of 90");
  expect(stillReason({ ...heard, heardMs: 61_400 })).toBe("no progress for 61 s, at: pair 14 of 90");
  expect(stillReason(null)).toBe("no progress");
});
