import { type QuestSpec, report } from "@questbus/protocol";
import { scriptedReport } from "@questbus/testkit/scripted-report";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admissionFault, admissionPlan, resizedGoal } from "../../src/quest/admission.ts";
import { normal } from "../verdict/simulate.ts";
import { agentOf, at, claim, openPlay, report as send, until } from "./play.ts";

const specOf = (goal: Partial<QuestSpec["goal"]> = {}, pairs = 60): QuestSpec => {
  const { spec } = at("plan").state;
  const whole = { improveBy: 0.2, margin: 0.01, minEffect: null, acceptDetectable: false, ...goal };
  return { ...spec, goal: whole, budget: { ...spec.budget, pairs } };
};
const runs = (count: number, cv: number): number[] => {
  const gauss = normal(7);
  return Array.from({ length: count }, () => 100 * Math.exp(cv * gauss()));
};
const judged = (spec: QuestSpec, values: number[]) => {
  const plan = admissionPlan(spec, values);
  return { plan, fault: admissionFault(spec, plan), goal: resizedGoal(spec, plan) };
};

describe("the admission of a quest", () => {
  it("lets a goal begin that the budget can show", () => {
    expect(judged(specOf(), runs(24, 0.05))).toMatchObject({ fault: null, goal: null });
  });

  it("refuses a smaller one with the figure, and says what would help", () => {
    const { fault, plan } = judged(specOf({ improveBy: 0.05 }), runs(24, 0.05));
    expect(fault).toMatchObject({ code: "BENCH_TOO_NOISY", where: "measure.command" });
    expect(fault?.message).toMatch(
      /^the noise of one run is 4\.\d %: with 60 pairs this bench can show no gain below \d/,
    );
    expect(fault?.next).toMatch(
      new RegExp(
        `^allow about ${plan.pairsNeeded} pairs \\(budget.pairs\\), or make the bench about [2-9] times longer or its metric quieter, or ask for [\\d.]+ % \\(--accept-detectable does so by itself\\)$`,
      ),
    );
  });

  it("does not ask for a bench that is hundreds of times longer: it says that this one cannot show the goal", () => {
    const { fault } = judged(specOf({ improveBy: 0.013 }), runs(24, 0.2));
    expect(fault?.next).toMatch(
      /^this bench cannot show it: count the work \(steps, allocations, bytes\) instead, or measure on a quieter machine, or ask for [\d.]+ %/,
    );
    const spec = specOf({ improveBy: 0.013 });
    const clock = { ...spec.measure, metric: { ...spec.measure.metric, from: "wall-time" } };
    expect(judged({ ...spec, measure: clock }, runs(24, 0.2)).fault?.next).toContain("measure cpu-time, or");
    const few = judged(specOf({ improveBy: 0.1 }, 16), runs(24, 0.1)).fault?.next;
    expect(few).toMatch(/^allow about \d+ pairs \(budget\.pairs\), or (make|count)/);
  });

  it("asks for no more pairs than a quest may have", () => {
    expect(judged(specOf({ improveBy: 0.02 }), runs(24, 0.2)).fault?.next).not.toContain("pairs (budget");
  });

  it("raises the goal instead where the operator said so, to one that can be shown", () => {
    const spec = specOf({ improveBy: 0.05, acceptDetectable: true });
    const { plan, fault, goal } = judged(spec, runs(24, 0.05));
    expect(fault).toBeNull();
    expect(goal).toBeGreaterThanOrEqual(plan.detectable as number);
    expect(goal).toBeLessThan((plan.detectable as number) + 0.0011);
    expect(judged({ ...spec, goal: { ...spec.goal, improveBy: goal } }, runs(24, 0.05))).toMatchObject({
      fault: null,
      goal: null,
    });
  });

  it("refuses values that cannot be used, and a budget that shows nothing, whatever the operator said", () => {
    for (const [values, pairs] of [
      [[1, 0, 2], 60],
      [[], 60],
      [[1, Number.NaN, 2], 60],
      [runs(24, 0.05), 6],
    ] as const) {
      const { fault, goal } = judged(specOf({ acceptDetectable: true }, pairs), [...values]);
      expect(fault?.code).toBe("BENCH_TOO_NOISY");
      expect(goal).toBeNull();
    }
  });

  it("never lowers a goal, and never raises one past what can be", () => {
    const rule = (values: number[], improveBy: number, better: "lower" | "higher"): void => {
      const spec = specOf({ improveBy, acceptDetectable: true });
      const asked = { ...spec, measure: { ...spec.measure, metric: { ...spec.measure.metric, better } } };
      const { goal } = judged(asked, values);
      if (goal === null) return;
      expect(goal).toBeGreaterThan(improveBy);
      if (better === "lower") expect(goal).toBeLessThan(1);
    };
    const value = fc.double({ min: 1e-3, max: 1e3, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 3, maxLength: 24 }),
        fc.double({ min: 0.02, max: 0.9, noNaN: true }),
        fc.constantFrom("lower" as const, "higher" as const),
        rule,
      ),
    );
  });
});

describe("a resized goal", () => {
  it("is the quest's own from its A/A run on, computed from the values, whatever the report says of them", () => {
    const play = openPlay({ goal: { improveBy: "5%", acceptDetectable: true } });
    until(play, "base-measure");
    const grant = claim(play);
    const sent = scriptedReport(grant);
    const values = runs(24, 0.1);
    const changed = report.parse({
      ...sent,
      result: { ...(sent.result as object), values, detectable: 0.001 },
    });
    send(play, changed, agentOf("performance"));
    const { improveBy } = play.state.spec.goal;
    expect(improveBy).toBeGreaterThan(0.06);
    expect(improveBy).toBe(resizedGoal(grant.brief.spec, admissionPlan(grant.brief.spec, values)));
    expect(claim(play).brief.spec.goal.improveBy).toBe(improveBy);
  });
});
