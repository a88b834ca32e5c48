import type { TouchedPath } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { isTouchy, namedOperations, operationsIn, operationsUnshown } from "../../src/approval/restricted.ts";

const oid = "1".repeat(40);
const touched = (path: string, before: string | null = null, after: string | null = null): TouchedPath => ({
  path,
  oid,
  before,
  after,
});
const kinds = (each: TouchedPath): string[] => operationsIn([each]).map(({ kind }) => kind);

/** Paths and what of them is restricted, whatever their content. */
const table: Record<string, string[]> = {
  dependencies: [
    ...["package-lock.json", "web/yarn.lock", "pnpm-lock.yaml", "bun.lockb", ".npmrc", "npm-shrinkwrap.json"],
    ...["requirements.txt", "requirements-dev.txt", "poetry.lock", "uv.lock", "Pipfile", "setup.py"],
    ...["go.mod", "go.sum", "go.work", "go.work.sum", "Cargo.lock", "rust-toolchain.toml"],
    ...["pom.xml", "build.gradle", "app/build.gradle.kts", "gradle.lockfile", "gradle/libs.versions.toml"],
    ...[
      "Gemfile.lock",
      "composer.json",
      ".nvmrc",
      "node_modules/x/index.js",
      "vendor/lib/a.go",
      "REQUIREMENTS.TXT",
    ],
  ],
  git: [
    ...[".gitattributes", "src/.gitattributes", ".GitAttributes", ".gitconfig", ".lfsconfig"],
    ...[".husky/pre-commit", ".githooks/post-merge", "lefthook.yml", ".pre-commit-config.yaml"],
  ],
  mcp: [
    ...[
      ".mcp.json",
      "mcp.json",
      ".cursor/mcp.json",
      ".vscode/mcp.json",
      ".codex/config.toml",
      ".roo/mcp.json",
    ],
    ...[
      ".claude/settings.json",
      ".claude/settings.local.json",
      ".claude/hooks/x.sh",
      ".gemini/settings.json",
    ],
    ...[
      ".CLAUDE/Settings.json",
      "web/.mcp.json",
      "opencode.json",
      ".continue/mcpServers/a.yaml",
      ".kiro/settings/mcp.json",
    ],
  ],
};
describe.each(Object.entries(table))("%s", (kind, paths) => {
  test.each(paths)("%s", (path) => {
    expect(isTouchy(path)).toBe(true);
    expect(kinds(touched(path))).toEqual([kind]);
    expect(operationsUnshown([path])).toMatchObject([{ kind, where: path }]);
  });
});

test.each([
  ...["src/index.js", "README.md", ".gitignore", ".claude/agents/qa.md", "docs/mcp.md", "src/mcp.ts"],
  ...[
    "config.toml",
    "settings.json",
    ".vscode/settings.json",
    "hooks/use-state.ts",
    "tsconfig.json",
    "src/git.c",
  ],
])("%s is not restricted", (path) => {
  expect(isTouchy(path)).toBe(false);
  expect(operationsIn([touched(path)])).toEqual([]);
});

const packageJson = (more: object): string => JSON.stringify({ name: "a", version: "1.0.0", ...more });

describe("a manifest is restricted in what it says of dependencies", () => {
  test.each([
    ["another version", { dependencies: { a: "1" } }, { dependencies: { a: "2" } }, 1],
    [
      "the same in another order",
      { dependencies: { a: "1", b: "1" } },
      { dependencies: { b: "1", a: "1" } },
      0,
    ],
    ["another description", { description: "x" }, { description: "y" }, 0],
    ["another export", { exports: "./a.js" }, { exports: "./b.js" }, 0],
    ["an override", {}, { overrides: { a: "1" } }, 1],
    ["another engine", {}, { engines: { node: ">=30" } }, 1],
    ["another package manager", {}, { packageManager: "pnpm@9" }, 1],
  ])("%s", (_, before, after, count) => {
    expect(kinds(touched("package.json", packageJson(before), packageJson(after)))).toHaveLength(count);
  });

  test.each([
    ["Cargo.toml", '[dependencies]\na = "1"\n', '[dependencies]\na = "2"\n', 1],
    ["Cargo.toml", '[package]\ndescription = "x"\n', '[package]\ndescription = "y"\n', 0],
    ["pyproject.toml", 'dependencies = ["a"]\n', 'dependencies = ["a", "b"]\n', 1],
  ])("%s", (path, before, after, count) => {
    expect(kinds(touched(path, before, after))).toHaveLength(count);
  });

  test("new, removed, broken or not shown, it counts as changed", () => {
    const deps = packageJson({ dependencies: { a: "1" } });
    expect(kinds(touched("x/package.json", null, deps))).toEqual(["dependencies"]);
    expect(kinds({ ...touched("x/package.json", deps), oid: null })).toEqual(["dependencies"]);
    expect(kinds(touched("package.json", deps, "{"))).toEqual(["dependencies"]);
    expect(kinds(touched("package.json"))).toEqual(["dependencies"]);
    expect(kinds(touched("x/package.json", null, packageJson({})))).toEqual([]);
  });
});

test("what would be there says which operation it is", () => {
  const to = (version: string) =>
    operationsIn([
      touched("package.json", packageJson({}), packageJson({ dependencies: { a: version } })),
    ])[0];
  expect(to("1")).toEqual(to("1"));
  expect(to("1")?.digest).not.toBe(to("2")?.digest);
  const mcp = (id: string) => operationsIn([{ ...touched(".mcp.json"), oid: id.repeat(40) }])[0]?.digest;
  expect(mcp("1")).not.toBe(mcp("2"));
});

test("more than one approval can name are told by the last, which is of all of them", () => {
  const many = (count: number) =>
    namedOperations(
      operationsIn(Array.from({ length: count }, (_, at) => touched(`vendor/${1_000 + at}.go`))),
    );
  expect(many(100)).toHaveLength(100);
  expect(many(130)).toHaveLength(100);
  expect(many(130).at(-1)?.what).toContain("31 more operations");
  expect(many(130).at(-1)?.digest).not.toBe(many(131).at(-1)?.digest);
});
