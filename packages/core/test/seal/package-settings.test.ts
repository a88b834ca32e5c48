import { describe, expect, test } from "vitest";
import { changedSettings, holdsSettings, withSettingsOf } from "../../src/seal/package-settings.ts";
import { rules } from "./rules.ts";

const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
const base = { name: "a", version: "1.0.0", scripts: { test: "node --test" }, jest: { bail: true } };

describe("whether a command reads a package.json", () => {
  test.each([
    ["npm test", true],
    ["npx vitest run", true],
    ["yarn bench", true],
    ["pnpm -s bench", true],
    ["node_modules/.bin/jest", true],
    ["sh test.sh", true],
    ["./check.sh", true],
    ["node --run test", true],
    ["node --test", false],
    ["python -m pytest", false],
    ["cargo bench", false],
  ])("%s: %s", (command, read) => {
    const holds = holdsSettings(rules({ tests: { command } }));
    expect([holds("package.json"), holds("packages/a/package.json")]).toEqual([read, read]);
    expect(holds("src/package.json.ts")).toBe(false);
  });

  test("seal.except takes it out", () => {
    const part = { tests: { command: "npm test" }, seal: { except: ["package.json"] } };
    expect(holdsSettings(rules(part))("package.json")).toBe(false);
  });
});

describe("what an edit changes of it", () => {
  test.each<[string, unknown, string[]]>([
    ["a version, a dependency", { ...base, version: "2.0.0", dependencies: { b: "1" } }, []],
    ["the order of its keys", { jest: base.jest, scripts: base.scripts, name: "a" }, []],
    ["a script", { ...base, scripts: { test: "true" } }, ["scripts"]],
    ["one more script", { ...base, scripts: { ...base.scripts, pretest: "rm -r test" } }, ["scripts"]],
    ["the settings of a tool", { ...base, jest: { bail: false } }, ["jest"]],
    ["the settings of another tool", { ...base, mocha: {} }, ["mocha"]],
    ["no scripts any more", { name: "a" }, ["scripts", "jest"]],
  ])("%s", (_, after, keys) => expect(changedSettings(text(base), text(after))).toEqual(keys));

  test.each([
    ["removed", null, ["scripts", "jest"]],
    ["no JSON", "{", ["scripts", "jest"]],
    ["a list", "[]", ["scripts", "jest"]],
  ])("%s", (_, after, keys) => expect(changedSettings(text(base), after)).toEqual(keys));

  test("one that is new is held against none", () => {
    expect(changedSettings(null, text({ name: "a" }))).toEqual([]);
    expect(changedSettings(null, text(base))).toEqual(["scripts", "jest"]);
  });
});

describe("with the settings put back", () => {
  test("everything else is as the candidate has it, in its form", () => {
    const after = { name: "a", scripts: { test: "true" }, version: "2.0.0", mocha: {} };
    expect(withSettingsOf(text(base), text(after))).toBe(
      text({ name: "a", scripts: base.scripts, version: "2.0.0", jest: base.jest }),
    );
    expect(withSettingsOf(text(base), `{"version":"2"}`)).toBe(
      `{"version":"2","scripts":{"test":"node --test"},"jest":{"bail":true}}`,
    );
  });

  test("what is gone, or no JSON, cannot be mended", () => {
    expect([withSettingsOf(text(base), null), withSettingsOf(text(base), "{")]).toEqual([null, null]);
  });
});
