import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type LintFormat, lintAgents } from "../src/command-lint.ts";

const good = `---
name: qa
description: Keeps the suite the judge of correctness.
questbus: { role: qa, phases: { test: runs it, fix: sorts it, validate: signs off } }
---
# QA
`;
let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "questbus-lint-"));
  for (const [name, text] of [
    ["qa", good],
    ["ops", good.replace("name: qa", "name: ops").replace("role: qa", "role: oops\nmodle: x")],
  ] as const) {
    mkdirSync(join(dir, "agents", name), { recursive: true });
    writeFileSync(join(dir, "agents", name, "AGENT.md"), text);
  }
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(dir, { recursive: true });
});

function lint(paths: string[], format: LintFormat): { exit: number; printed: string } {
  let printed = "";
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    printed += text;
    return true;
  });
  const exit = lintAgents(paths, format);
  vi.restoreAllMocks();
  return { exit, printed };
}

test("a folder with a fault in one file: exit 1, each finding with its place", () => {
  const { exit, printed } = lint([dir], "text");
  expect(exit).toBe(1);
  expect(printed).toMatch(/agents\/ops\/AGENT\.md:\d+:\d+: error: /);
  expect(printed).not.toContain("agents/qa/AGENT.md:");
  expect(printed).toContain("2 files: ");
  expect(lint([join(dir, "agents", "qa", "AGENT.md")], "text")).toMatchObject({
    exit: 0,
    printed: "1 file: nothing is wrong\n",
  });
});

test("as JSON and as SARIF the same findings", () => {
  const { findings, files } = JSON.parse(lint([dir], "json").printed);
  expect(files).toHaveLength(2);
  const { version, runs } = JSON.parse(lint([dir], "sarif").printed);
  expect(version).toBe("2.1.0");
  type Result = {
    level: string;
    ruleId: string;
    locations: [{ physicalLocation: { region: { startLine: number } } }];
  };
  const seen = runs[0].results.map(({ level, ruleId, locations: [{ physicalLocation }] }: Result) => ({
    level,
    code: ruleId,
    line: physicalLocation.region.startLine,
  }));
  expect(findings).toMatchObject(seen);
  expect(seen.length).toBeGreaterThan(0);
});

test.each([["nowhere"], ["agents-not-there/AGENT.md"]])("%s is nothing to read", (path) => {
  expect(() => lintAgents([join(dir, path)], "text")).toThrow(QuestbusError);
});
