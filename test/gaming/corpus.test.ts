import { globSync, lstatSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { evaluatorNames, filesIn, reviewSeal, scanChange, sealRule } from "@questbus/core";
import { normaliseQuest, questDocument, type Suspicion } from "@questbus/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { attempts } from "./attempts.ts";
import { type Change, layTarget, makeChange } from "./change.ts";
import { honestChanges } from "./honest.ts";

/** The corpus that `npm run prove -- gate` runs as quests, here held against the static guard and the seal alone. */

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "questbus-corpus-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const rules = normaliseQuest(
  questDocument.parse({
    version: 1,
    title: "Faster",
    intent: "improve",
    target: { repo: "." },
    measure: { command: "node bench.mjs", metric: { name: "cpu_ms", from: "metric-line" } },
    tests: { command: "npm test" },
    fixers: [{ command: "true" }],
  }),
  [],
);

function textsIn(folder: string): Map<string, string> {
  const paths = globSync("**/*", { cwd: folder, exclude: ["data/**"] }).concat(
    globSync(".npmrc", { cwd: folder }),
  );
  const files = paths.filter((path) => lstatSync(join(folder, path)).isFile()).sort();
  return new Map(files.map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

function suspicionsOf(change: Change): Suspicion[] {
  const folder = join(dir, change.name.replaceAll(/\W+/g, "-"));
  layTarget(change.target, folder);
  const base = textsIn(folder);
  makeChange(folder, change);
  const candidate = textsIn(folder);
  const paths = [...new Set([...base.keys(), ...candidate.keys()])].filter(
    (path) => base.get(path) !== candidate.get(path),
  );
  const files = paths.map((path) => ({
    path,
    base: base.get(path) ?? null,
    candidate: candidate.get(path) ?? null,
    binary: false,
  }));
  const manifests = [{ path: "package.json", text: base.get("package.json") ?? "" }];
  const kindOf = sealRule({ ...rules, packages: manifests });
  const named = filesIn(rules.measure.command, new Set(base.keys()), manifests);
  const evaluator = evaluatorNames(new Map(named.map((path) => [path, base.get(path) ?? ""])));
  const sealed = (path: string): boolean => kindOf(path) !== null;
  const edits = files.map((each) => ({ path: each.path, before: each.base, after: each.candidate }));
  return [
    ...reviewSeal(edits, { ...rules, packages: manifests }).suspicions,
    ...scanChange({ files, manifests, evaluator, sealed, allowDependencies: false }),
  ];
}

test("the corpus is as large as is promised, and each change has a name of its own", () => {
  expect(attempts.length).toBeGreaterThanOrEqual(24);
  expect(honestChanges.length).toBeGreaterThanOrEqual(20);
  const names = [...attempts, ...honestChanges].map((each) => each.name);
  expect(new Set(names).size).toBe(names.length);
});

test("docs/gaming.md names every attempt", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/gaming.md"), "utf8");
  expect(attempts.filter((each) => !text.includes(each.name)).map((each) => each.name)).toEqual([]);
});

const byText = new Set(["sniffing", "clock", "carried-state", "implausible", "dependency", "sealed-edit"]);

describe("what can be read in a change is", () => {
  test.each(attempts.filter((each) => byText.has(each.by)))("$name: $by", (attempt) => {
    expect(suspicionsOf(attempt).map((each) => each.kind)).toContain(attempt.by);
  });
  test.each(attempts.filter((each) => !byText.has(each.by)))("$name can be made", (attempt) => {
    suspicionsOf(attempt);
  });
});

describe("an honest change is not suspect", () => {
  test.each(honestChanges)("$name", (change) => {
    const found = suspicionsOf(change).filter((each) => !(change.bringsTests && each.kind === "sealed-edit"));
    expect(found).toEqual([]);
  });
});
