import { describe, expect, it } from "vitest";
import { estimateBias } from "../../src/verdict/bias.ts";
import { normal, observe, pairOf, steadyPairs } from "./simulate.ts";

const gauss = normal(71);
const noisy = (count: number, gain: number, cv: number) =>
  Array.from({ length: count }, (_, k) =>
    pairOf("b", k, observe(Math.exp(cv * gauss())), observe((1 - gain) * Math.exp(cv * gauss()))),
  );

describe("the bias that goes with an arm", () => {
  it("is none where both series are flat, and the quest's margin stays", () => {
    const bias = estimateBias({ same: steadyPairs("s", 6, 0), moved: steadyPairs("m", 6, 0) }, "lower", 0.01);
    expect(bias).toMatchObject({ shown: false, upTo: 0, margin: 0.01 });
  });

  it.each([0.023, -0.023])("of %s asks for a margin of the next half per cent", (gain) => {
    const bias = estimateBias(
      { same: steadyPairs("s", 8, 0), moved: steadyPairs("m", 8, gain) },
      "lower",
      0.01,
    );
    expect(bias).toMatchObject({ shown: true, margin: 0.025 });
    expect(bias?.upTo).toBeCloseTo(0.023, 9);
  });

  it("below the margin asks for nothing", () => {
    const bias = estimateBias(
      { same: steadyPairs("s", 8, 0), moved: steadyPairs("m", 8, 0.004) },
      "higher",
      0.01,
    );
    expect(bias).toMatchObject({ shown: true, margin: 0.01 });
  });

  it("on the edge of a step asks for that step", () => {
    const bias = estimateBias(
      { same: steadyPairs("s", 8, 0), moved: steadyPairs("m", 8, 0.03) },
      "lower",
      0.01,
    );
    expect(bias?.margin).toBe(0.03);
  });

  it("that noise hides is not shown, and how large it may be is told", () => {
    const bias = estimateBias({ same: noisy(10, 0, 0.1), moved: noisy(10, 0.005, 0.1) }, "lower", 0.01);
    expect(bias).toMatchObject({ shown: false, margin: 0.01 });
    expect(bias?.upTo).toBeGreaterThan(0.02);
  });

  it("is not told where the same place twice differs from itself: that is the machine's doing", () => {
    for (const moved of [0, 0.03]) {
      const series = { same: steadyPairs("s", 8, -0.02), moved: steadyPairs("m", 8, moved) };
      expect(estimateBias(series, "lower", 0.01)).toMatchObject({
        steady: false,
        shown: false,
        margin: null,
      });
    }
    const still = { same: steadyPairs("s", 8, 0), moved: steadyPairs("m", 8, 0) };
    expect(estimateBias(still, "lower", 0.01)?.steady).toBe(true);
  });

  it("has no figure for fewer than 6 pairs or a broken one", () => {
    const good = steadyPairs("s", 6, 0);
    expect(estimateBias({ same: good, moved: good.slice(1) }, "lower", 0.01)).toBeNull();
    const broken = good.map((pair, k) => (k === 3 ? { ...pair, base: observe(0) } : pair));
    expect(estimateBias({ same: broken, moved: good }, "lower", 0.01)).toBeNull();
  });
});
