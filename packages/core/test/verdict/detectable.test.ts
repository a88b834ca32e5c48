import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BudgetQuestion, planBudget } from "../../src/verdict/detectable.ts";
import { gatePolicyOf } from "../../src/verdict/gate.ts";
import { normal, playMany } from "./simulate.ts";

const runs = (count: number, cv: number, seed = 9): number[] => {
  const gauss = normal(seed);
  return Array.from({ length: count }, () => 250 * Math.exp(cv * gauss()));
};
const ask = (part: Partial<BudgetQuestion> = {}): BudgetQuestion => ({
  values: runs(400, 0.05),
  margin: 0.01,
  goal: 0.1,
  alpha: 0.0125,
  pairsMax: 90,
  better: "lower",
  ...part,
});

describe("the plan of a budget", () => {
  it("measures the noise, in any unit, whichever way better is", () => {
    const plan = planBudget(ask());
    expect(plan.cv).toBeCloseTo(0.05, 2);
    expect(planBudget(ask({ values: runs(400, 0.05).map((v) => v * 1024) })).cv).toBeCloseTo(
      plan.cv as number,
      9,
    );
    expect(planBudget(ask({ better: "higher" })).cv).toBe(plan.cv);
  });

  it("is not misled by a few wild runs", () => {
    const values = runs(40, 0.05);
    const wild = values.map((v, i) => (i < 4 ? v * 50 : v));
    expect(planBudget(ask({ values: wild })).cv).toBeLessThan(2 * (planBudget(ask({ values })).cv as number));
  });

  it("fits a 10 % goal and refuses a 3 % one (CV 5 %, 90 pairs)", () => {
    expect(planBudget(ask({ goal: 0.1 }))).toMatchObject({ fit: true });
    const small = planBudget(ask({ goal: 0.03 }));
    expect(small.fit).toBe(false);
    expect(small.pairsNeeded).toBeGreaterThan(90);
    expect(small.detectable).toBeGreaterThan(0.03);
  });

  it("fits exactly the goals at or above what it can detect", () => {
    const { detectable } = planBudget(ask());
    expect(planBudget(ask({ goal: (detectable as number) * 1.01 })).fit).toBe(true);
    expect(planBudget(ask({ goal: (detectable as number) * 0.98 })).fit).toBe(false);
  });

  it("has power of about 90 % at what it calls detectable", () => {
    for (const [cv, pairsMax] of [
      [0.05, 90],
      [0.1, 60],
      [0.02, 40],
    ] as const) {
      const gain = planBudget(ask({ values: runs(400, cv), pairsMax })).detectable as number;
      const policy = gatePolicyOf({
        metric: { better: "lower" },
        goal: { improveBy: gain, margin: 0.01, minEffect: null },
        alpha: 0.0125,
        pairsMax,
      });
      const power = playMany({ cv, gain }, policy, 200, 31).gain;
      expect(power).toBeGreaterThanOrEqual(0.84);
      expect(playMany({ cv, gain: 0.01 + (gain - 0.01) / 2 }, policy, 200, 32).gain).toBeLessThan(0.7);
    }
  });

  it("does not count a slow drift, which both arms of a pair share, once there are runs enough to tell", () => {
    const drift = runs(24, 0.02).map((value, at) => value * (1 + 0.02 * at));
    const told = planBudget(ask({ values: drift })).detectable as number;
    const few = planBudget(ask({ values: drift.filter((_, at) => at % 3 === 0) })).detectable as number;
    expect(told).toBeLessThan(few / 2);
    expect(told).toBeGreaterThan(0.02);
  });

  it("allows for the noise that few runs hide: with 8 it promises too much in less than a third", () => {
    const truth = planBudget(ask({ values: runs(600, 0.05, 40) })).detectable as number;
    let tooMuch = 0;
    for (let k = 0; k < 400; k++) {
      tooMuch += (planBudget(ask({ values: runs(8, 0.05, 5000 + k) })).detectable as number) < truth ? 1 : 0;
    }
    expect(tooMuch / 400).toBeLessThan(0.33);
  });

  it("detects anything above the margin without noise, in the pairs that evidence takes to grow", () => {
    const plan = planBudget(ask({ values: [7, 7, 7, 7] }));
    expect(plan).toMatchObject({ fit: true, cv: 0, pairsNeeded: 16 });
    expect(plan.detectable).toBeCloseTo(0.01, 12);
  });

  it("is unfit when the budget could prove no gain at all", () => {
    expect(planBudget(ask({ pairsMax: 6 }))).toMatchObject({
      fit: false,
      cv: expect.any(Number),
      detectable: null,
    });
    expect(planBudget(ask({ pairsMax: 6, goal: null }))).toMatchObject({ fit: false, detectable: null });
  });

  it("needs no number of pairs without a goal, and has none for a goal inside the margin", () => {
    expect(planBudget(ask({ goal: null }))).toMatchObject({ fit: true, pairsNeeded: null });
    expect(planBudget(ask({ goal: 0.01 }))).toMatchObject({ fit: false, pairsNeeded: null });
    expect(planBudget(ask({ goal: 1 }))).toMatchObject({ fit: false, pairsNeeded: null });
  });

  it.each([
    [[]],
    [[1, 2]],
    [[1, 2, 0]],
    [[1, 2, -3]],
    [[1, 2, Number.NaN]],
    [[1, 2, Number.POSITIVE_INFINITY]],
  ])("is unfit without figures for the values %j", (values) => {
    expect(planBudget(ask({ values }))).toEqual({
      fit: false,
      cv: null,
      detectable: null,
      pairsNeeded: null,
    });
  });

  it("never answers NaN or an infinity, and never fits a question that makes no sense", () => {
    const any = fc.double();
    const question = fc.record({
      values: fc.array(any, { maxLength: 6 }),
      margin: any,
      goal: fc.option(any),
      alpha: any,
      pairsMax: any,
      better: fc.constantFrom("lower" as const, "higher" as const),
    });
    const rule = (each: BudgetQuestion): void => {
      const plan = planBudget(each);
      for (const figure of [plan.cv, plan.detectable, plan.pairsNeeded])
        expect(figure === null || Number.isFinite(figure)).toBe(true);
      if (!(each.alpha > 0 && each.alpha < 1) || !(each.margin >= 0)) expect(plan.fit).toBe(false);
    };
    fc.assert(fc.property(question, rule), { numRuns: 500 });
  });
});
