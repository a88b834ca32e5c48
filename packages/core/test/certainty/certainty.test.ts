import { limit, type Stated, statedShape } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { certaintyText, clarificationOf, sourceKindOf } from "../../src/index.ts";

const hash = "a".repeat(64);

describe("the rule of certainty", () => {
  const cases: [Stated, "counts" | "sent back"][] = [
    [{}, "counts"],
    [{ sources: ["src/a.ts:3"] }, "counts"],
    [{ certainty: 1 }, "counts"],
    [{ certainty: 0.95 }, "counts"],
    [{ certainty: 0.9499 }, "sent back"],
    [{ certainty: 0 }, "sent back"],
    [{ certainty: 0, sources: ["src/a.ts"] }, "counts"],
    [{ certainty: 0.5, sources: [] }, "sent back"],
    [{ certainty: 0.5, sources: ["trust me"] }, "sent back"],
    [{ certainty: 0.5, sources: ["trust me", "$ npm test"] }, "counts"],
  ];
  it.each(cases)("%j: %s", (stated, wanted) => {
    const fault = clarificationOf(stated);
    expect(fault === null ? "counts" : "sent back").toBe(wanted);
    if (fault)
      expect(fault).toMatchObject({ code: "SOURCE_MISSING", next: expect.stringContaining("sources") });
  });

  it("is total, and says nothing against whoever is sure enough or names a source", () => {
    const stated = fc.record(
      {
        certainty: fc.double({ min: 0, max: 1, noNaN: true }),
        sources: fc.array(fc.string(), { maxLength: 4 }),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(stated, (each) => {
        const fault = clarificationOf(each);
        const backed = (each.sources ?? []).some((source) => sourceKindOf(source) !== null);
        expect(fault === null).toBe((each.certainty ?? 1) >= limit.certaintyPercentMin / 100 || backed);
        expect(certaintyText(each)).not.toBe("");
      }),
    );
  });
});

it.each([
  ["src/parse.ts:12", "path"],
  ["src/parse.ts:12:4", "path"],
  ["README.md", "path"],
  ["./run", "path"],
  ["Makefile:3", "path"],
  ["docs/größe.md", "path"],
  ["https://example.org/a?b=c#d", "address"],
  ["http://localhost:8080", "address"],
  [`sha256:${hash}`, "artifact"],
  ["$ npm test -- parser", "command"],
  ["trust me", null],
  ["experience", null],
  ["...", null],
  ["/", null],
  ["", null],
  ["$", null],
  ["https://", null],
  ["see src/parse.ts", null],
  [`sha256:${hash.slice(1)}`, null],
])("%s is a source of kind %s", (source, kind) => {
  expect(sourceKindOf(source)).toBe(kind);
});

it("a certainty is a share, and says so to whoever writes a percentage", () => {
  const schema = z.strictObject(statedShape);
  expect(schema.safeParse({ certainty: 0.9, sources: ["a.ts"] }).success).toBe(true);
  for (const certainty of [-0.1, 1.01, Number.NaN, "0.9"])
    expect(schema.safeParse({ certainty }).success).toBe(false);
  expect(schema.safeParse({ certainty: 95 }).error?.issues[0]?.message).toContain("0.95");
  expect(schema.safeParse({ sources: Array(limit.sourcesMax + 1).fill("a.ts") }).success).toBe(false);
});

it("0.9499 is not shown as 95 %", () => {
  expect(certaintyText({ certainty: 0.9499 })).toBe("94.9 % sure, no source");
  expect(certaintyText({ certainty: 0.95, sources: ["a.ts:1"] })).toBe("95 % sure, by a.ts:1 (unchecked)");
  expect(certaintyText({})).toBe("certainty not stated, no source");
});
