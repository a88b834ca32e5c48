import { stripVTControlCharacters } from "node:util";
import type { TestCount } from "@questbus/protocol";

type Reader = (output: string) => TestCount | null;

/** The sum of what each match of a summary says; null when there is none. */
const summed = (
  output: string,
  form: RegExp,
  read: (match: RegExpExecArray) => Partial<TestCount>,
): TestCount | null => {
  const found = [...output.matchAll(form)].map(read);
  if (found.length === 0) return null;
  const sum = (key: keyof TestCount): number => found.reduce((all, each) => all + (each[key] ?? 0), 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
};

const numberOf = (text: string, form: RegExp): number => Number(form.exec(text)?.[1] ?? 0);
const counted = (text: string): TestCount => ({
  passed: numberOf(text, /(\d+) passed/),
  failed: numberOf(text, /(\d+) (?:failed|errors?)\b/),
  skipped: numberOf(text, /(\d+) skipped/) + numberOf(text, /(\d+) (?:todo|xfailed|deselected)/),
});

/** node:test, as it prints for people (`ℹ pass 3`) and in TAP (`# pass 3`); other TAP producers print the same. */
const nodeTest: Reader = (output) =>
  summed(output, /^(?:ℹ|#) (pass|fail|cancelled|skipped|skip|todo):?\s+(\d+)$/gm, ([, word, count]) => ({
    [word === "pass" ? "passed" : word === "fail" || word === "cancelled" ? "failed" : "skipped"]:
      Number(count),
  }));

/** TAP without a summary: its points, those of subtests left out. */
const tapPoints: Reader = (output) =>
  /^1\.\.\d+/m.test(output)
    ? summed(output, /^(not )?ok\b(?: \d+)?[^\n#]*(# (?:skip|todo)\b)?/gim, ([, not, skip]) => ({
        [skip ? "skipped" : not ? "failed" : "passed"]: 1,
      }))
    : null;

/** vitest (`Tests  1 failed | 2 passed (3)`) and jest (`Tests: 1 failed, 2 passed, 3 total`). */
const vitestOrJest: Reader = (output) =>
  summed(output, /^\s*Tests:?[ \t]+(.*(?:\(\d+\)|\d+ total))\s*$/gm, ([, text = ""]) => counted(text));

/** mocha and its kin: `3 passing (4ms)`, then `1 pending` and `1 failing` where there are some. */
const mocha: Reader = (output) =>
  summed(output, /^\s*(\d+) (passing|pending|failing)\b.*$/gm, ([, count, word]) => ({
    [word === "passing" ? "passed" : word === "failing" ? "failed" : "skipped"]: Number(count),
  }));

const pytest: Reader = (output) =>
  summed(output, /^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s\b.*$/gm, ([, text = ""]) => counted(text));

/** Go tells single tests with `-v` only. */
const goTest: Reader = (output) =>
  summed(output, /^\s*--- (PASS|FAIL|SKIP): /gm, ([, word]) => ({
    [word === "PASS" ? "passed" : word === "FAIL" ? "failed" : "skipped"]: 1,
  }));

const cargo: Reader = (output) =>
  summed(
    output,
    /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm,
    ([, passed, failed, skipped]) => ({
      passed: Number(passed),
      failed: Number(failed),
      skipped: Number(skipped),
    }),
  );

const unittest: Reader = (output) => {
  const ran = summed(output, /^Ran (\d+) tests? in /gm, ([, all]) => ({ passed: Number(all) }));
  const rest = /^(?:OK|FAILED)(?: \((.*)\))?$/m.exec(output)?.[1] ?? "";
  const [failed, skipped] = [/(?:failures|errors)=(\d+)/, /skipped=(\d+)/].map((each) =>
    numberOf(rest, each),
  );
  return (
    ran && { passed: ran.passed - (failed ?? 0) - (skipped ?? 0), failed: failed ?? 0, skipped: skipped ?? 0 }
  );
};

const rspecOrMinitest: Reader = (output) =>
  summed(
    output,
    /^(\d+) (?:examples|runs|tests).*?(\d+) failures?(?:, (\d+) errors?)?(?:, (\d+) (?:pending|skips))?/gm,
    ([, all, failures, errors, skipped]) => {
      const failed = Number(failures) + Number(errors ?? 0);
      return { passed: Number(all) - failed - Number(skipped ?? 0), failed, skipped: Number(skipped ?? 0) };
    },
  );

const readers = [nodeTest, vitestOrJest, mocha, pytest, goTest, cargo, unittest, rspecOrMinitest];

/**
 * How many tests a suite's output says it ran: of node:test and TAP, vitest, jest, mocha, pytest, unittest, `go test -v`,
 * cargo, RSpec and minitest; all summaries of all of them together. Null: it does not say.
 */
export function countTests(output: string): TestCount | null {
  const text = stripVTControlCharacters(output).replaceAll("\r", "");
  const found = readers.flatMap((reader) => reader(text) ?? []);
  if (found.length === 0) return tapPoints(text);
  return found.reduce((sum, each) => ({
    passed: sum.passed + each.passed,
    failed: sum.failed + each.failed,
    skipped: sum.skipped + each.skipped,
  }));
}
