import type { SuiteRun, TestCount } from "@questbus/protocol";
import { expect, test } from "vitest";
import { countOf, fewerTests } from "../../src/gaming/fewer-tests.ts";

const run = (tests: TestCount | null, passed = true): SuiteRun => ({
  passed,
  exit: passed ? 0 : 1,
  timedOut: false,
  durationMs: 1,
  output: { kind: "suite-output", sha256: "a".repeat(64), sizeBytes: 1 },
  excerpt: "",
  tests,
});
const count = (passed: number, skipped = 0, failed = 0): TestCount => ({ passed, skipped, failed });

test.each<[string, TestCount | null, SuiteRun[], RegExp | null]>([
  ["as many", count(5, 1), [run(count(5, 1))], null],
  ["more", count(5), [run(count(9))], null],
  ["fewer", count(5), [run(count(4))], /only 4 tests passed, 5 on the base/],
  ["more skipped", count(5, 0), [run(count(5, 1))], /1 test skipped, 0 on the base/],
  ["none counted any more", count(5), [run(null)], /no longer says/],
  ["the base does not count", null, [run(count(1))], null],
  ["red: its verdict is another", count(5), [run(count(1), false)], null],
  ["the green repetition counts", count(5), [run(count(4, 0, 1), false), run(count(5))], null],
])("%s", (_, base, runs, message) => {
  const found = fewerTests(base, runs);
  expect(found.map((each) => each.kind)).toEqual(message ? ["surface"] : []);
  if (message) expect(found[0]?.message).toMatch(message);
});

test("the count of a pass is that of its green run", () => {
  expect(countOf([run(count(4, 0, 1), false), run(count(5))])).toEqual(count(5));
  expect(countOf([run(count(4), false)])).toBe(null);
});
