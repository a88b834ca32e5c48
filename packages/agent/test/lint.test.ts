import { readFileSync } from "node:fs";
import { join } from "node:path";
import { roles } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { lintDefinition } from "../src/lint.ts";

const front = `name: qa
description: Keeps the suite the judge of correctness.
questbus:
  role: qa
  phases: { test: runs it, fix: sorts it, validate: signs off }
`;
const lint = (text: string, place = "/x/agents/qa/AGENT.md") =>
  lintDefinition(`---\n${text}---\n# QA\n`, { file: "AGENT.md", place });

test.each(roles)("the file of %s has nothing wrong", (role) => {
  const place = join(import.meta.dirname, "../../../agents", role, "AGENT.md");
  expect(lintDefinition(readFileSync(place, "utf8"), { file: "AGENT.md", place })).toEqual({
    errors: [],
    warnings: [],
  });
});

describe("keys that are not known", () => {
  test("at the top they are warnings, with their place and the key that was meant", () => {
    expect(lint(`${front}modle: opus\nsomething: else\n`)).toEqual({
      errors: [],
      warnings: [
        {
          code: "AGENT_FILE_INVALID",
          message: "modle: unknown key",
          where: "AGENT.md:7:1",
          next: "did you mean model?",
        },
        {
          code: "AGENT_FILE_INVALID",
          message: "something: unknown key",
          where: "AGENT.md:8:1",
          next: "remove it, unless another program reads it",
        },
      ],
    });
  });

  test("in our map they are errors, and warnings are told beside them", () => {
    const { errors, warnings } = lint(`${front}  rolle: qa\nmodle: opus\n`);
    expect(errors).toMatchObject([
      { where: "AGENT.md:7:3", next: expect.stringContaining("did you mean role?") },
    ]);
    expect(warnings).toMatchObject([{ where: "AGENT.md:8:1" }]);
  });

  test("one that had to be there is told once, as what it was meant to be", () => {
    const { errors } = lint(front.replace("  role:", "  rol:"));
    expect(errors).toMatchObject([{ where: "AGENT.md:5:3", message: "questbus.rol: unknown key" }]);
  });

  test("questbus itself misspelt is told once", () => {
    const { errors, warnings } = lint(front.replace("questbus:", "qestbus:"));
    expect(errors).toMatchObject([{ message: expect.stringContaining("questbus: missing") }]);
    expect(warnings).toMatchObject([{ where: "AGENT.md:4:1", next: "did you mean questbus?" }]);
  });
});

test("a name that is not that of its file is an error", () => {
  expect(lint(front, "/x/agents/tests/AGENT.md").errors).toMatchObject([{ where: "AGENT.md:2:7" }]);
  expect(lint(front, "/x/.claude/agents/qa.md").errors).toEqual([]);
});

describe("the words that a role is asked by", () => {
  test.each([
    ["keywords: [Suite]", "AGENT.md:7:14", "in lower case"],
    ["keywords: [te*]", "AGENT.md:7:14", "three characters"],
    ["keywords: [a b c d e]", "AGENT.md:7:14", "one to four words"],
    ["keywords: [suite, suite]", "AGENT.md:7:13", "name each once"],
    ["activate: [SLO violation]", "AGENT.md:7:14", "use a-z"],
    ["activate: alert", "AGENT.md:7:13", ""],
    ["keyword: [suite]", "AGENT.md:7:3", "unknown key"],
  ])("%s is an error with its place", (line, where, message) => {
    const { errors } = lint(`${front}  ${line}\n`);
    expect(errors).toMatchObject([{ where, message: expect.stringContaining(message) }]);
  });

  test("words, phrases and open endings are fine, and so is having none", () => {
    expect(lint(`${front}  keywords: [suite*, cold start, größe]\n  activate: [deploy]\n`).errors).toEqual(
      [],
    );
  });
});
