import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { countTests } from "../src/test-count.ts";
import { tempDir, write } from "./fixture.ts";

const count = (passed: number, failed = 0, skipped = 0) => ({ passed, failed, skipped });

test.each(["spec", "tap", "dot"])("node:test itself, reporter %s", (reporter) => {
  const dir = tempDir();
  const text = `import { test } from "node:test";
test("one", () => {}); test("two", () => {}); test.skip("three"); test.todo("four");
test("five", () => { throw new Error("no"); });\n`;
  write(dir, { "a.test.mjs": text });
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const ran = spawnSync(
    process.execPath,
    ["--test", `--test-reporter=${reporter}`, join(dir, "a.test.mjs")],
    {
      encoding: "utf8",
      env,
    },
  );
  expect(countTests(ran.stdout)).toEqual(reporter === "dot" ? null : count(2, 1, 2));
});

describe("what other runners print", () => {
  test.each([
    [
      "vitest",
      " Test Files  1 failed | 2 passed (3)\n      Tests  1 failed | 20 passed | 3 skipped (24)\n",
      count(20, 1, 3),
    ],
    [
      "vitest, coloured",
      "\u001b[2m      Tests \u001b[22m \u001b[1m\u001b[32m218 passed\u001b[39m\u001b[22m\u001b[90m (218)\u001b[39m\n",
      count(218),
    ],
    [
      "jest",
      "Test Suites: 2 passed, 2 total\nTests:       1 failed, 2 skipped, 1 todo, 7 passed, 11 total\n",
      count(7, 1, 3),
    ],
    ["mocha", "\n\n  12 passing (34ms)\n  2 pending\n  1 failing\n\n", count(12, 1, 2)],
    [
      "pytest",
      "=========== 1 failed, 12 passed, 2 skipped, 1 xfailed in 0.12s ===========\n",
      count(12, 1, 3),
    ],
    ["pytest -q", "12 passed in 0.12s\n", count(12)],
    ["unittest", "Ran 12 tests in 0.001s\n\nOK (skipped=2)\n", count(10, 0, 2)],
    [
      "go test -v",
      "=== RUN TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n--- SKIP: TestB (0.00s)\nok x 0.1s\n",
      count(2, 0, 1),
    ],
    [
      "cargo",
      "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\ntest result: ok. 4 passed; 0 failed; 0 ignored; 0 measured\n",
      count(7, 0, 1),
    ],
    ["rspec", "12 examples, 1 failure, 2 pending\n", count(9, 1, 2)],
    ["minitest", "12 runs, 30 assertions, 0 failures, 0 errors, 1 skips\n", count(11, 0, 1)],
    ["TAP", "1..3\nok 1 - a\n    ok 1 - inner\nnot ok 2 - b\nok 3 - c # SKIP later\n", count(1, 1, 1)],
    ["two runners in one", "# pass 3\n# fail 0\n\n  2 passing (1ms)\n", count(5)],
    ["nothing", "all good\n", null],
    ["go test", "ok  \texample.org/x\t0.012s\n", null],
  ])("%s", (_, output, wanted) => {
    expect(countTests(output)).toEqual(wanted);
  });
});
