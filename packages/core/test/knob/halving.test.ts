import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type KnobTrial, knobRunsMax, nextKnobStep } from "../../src/knob/halving.ts";

/** What the whole search comes to, when trial `at` shows `value(at, run)`; null: it fails. */
function search(
  count: number,
  value: (at: number, run: number) => number | null,
  better: "lower" | "higher" = "lower",
): { best: number | null; runs: number[]; total: number } {
  const trials: KnobTrial[] = Array.from({ length: count + 1 }, (_, at) => ({
    setting: at === 0 ? null : { x: at },
    values: [],
    failure: null,
  }));
  for (;;) {
    const step = nextKnobStep(trials, { better, seed: "s" });
    const runs = trials.map((each) => each.values.length);
    const total = runs.reduce((sum, each) => sum + each, 0);
    if (step.state === "done") return { best: step.best, runs, total };
    expect(new Set(step.trials).size, "each once a round").toBe(step.trials.length);
    for (const at of step.trials) {
      const trial = trials[at] as KnobTrial;
      const seen = value(at, trial.values.length);
      if (seen === null) trial.failure = "it crashed";
      else trial.values.push(seen);
    }
  }
}

describe("successive halving", () => {
  test.each([
    ["the best setting wins", 8, (at: number) => (at === 5 ? 50 : 100), 5],
    ["nothing is better than the present setting", 8, (at: number) => (at === 0 ? 50 : 100), null],
    ["all alike: the present setting stays", 8, () => 100, null],
    ["one setting only", 1, (at: number) => 100 - at, 1],
    ["none at all", 0, () => 100, null],
    ["a setting that crashes loses, however fast", 4, (at: number) => (at === 2 ? null : 100 - at), 4],
    [
      "one that crashes late loses too",
      4,
      (at: number, run: number) => (at === 2 ? (run > 0 ? null : 1) : 100 - at),
      4,
    ],
    ["all of them crash", 4, (at: number) => (at === 0 ? 100 : null), null],
    [
      "the present setting crashes: the best of the others",
      4,
      (at: number) => (at === 0 ? null : 100 - at),
      4,
    ],
    [
      "one lucky run does not win",
      8,
      (at: number, run: number) => (at === 3 ? (run === 0 ? 1 : 200) : 100 - at),
      8,
    ],
  ])("%s", (_, count, value, best) => {
    expect(search(count, value).best).toBe(best);
  });

  test("higher can be better", () => {
    expect(search(6, (at) => at, "higher").best).toBe(6);
  });

  test("sixteen settings: 16 once, 8 twice, 4 four times, 2 eight times, 1 sixteen times", () => {
    const { runs } = search(16, (at) => 100 - at);
    expect(runs.slice(1).sort((a, b) => a - b)).toEqual([
      ...Array.from({ length: 8 }, () => 1),
      ...Array.from({ length: 4 }, () => 2),
      4,
      4,
      8,
      16,
    ]);
    expect(runs[0]).toBe(16);
  });

  test("the runs are bounded, whatever fails and when; what wins has four runs or more", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 64 }),
        fc.infiniteStream(
          fc.oneof(
            { weight: 9, arbitrary: fc.double({ min: 1, max: 9, noNaN: true }) },
            { weight: 1, arbitrary: fc.constant(null) },
          ),
        ),
        (count, stream) => {
          const values = stream[Symbol.iterator]();
          const { best, runs, total } = search(count, () => values.next().value);
          expect(total).toBeLessThanOrEqual(knobRunsMax(count));
          if (best !== null) expect(runs[best]).toBeGreaterThanOrEqual(4);
        },
      ),
    );
  });

  test.each([
    [0, 0],
    [1, 8],
    [2, 9],
    [16, 64],
  ])("%i settings cost at most %i runs", (count, runs) => {
    expect(knobRunsMax(count)).toBe(runs);
    expect(search(count, (at) => 100 - at).total).toBe(runs);
  });
});
