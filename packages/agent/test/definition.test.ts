import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { routeEvent, routeText } from "@questbus/core";
import { type Fault, QuestbusError, roles } from "@questbus/protocol";
import { afterEach, describe, expect, it } from "vitest";
import { builtInDefinitions } from "../src/built-in.ts";
import { inspectKeys, loadDefinition, parseDefinition } from "../src/definition.ts";

const agents = join(import.meta.dirname, "../../../agents");

const front = `name: qa
description: Keeps the suite the judge of correctness.
tools: Read, Bash
questbus:
  role: qa
  phases:
    test: runs the suite on the base
    fix: separates flaky from failing
    validate: runs the suite on the candidate
`;
const file = (text: string): string => `---\n${text}---\n# QA\n\nYou say whether it is correct.\n`;

function faultsOf(action: () => unknown): readonly Fault[] {
  try {
    action();
  } catch (error) {
    if (error instanceof QuestbusError) return error.faults;
    throw error;
  }
  return [];
}
const faultsIn = (text: string): readonly Fault[] => faultsOf(() => parseDefinition(text, "AGENT.md"));

describe("the definitions of the four agents", () => {
  it.each(roles)("%s is read without a warning", (role) => {
    const path = join(agents, role, "AGENT.md");
    const text = readFileSync(path, "utf8");
    const definition = parseDefinition(text, path);
    expect(inspectKeys(text, path).warnings).toEqual([]);
    expect(definition).toMatchObject({ name: role, role });
    expect(definition.body).toMatch(/^# /);
    for (const text of Object.values(definition.phases)) expect(text.length).toBeGreaterThan(10);
    expect(loadDefinition(agents, role)).toEqual(definition);
  });

  it("performance may never write into git's own folder", () => {
    expect(loadDefinition(agents, "performance").never).toContain(".git/**");
  });
});

describe("a definition", () => {
  it("is its front matter and its text", () => {
    expect(parseDefinition(file(front), "AGENT.md")).toEqual({
      name: "qa",
      description: "Keeps the suite the judge of correctness.",
      role: "qa",
      phases: {
        test: "runs the suite on the base",
        fix: "separates flaky from failing",
        validate: "runs the suite on the candidate",
      },
      never: [],
      keywords: [],
      activate: [],
      commands: ["*"],
      tools: ["Read", "Bash"],
      body: "# QA\n\nYou say whether it is correct.",
    });
  });

  it("may have the line ends of Windows, and rules of --- in its text", () => {
    const definition = parseDefinition(`${file(front)}\n---\nmore\n`.replaceAll("\n", "\r\n"), "AGENT.md");
    expect(definition.role).toBe("qa");
    expect(definition.body).toContain("more");
  });

  it("an unknown key in our map is an error, with its line and the keys that are known", () => {
    expect(faultsIn(file(`${front}  phase: test\n`))).toEqual([
      {
        code: "AGENT_FILE_INVALID",
        message: "questbus.phase: unknown key",
        where: "AGENT.md:11:3",
        next: "did you mean phases? Known keys here: role, phases, never, commands, keywords, activate",
      },
    ]);
    const [deep] = faultsIn(file(front.replace("    test:", "    tset: x\n    test:")));
    expect(deep).toMatchObject({ message: "questbus.phases.tset: unknown key", where: "AGENT.md:8:5" });
  });

  it("an unknown key at the top is a warning: other programs read the file too", () => {
    const { warnings } = inspectKeys(file(`${front}colour: red\nmodel: opus\n`), "AGENT.md");
    expect(warnings).toMatchObject([{ where: "AGENT.md:11:1", next: "did you mean color?" }]);
  });

  it.each([
    ["a role that does not exist", front.replace("role: qa", "role: boss"), "AGENT.md:6:9"],
    ["a name with capitals", front.replace("name: qa", "name: QA"), "AGENT.md:2:7"],
    ["no description", front.replace(/description.*\n/, ""), "AGENT.md:2:1"],
    ["an empty phase", front.replace("runs the suite on the base", '""'), "AGENT.md:8:11"],
    ["a broken front matter", front.replace("questbus:", "questbus: ["), null],
  ])("%s is an error with its place", (_, text, where) => {
    const faults = faultsIn(file(text));
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) {
      expect(fault).toMatchObject({
        code: "AGENT_FILE_INVALID",
        where: expect.stringMatching(/^AGENT\.md:\d+:\d+$/),
      });
    }
    if (where) expect(faults.map((fault) => fault.where)).toContain(where);
  });

  it.each(["", "# QA\n", `---\n${front}`, front])(
    "without front matter is an error at its first line: %j",
    (text) => {
      expect(faultsIn(text)).toMatchObject([
        {
          code: "AGENT_FILE_INVALID",
          where: "AGENT.md:1:1",
          next: expect.stringContaining("agents/qa/AGENT.md"),
        },
      ]);
    },
  );
});

describe("the definition of a role", () => {
  const dirs: string[] = [];
  afterEach(() => {
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  function rootWith(role: string, text: string): string {
    const root = mkdtempSync(join(tmpdir(), "questbus-agents-"));
    dirs.push(root);
    mkdirSync(join(root, role));
    writeFileSync(join(root, role, "AGENT.md"), text);
    return root;
  }

  it("must be of that role", () => {
    const root = rootWith("ops", file(front));
    expect(faultsOf(() => loadDefinition(root, "ops"))).toMatchObject([
      { code: "AGENT_FILE_INVALID", where: join(root, "ops", "AGENT.md") },
    ]);
  });

  it("must be there", () => {
    const root = rootWith("ops", "");
    expect(faultsOf(() => loadDefinition(root, "qa"))).toMatchObject([
      { code: "AGENT_FILE_INVALID", message: "the definition is missing" },
    ]);
  });
});

describe("the words of the built-in agents", () => {
  const definitions = builtInDefinitions();

  it("are no two roles' at once", () => {
    const words = definitions.flatMap(({ keywords }) => keywords);
    expect(new Set(words).size).toBe(words.length);
  });

  it.each([
    ["which suite covers the parser?", "qa"],
    ["is the coverage of the tests enough?", "qa"],
    ["why is parse() slower than last week?", "performance"],
    ["profile the start of the server process, where is the latency?", "performance"],
    ["is this machine fit, is the disk full?", "ops"],
    ["roll back the release", "ops"],
    ["what is the blast radius of the plan?", "architect"],
    ["have performance handle this", "performance"],
    ["@qa is it fine?", "qa"],
  ])("%s: %s", (text, wanted) => {
    expect(routeText(text, definitions)).toMatchObject({ role: wanted });
  });

  it.each(["alert", "slo-violation", "deploy", "schedule", "forecast"])("%s activates somebody", (event) => {
    expect(routeEvent(event, definitions)).toMatchObject({ roles: [expect.any(String)] });
  });
});
