import { describe, expect, test } from "vitest";
import { type FileEdit, weakenings } from "../../src/seal/weakened.ts";

const main = `import test from "node:test";
import assert from "node:assert/strict";
import { sum } from "../src/sum.js";
test("adds", () => {
  assert.equal(sum(1, 2), 3);
  assert.equal(sum(2, 2), 4);
});
test("nothing", () => assert.equal(sum(), 0));
`;
const python = `import pytest
def test_adds():
    assert total([1, 2]) == 3
def test_nothing():
    assert total([]) == 0
`;
const go = `func TestAdds(t *testing.T) {
	if Sum(1, 2) != 3 {
		t.Errorf("not 3")
	}
}
`;
const shell = `found=$(sh report.sh)
[ "$found" = 5 ] && exit 0
exit 1
`;

const edit = (path: string, before: string | null, after: string | null): FileEdit => ({
  path,
  before,
  after,
});
const js = (after: string | null): FileEdit => edit("test/sum.test.js", main, after);

describe("an edit that weakens tests is seen", () => {
  test.each<[string, FileEdit[], RegExp]>([
    [
      "a test that is removed",
      [js(main.replace(/^test\("nothing.*\n/m, ""))],
      /2 assertions where there were 3/,
    ],
    ["a file that is removed", [js(null)], /removes tests/],
    ["a file without assertions that is removed", [edit("test/run.sh", shell, null)], /removes tests/],
    ["an assertion that is a comment", [js(main.replace("  assert", "  // assert"))], /2 assertions/],
    [
      "assertions in a block comment",
      [js(main.replace("  assert", "/*\n  assert").replace("});", "*/});"))],
      /1 asser/,
    ],
    ["an assertion that always holds", [js(main.replace("sum(1, 2), 3", "3, 3"))], /2 assertions/],
    ["test.skip", [js(main.replace('test("adds', 'test.skip("adds'))], /skips/],
    ["test.only", [js(main.replace('test("adds', 'test.only("adds'))], /narrows/],
    ["test.todo", [js(main.replace('test("adds', 'test.todo("adds'))], /skips/],
    ["describe.skip.each", [js(`describe.skip.each([])("x", () => {\n${main}});`)], /skips/],
    ["xit", [js(main.replace('test("adds', 'xit("adds'))], /skips/],
    ["an option", [js(main.replace('"adds", ', '"adds", { skip: true }, '))], /skips/],
    ["a reason to skip", [js(main.replace('"adds", ', '"adds", { skip: "slow" }, '))], /skips/],
    ["t.skip()", [js(main.replace("() => {", "(t) => {\n  t.skip();"))], /skips/],
    ["process.exit", [js(main.replace('test("adds', 'process.exit(0);\ntest("adds'))], /ends the tests/],
    [
      "pytest.mark.skip",
      [edit("test_a.py", python, python.replace("def", "@pytest.mark.skip\ndef"))],
      /skips/,
    ],
    [
      "an early return code",
      [edit("test_a.py", python, `import sys\nsys.exit(0)\n${python}`)],
      /ends the tests/,
    ],
    ["a Python test in quotes", [edit("test_a.py", python, `"""\n${python}"""\n`)], /0 assertions/],
    ["t.Skip", [edit("sum_test.go", go, go.replace("\tif", '\tt.Skip("later")\n\tif'))], /skips/],
    ["exit 0 on top", [edit("test.sh", shell, `exit 0\n${shell}`)], /ends the tests/],
    ["exit without a number", [edit("test.sh", shell, `true; exit\n${shell}`)], /ends the tests/],
    [
      "a move that loses some",
      [js(null), edit("test/new.test.js", null, main.replace("  assert.equal(sum(2, 2), 4);\n", ""))],
      /removes tests/,
    ],
  ])("%s", (_, edits, what) => {
    const found = weakenings(edits);
    expect(found.map((each) => each.what)).toEqual([expect.stringMatching(what)]);
    expect(found[0]?.path).toBe(edits[0]?.path);
  });

  test("with its line", () => {
    expect(weakenings([js(main.replace('test("adds', 'test.skip("adds'))])).toMatchObject([{ line: 4 }]);
  });
});

describe("an honest edit is not", () => {
  test.each<[string, FileEdit[]]>([
    ["another import", [js(main.replace("../src/sum.js", "../src/total.js"))]],
    ["another name", [js(main.replaceAll("sum(", "total("))]],
    ["one more test", [js(`${main}test("more", () => assert.equal(sum(3), 3));\n`)]],
    ["other figures", [js(main.replace("sum(1, 2), 3", "sum(1, 2), 3n"))]],
    ["a comment about skipping", [js(`// test.skip and process.exit(0) are not used here\n${main}`)]],
    ["a snapshot", [edit("test/__snapshots__/a.snap", "exports[`a`] = `old`", "exports[`a`] = `new`")]],
    ["a fixture that is removed", [edit("test/fixtures/a.json", "{}", null)]],
    ["a file that is renamed", [js(null), edit("test/unit/sum.test.js", null, main)]],
    [
      "tests that are split",
      [
        js(main.split('test("nothing')[0] as string),
        edit("test/b.test.js", null, main.slice(main.indexOf('test("nothing'))),
      ],
    ],
    [
      "a helper that moves",
      [
        edit("test/rig.js", "export const a = 1;\n", null),
        edit("test/lib/rig.js", null, "export const a = 1;\n"),
      ],
    ],
    [
      "a skip that was there",
      [edit("test/a.js", `test.skip("a");\n${main}`, `test.skip("a", () => {});\n${main}`)],
    ],
    ["a skip that is taken away", [edit("test/a.js", `test.skip("a");\n${main}`, `test("a", ok);\n${main}`)]],
    ["the only exit stays", [edit("test.sh", shell, shell.replace("= 5", "= 6"))]],
    ["a new file that skips", [edit("test/new.test.js", null, `test.skip("a");\n`)]],
    ["names that only look alike", [js(`${main}list({ skip: 10 }); browser.quit(); model.fit(1);\n`)]],
    ["options that say no", [js(main.replace('"adds", ', '"adds", { skip: false }, '))]],
  ])("%s", (_, edits) => expect(weakenings(edits)).toEqual([]));
});
