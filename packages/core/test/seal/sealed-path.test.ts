import { normaliseQuest, questDocument } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { type SealKind, sealRule } from "../../src/seal/sealed-path.ts";
import { rules } from "./rules.ts";

const serverQuest = questDocument.parse({
  version: 1,
  title: "Faster",
  target: { repo: "." },
  measure: { http: { start: "node server.mjs" }, metric: { name: "p50", from: "autocannon:latency.p50" } },
  goal: { improveBy: "5%" },
  tests: { command: "node check.mjs" },
  fixers: [{ command: "x" }],
});

describe("the usual places", () => {
  test.each<[SealKind | null, string[]]>([
    [
      "test",
      [
        "test/main.mjs",
        "test/data/rows.csv",
        "tests/parse.rs",
        "packages/a/test/a.js",
        "src/test/java/a/Base.java",
        "src/report/__tests__/report.tsx",
        "src/report/__snapshots__/report.tsx.snap",
        "spec/parser_spec.rb",
        "packages/a/spec/a.js",
        "src/parse.test.ts",
        "src/parse.spec.mjs",
        "src/parse_test.go",
        "pkg/test_parse.py",
        "pkg/parse_test.py",
        "test-parse.js",
        "src/ParserTest.java",
        "test.sh",
        "TEST/Main.js",
      ],
    ],
    [
      "bench",
      [
        "bench.mjs",
        "bench.sh",
        "benches/parse.rs",
        "benchmark/run.js",
        "benchmarks/a/b.js",
        "src/parse.bench.ts",
        "parse-bench.js",
        "bench_parse.py",
      ],
    ],
    [
      "lockfile",
      [
        "package-lock.json",
        "packages/a/yarn.lock",
        "pnpm-lock.yaml",
        "bun.lock",
        "Cargo.lock",
        "go.sum",
        "uv.lock",
      ],
    ],
    [
      "config",
      [
        "vitest.config.ts",
        "packages/a/jest.config.cjs",
        "vite.config.js",
        ".mocharc.yml",
        ".npmrc",
        "playwright.config.ts",
        "pytest.ini",
        "conftest.py",
        "test/conftest.py",
      ],
    ],
    [
      null,
      [
        "src/main.mjs",
        "report.sh",
        "README.md",
        "package.json",
        "tsconfig.json",
        "src/latest.js",
        "src/contest.py",
        "src/spec/openapi.ts",
        "lib/bench/table.js",
        "src/testing.ts",
        "src/workbench/tree.ts",
        "data/numbers.txt",
        "attest/a.js",
      ],
    ],
  ])("%s", (kind, paths) => {
    const kindOf = sealRule(rules());
    expect(paths.map((path) => [path, kindOf(path)])).toEqual(paths.map((path) => [path, kind]));
  });
});

describe("what a command names", () => {
  test.each<[string, string, SealKind | null]>([
    ["node tools/measure.mjs", "tools/measure.mjs", "command"],
    ["node ./tools/measure.mjs --fast", "tools/measure.mjs", "command"],
    ["node --import=./hook.mjs x", "hook.mjs", "command"],
    ["FAST=1 sh run.sh >/dev/null", "run.sh", "command"],
    ["sh 'my run.sh'", "my run.sh", "command"],
    ["cd pkg && node measure.mjs", "pkg/measure.mjs", "command"],
    ["cd pkg && node ../measure.mjs", "measure.mjs", "command"],
    ["node tools/measure", "tools/measure.js", "command"],
    ["node tools/measure", "tools/measure/index.js", "command"],
    ["make -s measure", "Makefile", "command"],
    ["node Measure.mjs", "measure.MJS", "command"],
    ["node tools/measure.mjs", "measure.mjs", null],
    ["node src/", "src/main.js", null],
    ["mocha src/*.js", "src/main.js", null],
    ["npm run constructor", "src/main.js", null],
  ])("%s: %s", (command, path, kind) => {
    for (const part of [
      { measure: { command } },
      { tests: { command } },
      { target: { prepare: command } },
    ] as const)
      expect(sealRule(rules(part))(path)).toBe(kind);
  });
});

describe("seal.paths and seal.except", () => {
  const kindOf = sealRule(
    rules({
      seal: {
        paths: ["data", "golden/*.json"],
        except: ["test/fixtures/**", "package-lock.json", "run.mjs"],
      },
    }),
  );
  test.each([
    ["data/rows.csv", "quest"],
    ["DATA/rows.csv", "quest"],
    ["golden/a.json", "quest"],
    ["golden/deep/a.json", null],
    ["test/main.js", "test"],
    ["test/fixtures/a.json", null],
    ["package-lock.json", null],
    ["packages/a/package-lock.json", "lockfile"],
    ["run.mjs", null],
  ])("%s", (path, kind) => expect(kindOf(path)).toBe(kind));
});

test("what starts a server is the program, and not sealed; what tests it is", () => {
  const http = sealRule({
    ...rules(),
    measure: normaliseQuest(serverQuest, []).measure,
  });
  expect([http("server.mjs"), http("check.mjs")]).toEqual([null, "command"]);
});

test("where other dependencies are allowed, lockfiles are not sealed", () => {
  const kindOf = sealRule(rules({ allow: { dependencies: true } }));
  expect([kindOf("package-lock.json"), kindOf(".npmrc")]).toEqual([null, "config"]);
});

describe("a program that the operator lets performance write, and a command names", () => {
  test.each<[string[], string, SealKind | null]>([
    [["src/**"], "src/cli.js", null],
    [["**"], "src/cli.js", null],
    [["tool/**"], "tool/cli.js", null],
    [["./tool/"], "tool/cli.js", null],
    [["tool/cli.js"], "tool/cli.js", null],
    [["data/**"], "tool/cli.js", "command"],
    [["**"], "tool/cli.js", "command"],
    [["**/*.js"], "tool/cli.js", "command"],
    [["src/**", "bench/**"], "bench/run.js", "bench"],
    [["test/**"], "test/run.js", "test"],
  ])("%j: %s", (write, path, kind) => {
    const tests = { command: "node bench/run.js; node test/run.js" };
    expect(
      sealRule(rules({ write, tests, measure: { command: "node src/cli.js big.txt && node tool/cli.js" } }))(
        path,
      ),
    ).toBe(kind);
  });
});

describe("what the scripts of a package.json run", () => {
  const packages = {
    "package.json": {
      scripts: {
        bench: "npm run -s build && node perf/run.mjs",
        build: "node perf/build.mjs",
        prebench: "sh perf/warm.sh",
        test: "node checks/all.mjs",
        lint: "node perf/lint.mjs",
        postinstall: "node perf/install.mjs",
        round: "npm run round",
      },
    },
    "packages/a/package.json": { scripts: { bench: "node perf/a.mjs" } },
    "broken/package.json": { scripts: null },
  };
  test.each<[string, string, SealKind | null]>([
    ["npm run bench", "perf/run.mjs", "command"],
    ["npm run bench", "perf/warm.sh", "command"],
    ["npm run bench", "perf/build.mjs", "command"],
    ["npm run bench", "packages/a/perf/a.mjs", "command"],
    ["npm run bench", "checks/all.mjs", null],
    ["npm run bench", "perf/lint.mjs", null],
    ["npm t && npm test", "checks/all.mjs", "command"],
    ["node --run test", "checks/all.mjs", "command"],
    ["npm ci", "perf/install.mjs", "command"],
    ["bench", "perf/run.mjs", null],
    ["npm run round", "perf/run.mjs", null],
  ])("%s: %s", (command, path, kind) => {
    expect(sealRule(rules({ tests: { command }, packages }))(path)).toBe(kind);
  });
});
