import { describe, expect, it } from "vitest";
import { gainPhrase, guardPhrase } from "../../src/verdict/phrase.ts";

const time = { name: "p95_ms", from: "metric-line", unit: "ms", better: "lower", stat: null } as never;
const rate = { name: "rps", from: "metric-line", unit: "1/s", better: "higher", stat: null } as never;

describe("a gain in words", () => {
  it.each([
    [0.123, time, "12.3 % faster"],
    [-0.123, time, "12.3 % slower"],
    [0.05, rate, "5 % better (rps)"],
    [-0.05, rate, "5 % worse (rps)"],
    // What rounds to nothing has no direction of its own: the last bit of a sum would decide it.
    [-1e-16, time, "0 % faster"],
    [-0.0004, rate, "0 % better (rps)"],
  ])("%d is %s", (gain, metric, words) => {
    expect(gainPhrase(gain, metric)).toBe(words);
  });
});

it("a guard that moved by nothing is no better", () => {
  const words = (worsening: number): string =>
    guardPhrase({ name: "rss", state: "holds", worsening } as never, 0.1);
  expect(words(-1e-16)).toBe(words(1e-16));
});
