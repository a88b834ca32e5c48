import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { forbiddenPaths } from "../src/index.ts";

const mayWrite = (path: string, write: string[], never: string[] = []): boolean =>
  forbiddenPaths([path], { write, never }).length === 0;

describe("what a role may write", () => {
  test.each<[string, string[], boolean]>([
    ["src/a.ts", ["src/**"], true],
    ["src/deep/er/a.ts", ["src/**"], true],
    ["src/.hidden", ["src/**"], true],
    ["src/.config/a.ts", ["src/**"], true],
    [".github/workflows/ci.yml", ["**"], true],
    ["a.ts", ["*.ts"], true],
    [".eslintrc.ts", ["*.ts"], true],
    ["src/a.ts", ["*.ts"], false],
    ["src/a.ts", ["**/*.ts"], true],
    ["a.ts", ["**/*.ts"], true],
    ["src/a.js", ["src/*.{js,ts}"], true],
    ["src/a.css", ["src/*.{js,ts}"], false],
    ["src/a.ts", ["lib/**", "src/**"], true],
    ["src/a.ts", [], false],
    // a name that only looks alike is another one
    [".github/workflows/ci.yml", ["github/**"], false],
    ["github/x", [".github/**"], false],
    [".github/x", [".github/**"], true],
    [".src/a.ts", ["src/**"], false],
    ["src2/a.ts", ["src/**"], false],
    ["src/../bench.mjs", ["lib/**"], false],
    ["lib/src/a.ts", ["src/**"], false],
    ["SRC/a.ts", ["src/**"], false],
    ["src\\a.ts", ["src/**"], false],
    // one level stays one level
    ["src/deep/a.ts", ["src/*"], false],
    ["src/deep/a.ts", ["*"], false],
    ["src/deep/a.ts", ["*/*"], false],
    ["src/deep/a.ts", ["{src,lib}"], false],
    // a folder's name stands for what is in it
    ["packages/a/src/x.ts", ["packages/*/src"], true],
    ["packages/a/test/x.ts", ["packages/*/src"], false],
    ["src/a.ts", ["src"], true],
    ["src/a.ts", ["src/"], true],
    ["src/a.ts", ["./src/**"], true],
    ["src/a.ts", ["/src"], true],
  ])("%s with write %j: %s", (path, write, allowed) => {
    expect(mayWrite(path, write)).toBe(allowed);
  });
});

describe("what a role may never write, whatever else it may", () => {
  test.each<[string, string[], boolean]>([
    ["test/a.test.ts", ["test/**"], false],
    ["test/.fixtures/a.json", ["test/**"], false],
    ["bench.mjs", ["bench.mjs"], false],
    ["src/bench.mjs", ["bench.mjs"], true],
    ["src/bench.mjs", ["**/bench.mjs"], false],
    [".env", ["**/.env"], false],
    ["deploy/.env", ["**/.env"], false],
    [".env.local", [".env*"], false],
    [".github/workflows/ci.yml", [".*/**"], false],
    [".github/workflows/ci.yml", ["*/**"], false],
    [".gitmodules", ["*"], false],
    ["a/b/c.snap", ["**/*.snap"], false],
    // however a folder is written, what is in it is meant
    ["test/a.test.ts", ["test"], false],
    ["test/a.test.ts", ["test/"], false],
    ["test/a.test.ts", ["./test"], false],
    ["test/a.test.ts", ["/test/"], false],
    ["bench.mjs", ["./bench.mjs"], false],
    ["packages/a/test/b.ts", ["packages/*/test"], false],
    ["src/a.ts", ["*"], true],
    ["contest/a.ts", ["test"], true],
    ["test.ts", ["test"], true],
  ])("%s with never %j: %s", (path, never, allowed) => {
    expect(mayWrite(path, ["**"], never)).toBe(allowed);
  });

  test("never is stronger than write, in any order", () => {
    expect(mayWrite("src/generated/a.ts", ["src/**", "src/generated/**"], ["src/generated/**"])).toBe(false);
  });
});

test("only the forbidden ones are named, in the order given", () => {
  const files = ["src/b.ts", "README.md", "src/a.ts", "bench.mjs"];
  expect(forbiddenPaths(files, { write: ["src/**"], never: ["src/a.ts"] })).toEqual([
    "README.md",
    "src/a.ts",
    "bench.mjs",
  ]);
});

test("any path is within **, and none is within an empty list", () => {
  const part = fc.stringMatching(/^[.A-Za-z0-9_@+ -]{1,12}$/).filter((each) => each !== "." && each !== "..");
  const path = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(path, (each) => {
      expect(mayWrite(each, ["**"])).toBe(true);
      expect(mayWrite(each, [])).toBe(false);
      expect(mayWrite(each, ["**"], ["**"])).toBe(false);
      expect(mayWrite(each, ["**"], [each.split("/", 1)[0] as string])).toBe(false);
    }),
  );
});
