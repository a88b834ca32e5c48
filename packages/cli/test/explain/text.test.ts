import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explanationLines, headline } from "../../src/explain/text.ts";
import { pairsOf, policy, samplesOf, steady, viewOf } from "./view.ts";

const explanationText = (...of: Parameters<typeof explanationLines>): string =>
  explanationLines(...of).join("\n");

const widthOf = (text: string): number =>
  Math.max(
    ...text
      .split("\n")
      .filter((line) => !line.trimStart().startsWith("questbus "))
      .map((line) => line.length),
  );

describe("the explanation for a terminal", () => {
  test("has every pair, the path, the stop, the effect, the guards and how to compute it again", () => {
    const text = explanationText(viewOf(samplesOf(pairsOf("s", steady(16)))), 80);
    const rows = text.split("\n").filter((line) => /^ +\d+ +(base|candidate) /.test(line));
    expect(rows).toHaveLength(16 + 16);
    expect(text).toMatch(/Stopped after \d+ pairs of 60: the gain is above the margin\s\(E\s\d/);
    expect(text).toMatch(/fresh pairs +\+\d+\.\d % \(95 % interval .* over\s+16/);
    expect(text).toMatch(/rss +0\.0 % worse, bound 5 % worse: holds/);
    expect(text).toMatch(/wall time of a run +base 101 ms, candidate 81 ms/);
    expect(text).toContain("the same verdict");
    expect(text).toContain("no sign-off           qa");
    expect(text).toContain("questbus verdict explain q-00000000 --pass 2 --json");
    expect(text).toMatch(/│.*●/);
  });

  test("has a headline, which stands for it where a page is written", () => {
    expect(headline(viewOf(null))).toMatch(/q-00000000.* {2}pass 2: ACCEPT: 20 % faster\.$/);
  });

  test("fits its columns, whatever was measured", () => {
    const guards = ["a-guard-with-a-long-name", "another-one-as-long", "and-a-third"].map((name) => ({
      ...(policy.guards[0] as (typeof policy.guards)[number]),
      name,
    }));
    const value = fc.double({ min: 0.001, max: 1e8, noNaN: true });
    const property = fc.property(
      fc.array(fc.tuple(value, value), { maxLength: 200 }),
      fc.constantFrom(80, 100, 120),
      (values, columns) => {
        const pairs = pairsOf("s", values).map((pair) => {
          const runs = Object.fromEntries(guards.map(({ name }) => [name, 1]));
          return {
            ...pair,
            base: { ...pair.base, guards: runs },
            candidate: { ...pair.candidate, guards: runs },
          };
        });
        const view = viewOf({ ...samplesOf(pairs), confirmation: [] }, {}, { ...policy, guards });
        expect(widthOf(explanationText(view, columns))).toBeLessThanOrEqual(columns);
      },
    );
    fc.assert(property, { numRuns: 60 });
  });

  test("lets no text of others move the cursor", () => {
    const evil = "a\u001b[2Jb\u009bc\rd\ne\u202ef";
    const text = explanationText(
      viewOf(null, {
        view: { title: evil },
        pass: { fixer: evil, cut: evil },
        evidence: { signOffs: { qa: { vote: "no", reasons: [evil] } } },
      }),
      80,
    );
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test("a pass that was never measured is explained from what there is", () => {
    const fault = { code: "BENCH_FAILED" as const, message: "the bench ended with 1" };
    const text = explanationText(viewOf(null, { evidence: { crash: fault, tests: null } }), 80);
    expect(text).toContain("Nothing was measured in this pass.");
    expect(text).toContain("the bench ended with 1 (BENCH_FAILED)");
    expect(text).toMatch(/tests +not run/);
    expect(text).not.toContain("Rules");
  });
});
