import { type Fault, limit, QuestbusError, questDocument } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { readDocument } from "../src/yaml-document.ts";

const whole = `version: 1
title: Faster search
target:
  repo: ../search
measure:
  command: node bench.mjs
  metric: { name: p95_ms, from: metric-line }
goal: { improveBy: 20% }
tests: { command: npm test }
fixers:
  - { patch: a.patch }
`;

function faultsIn(text: string): readonly Fault[] {
  try {
    readDocument(text, { file: "quest.yaml", code: "QUEST_FILE_INVALID", schema: questDocument });
  } catch (error) {
    if (error instanceof QuestbusError) return error.faults;
    throw error;
  }
  return [];
}

const told = (text: string): string[] => faultsIn(text).map((fault) => `${fault.where} ${fault.message}`);
const places = (text: string): (string | undefined)[] => faultsIn(text).map((fault) => fault.where);

describe("a document that is right", () => {
  it("is read with its defaults", () => {
    const read = readDocument(whole, { file: "q", code: "QUEST_FILE_INVALID", schema: questDocument });
    expect(read).toMatchObject({
      intent: "optimize",
      guards: [],
      signOff: ["architect", "performance", "qa", "ops"],
    });
  });

  it("may be JSON", () => {
    const json = JSON.stringify({ list: ["a"], on: true });
    const schema = z.strictObject({ list: z.array(z.string()), on: z.boolean() });
    expect(readDocument(json, { file: "q.json", code: "QUEST_FILE_INVALID", schema })).toEqual({
      list: ["a"],
      on: true,
    });
    expect(
      readDocument(JSON.stringify({ list: ["a"], on: true }, null, 2), {
        file: "q",
        code: "QUEST_FILE_INVALID",
        schema,
      }),
    ).toEqual(JSON.parse(json));
  });

  it("keeps what YAML 1.1 would have read otherwise", () => {
    const schema = z.strictObject({ a: z.string(), b: z.string(), c: z.string() });
    expect(
      readDocument("a: no\nb: 1:30\nc: on\n", { file: "q", code: "QUEST_FILE_INVALID", schema }),
    ).toEqual({
      a: "no",
      b: "1:30",
      c: "on",
    });
  });

  it("may use an alias", () => {
    const schema = z.strictObject({ a: z.array(z.int()), b: z.array(z.int()) });
    expect(readDocument("a: &x [1]\nb: *x\n", { file: "q", code: "QUEST_FILE_INVALID", schema })).toEqual({
      a: [1],
      b: [1],
    });
  });
});

describe("every fault has file:line:column", () => {
  it("a wrong value, where the value stands", () => {
    const text = whole.replace("name: p95_ms", "name: 9lives").replace("improveBy: 20%", "improveBy: lots");
    expect(told(text)).toEqual([
      "quest.yaml:7:19 measure.metric.name: start with a letter; letters, digits, _ . - only",
      "quest.yaml:8:20 goal.improveBy: write a percentage such as 20%",
    ]);
  });

  it("all of them at once, each at its own place", () => {
    const text = whole.replace("version: 1", "version: 2").replace("npm test }", "npm test, timeout: soon }");
    expect(places(text)).toEqual(["quest.yaml:1:10", "quest.yaml:9:38"]);
  });

  it("what is missing, where its parent stands", () => {
    const [fault, ...more] = faultsIn(whole.replace("  repo: ../search\n", "  ref: main\n"));
    expect(fault).toMatchObject({ where: "quest.yaml:4:3", code: "QUEST_FILE_INVALID" });
    expect(fault?.message).toContain("target.repo");
    expect(more).toEqual([]);
  });

  it("an item of a list", () => {
    const text = whole.replace(
      "  - { patch: a.patch }",
      "  - { patch: a.patch }\n  - { command: x, timeout: 5 }",
    );
    expect(told(text)).toEqual([expect.stringMatching(/^quest\.yaml:12:28 fixers\[1\]\.timeout: /)]);
  });

  it("a rule over several fields, at the field that it is about", () => {
    expect(places(whole.replace("goal: { improveBy: 20% }\n", "goal: { margin: 2% }\n"))).toEqual([
      "quest.yaml:8:7",
    ]);
  });

  it("an empty file, and a file that is no map", () => {
    expect(places("")).toEqual(["quest.yaml:1:1"]);
    expect(places("# only a comment\n")).toHaveLength(1);
    expect(places("- a\n- b\n")).toEqual(["quest.yaml:1:1"]);
    expect(places("just words\n")).toEqual(["quest.yaml:1:1"]);
  });

  it("moved down by the lines that stand before the document", () => {
    const options = {
      file: "A.md",
      code: "AGENT_FILE_INVALID" as const,
      schema: z.strictObject({ a: z.int() }),
      lineOffset: 4,
    };
    expect(() => readDocument("\na: x\n", options)).toThrow(
      expect.objectContaining({ faults: [expect.objectContaining({ where: "A.md:6:4" })] }),
    );
  });
});

describe("an unknown key", () => {
  it("is named with its path, and with the keys that are known there", () => {
    expect(faultsIn(whole.replace("  repo:", "  repos:"))).toContainEqual(
      expect.objectContaining({
        message: "target.repos: unknown key",
        where: "quest.yaml:4:3",
        next: "did you mean repo? Known keys here: repo, ref, prepare, candidate",
      }),
    );
  });

  it("at the top", () => {
    const [fault] = faultsIn(`${whole}fixer: []\n`);
    expect(fault).toMatchObject({ message: "fixer: unknown key", where: "quest.yaml:12:1" });
    expect(fault?.next).toContain("version, title, intent, target, measure");
  });

  it("stands where its key is, also when its value begins on the next line", () => {
    expect(places(`${whole}gaols:\n  improveBy: 20%\n`)).toEqual(["quest.yaml:12:1"]);
  });

  it("in each of several places", () => {
    const text = `${whole.replace("from: metric-line", "form: metric-line")}extra: 1\n`;
    const unknown = told(text).filter((each) => each.includes("unknown"));
    expect(unknown.sort()).toEqual([
      "quest.yaml:12:1 extra: unknown key",
      "quest.yaml:7:27 measure.metric.form: unknown key",
    ]);
  });
});

describe("words", () => {
  const first = (from: string, to: string) => faultsIn(whole.replace(from, to))[0]?.message;

  it("are those of who writes the file", () => {
    expect(first("from: metric-line", "from: metric-line, better: less")).toBe(
      "measure.metric.better: write lower or higher",
    );
    expect(first("Faster search", "[a]")).toBe("title: write text, not a list");
    expect(first("tests:", "budget: { passes: many }\ntests:")).toBe(
      "budget.passes: write a number, not text",
    );
    expect(told("")).toEqual(["quest.yaml:1:1 the file is empty"]);
  });

  it("one misspelt key is one fault", () => {
    expect(told(whole.replace("title:", "titel:"))).toEqual(["quest.yaml:2:1 titel: unknown key"]);
  });

  it("a quote that does not end is told where it begins, and nothing that follows from it", () => {
    expect(told('version: 1\ntitle: "Faster\ntarget:\n  repo: x\n')).toEqual([
      'quest.yaml:2:8 the quote " that begins here does not end',
    ]);
    expect(told("m: { command: 'node bench.mjs }\ntests: { command: npm test }\n")).toEqual([
      "quest.yaml:1:15 the quote ' that begins here does not end",
    ]);
  });
});

describe("a union, such as a fixer", () => {
  const fixer = (text: string): string[] => told(whole.replace("{ patch: a.patch }", text));

  it("is told of the branch that was meant", () => {
    expect(fixer("{ patch: a.patch, timeout: 5m }")).toEqual([
      "quest.yaml:11:23 fixers[0].timeout: unknown key",
    ]);
    expect(fixer("{ command: x, timeout: 5 }")).toEqual([
      expect.stringContaining("quest.yaml:11:28 fixers[0].timeout"),
    ]);
    expect(fixer("{ command: x, tiemout: 5m }")).toEqual(["quest.yaml:11:19 fixers[0].tiemout: unknown key"]);
  });

  it("tells what is wrong inside, however much it is, and not that another branch was not meant", () => {
    const knobs = "{ knobs: { parameters: [{ name: 1, values: [] }], trials: 0 } }";
    const messages = faultsIn(whole.replace("{ patch: a.patch }", knobs)).map(({ message }) => message);
    expect(messages.length).toBeGreaterThan(2);
    for (const each of messages) expect(each).toContain("fixers[0].knobs.");
  });

  it("lists the keys of every branch for an unknown one", () => {
    const [fault] = faultsIn(whole.replace("{ patch: a.patch }", "{ patch: a.patch, x: 1 }"));
    expect(fault?.next).toBe(
      "known keys here: patch, command, timeout, asks, knobs, cli, model, extraArgs, env, quotaWait, human, worker, turns",
    );
  });

  it("of neither kind has a place too", () => {
    expect(fixer("a.patch").every((each) => each.startsWith("quest.yaml:11:5 fixers[0]"))).toBe(true);
    expect(fixer("{}").length).toBeGreaterThan(0);
  });
});

describe("what is not YAML", () => {
  it.each([
    ["an open list", "a: [1, 2\nb: 3\n"],
    ["a tab as indentation", "a:\n\tb: 1\n"],
    ["a key that is there twice", "version: 1\ntitle: a\ntitle: b\n"],
    ["two documents", "a: 1\n---\nb: 2\n"],
    ["an alias of nothing", "a: *nothing\n"],
    ["a quote that does not end", 'a: "x\n'],
  ])("%s is told with its place", (_, text) => {
    const faults = faultsIn(text);
    expect(faults.length).toBeGreaterThan(0);
    for (const fault of faults) {
      expect(fault.code).toBe("QUEST_FILE_INVALID");
      expect(fault.where).toMatch(/^quest\.yaml:\d+:\d+$/);
      expect(fault.next).toBe("correct the YAML here");
    }
  });

  it("a key that is there twice is told where it stands the second time", () => {
    expect(places("version: 1\ntitle: a\ntitle: b\n")).toEqual(["quest.yaml:3:1"]);
  });

  it("aliases of aliases of aliases are refused, not followed", () => {
    const levels = ["a: &a [x, x, x, x, x, x, x, x, x]"];
    for (const [from, to] of ["ab", "bc", "cd", "de", "ef"].map((pair) => [...pair])) {
      levels.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(", ")}]`);
    }
    expect(faultsIn(levels.join("\n"))).toMatchObject([{ code: "QUEST_FILE_INVALID" }]);
  });

  it("nothing that a file can hold is an error of ours", () => {
    for (const text of [
      "\u0000",
      "\ufeffversion: 1",
      "? [a]: b",
      "1: 2",
      "a: !!binary x",
      "%YAML 3.0\n---\n",
      "a: &x [*x]",
      "{".repeat(200),
    ]) {
      expect(faultsIn(text).map((fault) => fault.code)).not.toContain("INTERNAL");
    }
    expect(limit.questFileBytesMax).toBeGreaterThan(whole.length);
  });
});
