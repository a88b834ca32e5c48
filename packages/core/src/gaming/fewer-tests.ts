import type { SuiteRun, Suspicion, TestCount } from "@questbus/protocol";
import { suspect } from "./rule.ts";

/** What the green run among these counted; null: none was green, or it does not say. */
export const countOf = (runs: readonly SuiteRun[]): TestCount | null =>
  runs.find((each) => each.passed)?.tests ?? null;

const tests = (count: number): string => `${count} test${count === 1 ? "" : "s"}`;

/**
 * A green suite of the candidate that ran less than the base's: fewer tests passed, or more were skipped. A suite that
 * does not even say any more how many it ran was cut short.
 */
export function fewerTests(base: TestCount | null, runs: readonly SuiteRun[]): Suspicion[] {
  if (base === null || !runs.some((each) => each.passed)) return [];
  const now = countOf(runs);
  const keep = "leave every test as it is, and let it end on its own";
  if (now === null)
    return [
      suspect(
        "surface",
        `the suite is green and no longer says how many tests it ran; ${tests(base.passed)} passed on the base; ${keep}`,
        null,
      ),
    ];
  if (now.passed < base.passed)
    return [
      suspect("surface", `only ${tests(now.passed)} passed, ${base.passed} on the base; ${keep}`, null),
    ];
  if (now.skipped > base.skipped)
    return [suspect("surface", `${tests(now.skipped)} skipped, ${base.skipped} on the base; ${keep}`, null)];
  return [];
}
