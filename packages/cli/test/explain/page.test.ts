import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { explanationPage } from "../../src/explain/page.ts";
import { pairsOf, policy, samplesOf, steady, viewOf } from "./view.ts";

/** The tag that is closed out of turn or never, or null: what is open must be what is closed. */
function unbalanced(html: string): string | null {
  const open: string[] = [];
  for (const [tag, close, name = "", own] of html.matchAll(/<(\/?)([a-zA-Z][a-zA-Z0-9]*)[^<>]*?(\/?)>/g)) {
    if (own || name === "meta") continue;
    if (!close) open.push(name);
    else if (open.pop() !== name) return tag;
  }
  return open.at(-1) ?? null;
}

const accepted = viewOf(samplesOf(pairsOf("s", steady(16))));

describe("the page of an explanation", () => {
  test("is well-formed, and has a plot with title, description and table for each of its four questions", () => {
    const page = explanationPage(accepted);
    expect(unbalanced(page)).toBeNull();
    expect(unbalanced("<p><b>x</p></b>")).toBe("</p>");
    const sections = page.split("<section>").filter((each) => each.includes("<svg"));
    expect(sections.map((each) => /<h2>(.*?)<\/h2>/.exec(each)?.[1])).toEqual([
      "Pairs",
      "Evidence",
      "Base and candidate",
      "Gain",
    ]);
    for (const each of sections) {
      const [, title = "", desc = ""] = /aria-labelledby="(\S+) (\S+)"/.exec(each) ?? [];
      expect(each).toContain(`<title id="${title}">`);
      expect(each).toContain(`<desc id="${desc}">`);
      expect(each.indexOf("<table>")).toBeGreaterThan(each.indexOf("</svg>"));
    }
  });

  test("needs nothing else: no script, no address, nothing that is loaded", () => {
    const page = explanationPage(accepted);
    expect(page).not.toMatch(/<script|https?:|\bsrc=|\bhref=|url\(|@import|\bon\w+=/i);
    expect(page).toContain("default-src 'none'");
    expect(page).toContain("prefers-color-scheme: dark");
  });

  test("shows text of others as text, wherever it stands", () => {
    const evil = `"'><script>alert(1)</script>&lt;`;
    const bad = { verdict: evil, reasons: [evil] } as never;
    const rules = {
      ...policy,
      metric: { ...policy.metric, name: evil, unit: evil },
      guards: policy.guards.map((each) => ({ ...each, name: evil })),
    };
    const pairs = pairsOf("s", steady(12)).map((pair) => ({
      ...pair,
      base: { ...pair.base, guards: { [evil]: 1 } },
      candidate: { ...pair.candidate, guards: { [evil]: 1 } },
    }));
    const view = viewOf(
      { ...samplesOf(pairs), seed: evil },
      {
        view: { title: evil, stateDir: evil, quest: evil },
        pass: { fixer: evil, cut: evil, stored: bad, recomputed: bad, same: false },
        evidence: {
          forbiddenPaths: [evil],
          suspicions: [{ kind: "clock", message: evil, where: evil }],
          crash: { code: "INTERNAL", message: evil },
          signOffs: { qa: { vote: "no", reasons: [evil] } },
        },
      },
      rules,
    );
    const page = explanationPage(view);
    expect(page).not.toContain("<script");
    expect(page).toContain("&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;lt;");
    expect(unbalanced(page)).toBeNull();
  });

  test("says it loudly when the stored verdict is another than the samples give", () => {
    const page = explanationPage(viewOf(null, { pass: { same: false } }));
    expect(page).toContain('class="alarm"');
  });

  test("explains a pass that was never measured from what there is", () => {
    const suspicions = [{ kind: "clock" as const, message: "it sets a clock", where: "src/a.js:3" }];
    const page = explanationPage(viewOf(null, { evidence: { suspicions, tests: null } }));
    expect(page).toContain("Nothing was measured in this pass.");
    expect(page).toContain("clock: it sets a clock (src/a.js:3)");
    expect(page).not.toContain("<svg");
  });

  test("draws any samples: no place that is no number, and never out of balance", () => {
    const value = fc.oneof(
      { weight: 30, arbitrary: fc.double({ min: 1e-9, max: 1e9, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(0, -1, 1e-300, 1e300, Number.MAX_VALUE, Number.MIN_VALUE) },
    );
    const property = fc.property(
      fc.array(fc.tuple(value, value), { maxLength: 40 }),
      fc.array(fc.tuple(value, value), { maxLength: 20 }),
      (deciding, fresh) => {
        const view = viewOf({
          ...samplesOf([]),
          pairs: pairsOf("s", deciding),
          confirmation: pairsOf("s:confirmation", fresh),
          total: pairsOf("s:total", fresh),
        });
        const page = explanationPage(view);
        expect(page).not.toMatch(/NaN|Infinity|undefined/);
        expect(unbalanced(page)).toBeNull();
      },
    );
    // Two values so close that both quartiles round to the number between them.
    const close: [number, number][] = [
      [999999999.9999996, 1e-9],
      [999999999.9999994, 1e-9],
    ];
    fc.assert(property, { numRuns: 100, examples: [[close, []]] });
  });
});
