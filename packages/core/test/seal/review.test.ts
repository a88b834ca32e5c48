import { limit } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { sealedFiles, sealHash } from "../../src/seal/manifest.ts";
import { reviewSeal } from "../../src/seal/review.ts";
import type { FileEdit } from "../../src/seal/weakened.ts";
import { rules } from "./rules.ts";

const edit = (path: string, before: string | null, after: string | null): FileEdit => ({
  path,
  before,
  after,
});
const test1 = 'test("a", () => assert.equal(a(), 1));\n';
const pack = (value: object): string => JSON.stringify(value);

const source = edit("src/a.js", "a", "b");
const changed = edit("test/a.test.js", test1, test1.replace("a()", "b()"));
const added = edit("test/b.test.js", null, test1);
const removed = edit("test/a.test.js", test1, null);
const bench = edit("bench.mjs", "1", "0");
const newBench = edit("bench/other.js", null, "0");
const config = edit("vitest.config.ts", null, "0");
const lock = edit("package-lock.json", "1", null);
const command = edit("run.mjs", "1", "2");
const scripts = edit(
  "package.json",
  pack({ scripts: { test: "a" } }),
  pack({ scripts: { test: "b" }, version: "2" }),
);

const npm = { tests: { command: "npm test" } };
const look = (policy: "strict" | "restore", ...edits: FileEdit[]) =>
  reviewSeal(edits, rules({ ...npm, seal: { policy } }));
const places = (policy: "strict" | "restore", ...edits: FileEdit[]) =>
  look(policy, ...edits).suspicions.map(({ where }) => where);

describe("strict", () => {
  test.each<[string, FileEdit[], string[]]>([
    ["only the program", [source], []],
    ["an edited test", [source, changed], ["test/a.test.js"]],
    ["an added test", [added], ["test/b.test.js"]],
    ["a removed test", [removed], ["test/a.test.js"]],
    ["the bench", [bench], ["bench.mjs"]],
    ["a new file beside the bench", [newBench], ["bench/other.js"]],
    ["new settings of the tests", [config], ["vitest.config.ts"]],
    ["a lockfile", [lock], ["package-lock.json"]],
    ["what a command runs", [command], ["run.mjs"]],
    ["scripts", [scripts], ["package.json"]],
    ["several", [bench, changed, source], ["bench.mjs", "test/a.test.js"]],
  ])("%s", (_, edits, found) => {
    expect(places("strict", ...edits)).toEqual(found);
    expect(look("strict", ...edits)).toMatchObject({ setAside: [], addedTests: [] });
  });

  test("each says what it is, and how to let the program itself be changed", () => {
    expect(look("strict", command, removed).suspicions).toEqual([
      {
        kind: "sealed-edit",
        message:
          "The candidate changes what is sealed: what a command of the quest runs; if that is the program itself, name it in seal.except or in authorities",
        where: "run.mjs",
      },
      {
        kind: "sealed-edit",
        message: "The candidate removes what is sealed: the tests",
        where: "test/a.test.js",
      },
    ]);
  });

  test("of many, as many as a report carries, and how many more", () => {
    const many = Array.from({ length: 40 }, (_, at) => edit(`test/${at}.js`, "a", "b"));
    const { suspicions } = look("strict", ...many);
    expect(suspicions).toHaveLength(limit.suspicionsMax);
    expect(suspicions.at(-1)?.message).toMatch(/and 8 more like this$/);
  });
});

describe("restore", () => {
  test.each<[string, FileEdit[], [string, unknown][], string[]]>([
    ["only the program", [source], [], []],
    ["an edited test", [source, changed], [["test/a.test.js", "before"]], []],
    ["an added test stays", [added], [], ["test/b.test.js"]],
    ["the bench", [bench], [["bench.mjs", "before"]], []],
    ["a new file beside the bench", [newBench], [["bench/other.js", "absent"]], []],
    ["new settings of the tests", [config], [["vitest.config.ts", "absent"]], []],
    ["a lockfile", [lock], [["package-lock.json", "before"]], []],
    ["what a command runs", [command], [["run.mjs", "before"]], []],
    ["scripts", [scripts], [["package.json", { text: pack({ scripts: { test: "a" }, version: "2" }) }]], []],
    ["package.json that is gone", [{ ...scripts, after: null }], [["package.json", "before"]], []],
    [
      "several, sorted",
      [changed, bench],
      [
        ["bench.mjs", "before"],
        ["test/a.test.js", "before"],
      ],
      [],
    ],
  ])("%s", (_, edits, aside, tests) => {
    const found = look("restore", ...edits);
    expect(found.suspicions).toEqual([]);
    expect(found.setAside).toEqual(aside.map(([path, as]) => ({ path, as })));
    expect(found.addedTests).toEqual(tests);
  });

  test("a test that is weakened is named, and set aside all the same", () => {
    expect(places("restore", removed)).toEqual(["test/a.test.js"]);
    const skipped = edit("test/a.test.js", test1, test1.replace("test(", "test.skip("));
    expect(look("restore", source, skipped)).toMatchObject({
      suspicions: [{ kind: "sealed-edit", where: "test/a.test.js:1" }],
      setAside: [{ path: "test/a.test.js", as: "before" }],
    });
  });
});

describe("the hash of a seal", () => {
  const file = (path: string, oid: string) => ({ path, mode: "100644", oid });
  const files = [
    file("src/a.js", "1"),
    file("test/a.js", "2"),
    file("package.json", "3"),
    file("bench.mjs", "4"),
  ];

  test("is over the sealed files, in whatever order, and the settings of a package.json", () => {
    const { whole, settings } = sealedFiles(files, rules(npm));
    expect(whole.map(({ path }) => path)).toEqual(["test/a.js", "bench.mjs"]);
    expect(settings.map(({ path }) => path)).toEqual(["package.json"]);
    const hash = sealHash(whole, [{ path: "package.json", text: pack({ version: "1" }) }]);
    expect(sealHash(whole.toReversed(), [{ path: "package.json", text: pack({ version: "2" }) }])).toBe(hash);
    expect(sealHash(whole.slice(1), [])).not.toBe(hash);
    expect(sealHash(whole, [{ path: "package.json", text: pack({ scripts: {} }) }])).not.toBe(hash);
  });
});
