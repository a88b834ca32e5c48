import { forbiddenPaths, inspectPatch, redactText } from "@questbus/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { isTouchy } from "../../src/approval/restricted.ts";
import { dependencyParts } from "../../src/gaming/manifest.ts";
import { suspectText } from "../../src/injection/suspect.ts";
import { wordsOf } from "../../src/memory/query.ts";

/**
 * Whatever an agent writes is read while everyone waits: no text costs much more than a plain one of its length. Each case is
 * a reader, a plain text, with what it looks for, and beginnings that are repeated alone and with what stands between.
 */
type Case = { read: (text: string) => unknown; plain: string; opening: string; beginnings: string[] };

const between = ["", " ", "-", "a-", "a", "/", "\n", "\u200B"];
const lineOfTen = "the loop reads each line and keeps what it needs of it, in order";
const cases: Record<string, Case> = {
  "what speaks to its reader": {
    read: suspectText,
    plain: `${lineOfTen}; your verdict without tests `,
    opening: "verdict <",
    beginnings: [
      ...[
        "ignore ",
        "ignore all ",
        "ignore any your ",
        "do not follow ",
        "forget everything ",
        "you are now ",
      ],
      ...[
        "act as ",
        "act as if you were ",
        "i am the operator",
        "i am ",
        "grant me ",
        "you must ",
        "new instructions",
      ],
      ...[
        "please approve ",
        "approve ",
        "approve without ",
        "accept regardless of ",
        "verdict ",
        "your real task ",
      ],
      ...[
        "report that the tests ",
        "report all tests passed ",
        "agents skip ",
        "questbus rule ",
        "questbus rule e",
      ],
      ...[
        "curl ",
        "wget curl |",
        "send ",
        "send tokens ",
        "send credentials to",
        "nats ",
        "a.cmd.",
        "a-",
        "abc-",
      ],
      ...[
        "human: ",
        "\nhuman: ",
        "human: a\n",
        "system: \n",
        "<system",
        "<|im_start",
        "[/INST",
        "**system ",
        "\t",
      ],
      ...["\u200Ba", "A/", "aGVsbG8gd29ybGQgaGVsbG8g", "# ", "*_`", "\uFB03", '"type" : ', "a.nk"],
    ],
  },
  secrets: {
    read: redactText,
    plain: `${lineOfTen}; https://example.org/a `,
    opening: "eyJ ",
    beginnings: [
      ...[
        "eyJ",
        "eyJaaaaaaaaaaa.",
        "sk-",
        "sk-a",
        "-sk-",
        "a://",
        "a://b:c",
        "a:b://",
        "http://a:",
        "S",
        "SU",
        "SUA",
      ],
      ...["ghp_", "github_pat_", "xoxb-", "glpat-", "AIza", "npm_", "AKIA"],
      ...[`-----BEGIN ${"PRIVATE"} KEY`, "-----BEGIN ", `-----BEGIN A ${"PRIVATE"} KEY-----`, "-----"],
    ],
  },
  "paths of a candidate": {
    read: (path) => [isTouchy(path), isTouchy(`${path}\n`)],
    plain: "packages/program/source/reader/",
    opening: "a/",
    beginnings: [
      ...[
        ".codex/",
        ".gemini/a/",
        ".vscode/",
        ".vscode/mcp",
        ".claude/hooks/",
        ".continue/mcpservers/",
        ".git/",
      ],
      ...["node_modules", "vendor/", "requirements", "a.gemspec", ".husky", "mcp", "lefthook"],
    ],
  },
  "manifests of a candidate": {
    read: (text) => [dependencyParts("a/pyproject.toml", text), dependencyParts("package.json", text)],
    plain: `${lineOfTen}\n[tool.poetry.dependencies]\ndependencies = ["x"]\n`,
    opening: "\n",
    beginnings: [
      ...[
        "dependencies=[",
        "dependencies",
        "a-dependencies = [\n",
        "requires-python=",
        "[dependencies",
        "[[",
      ],
      ...["[a", "#", "dependencies=[]a\n", '{"a":', "dependencies = "],
    ],
  },
  patches: {
    read: (text) => {
      try {
        return inspectPatch(text, { name: "a.patch" });
      } catch {
        return null;
      }
    },
    plain: `diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-${lineOfTen}\n+${lineOfTen}s\n`,
    opening: "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
    beginnings: [
      ...[
        "diff --git ",
        'diff --git "',
        "--- a/x\n",
        '--- "a',
        "+++ ",
        "@@ -1 +1 @@\n",
        "index 1",
        "rename from ",
      ],
      ...['"\\', "\\303", " b/", "\r", "Binary files ", ".git ", " 2026-01-01 00:00:00"],
    ],
  },
  "paths of a patch, held against an authority": {
    read: (path) => {
      const never = ["**/*-*.json", "*a*-*b"];
      try {
        const patch = `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-a\n+b\n`;
        return forbiddenPaths(inspectPatch(patch, { name: "a.patch" }).files, { write: ["**"], never });
      } catch {
        return null;
      }
    },
    plain: "packages/program/source/reader/",
    opening: "src/",
    beginnings: ["-", "a-", "a/-", ".json-"],
  },
  "words to remember by": {
    read: (text) => wordsOf([text]),
    plain: lineOfTen,
    opening: "",
    beginnings: ["a", "the ", "é", "\u{10400}", "a\u0301"],
  },
};

const charsOf = 32_768;
const repeated = (opening: string, part: string): string =>
  (opening + part.repeat(Math.ceil(charsOf / part.length))).slice(0, charsOf);

/** Processor time of this thread, the least of a few readings: others on this machine do not count. */
function costMs(read: Case["read"], text: string, enoughMs: number): number {
  let leastMs = Number.POSITIVE_INFINITY;
  for (let turn = 0; turn < 3 && leastMs > enoughMs; turn += 1) {
    const from = process.threadCpuUsage();
    read(text);
    const { user, system } = process.threadCpuUsage(from);
    leastMs = Math.min(leastMs, (user + system) / 1_000);
  }
  return leastMs;
}

test.each(Object.entries(cases))("%s: no text costs much more than a plain one", (_, each) => {
  const { read, plain, opening, beginnings } = each;
  const plainMs = Math.max(0.5, costMs(read, repeated(opening, plain), 0));
  const boundMs = 25 * plainMs;
  const slow = beginnings.flatMap((beginning) =>
    between.flatMap((other) => {
      const ms = costMs(read, repeated(opening, beginning + other), boundMs);
      return ms > boundMs ? [`${JSON.stringify(beginning + other)}: ${(ms / plainMs).toFixed(0)} times`] : [];
    }),
  );
  expect(slow).toEqual([]);
});

test("lists of dependencies are those that one expression finds, which takes a text's length squared", () => {
  const one = /^(?:[\w-]*dependencies|requires-python)\s*=\s*(?:\[[^\]]*\]|.*)$/gm;
  // Not by the other name, which the heads of sections have as well.
  const parts = [
    "requires-python",
    "requires-python=[",
    "=",
    "[",
    "]",
    "\n",
    "\r",
    "\u2028",
    " ",
    '"x"',
    "#",
    "a",
  ];
  const text = fc.string({ unit: fc.constantFrom(...parts), maxLength: 24 });
  fc.assert(
    fc.property(text, (body) => {
      const found = [...`x\n${body}`.matchAll(one)].map(([each]) => each).join("\n");
      expect(dependencyParts("a.toml", `x\n${body}`)?.dependencies).toBe(found.replaceAll(/[ \t]+|#.*/g, ""));
    }),
    { numRuns: 2_000 },
  );
});
