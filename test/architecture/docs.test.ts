import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { httpTarget, metricFormats, metricSource, roles, statistics } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { readCode, readSources } from "./source-text.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");

/** Every path of the repository that a text names in backticks; `<role>` stands for each of the four. */
function pathsIn(markdown: string): string[] {
  const inline = [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, text]) => text as string);
  const paths = inline.filter((text) =>
    /^(?:packages|agents|test|tools|schemas|docs|examples|config)\/[^\s]*$/.test(text),
  );
  return [...new Set(paths.flatMap((path) => roles.map((role) => path.replaceAll("<role>", role))))];
}

const exists = (path: string): boolean =>
  path.includes("*") ? globSync(path, { cwd: root }).length > 0 : existsSync(join(root, path));

describe("docs/architecture.md", () => {
  const text = read("docs/architecture.md");

  test("every path it names exists", () => {
    const paths = pathsIn(text);
    expect(paths.length).toBeGreaterThan(30);
    expect(paths.filter((path) => !exists(path))).toEqual([]);
  });

  test("it leaves out no package and no role", () => {
    const homes = [...globSync("packages/*/src", { cwd: root }), ...globSync("agents/*/", { cwd: root })];
    expect(homes.length).toBeGreaterThan(10);
    const names = homes.map((path) => path.replace(/\/(?:src)?$/, ""));
    const named = pathsIn(text);
    expect(
      names.filter((name) => !named.some((path) => path === name || path.startsWith(`${name}/`))),
    ).toEqual([]);
  });

  test("nor does docs/glossary.md name one that does not exist", () => {
    const paths = pathsIn(read("docs/glossary.md"));
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !exists(path))).toEqual([]);
  });

  test("a path that does not exist is seen", () => {
    const planted =
      "see `packages/core/src/quest/decide.ts` and `packages/core/src/none.ts` and `agents/<role>/none.ts`";
    expect(pathsIn(planted).filter((path) => !exists(path))).toEqual([
      "packages/core/src/none.ts",
      ...roles.map((role) => `agents/${role}/none.ts`),
    ]);
  });
});

describe("docs/measures.md", () => {
  /** Format and default of each row of the table of tools. */
  const rows = [
    ...read("docs/measures.md").matchAll(/^\| `([a-z0-9-]+)` \| `([^`]+)` \|.*\|.*\|.*\|.*\|$/gm),
  ];

  test("its table has every format with its default, and no other", () => {
    const documented = rows.map(([, format, selector]) => [format, selector]);
    expect(documented).toEqual(
      Object.entries(metricFormats).map(([format, { selector }]) => [format, selector]),
    );
  });

  test("its table of servers has every key", () => {
    const keys = [...read("docs/measures.md").matchAll(/^\| ((?:`[a-z.A-Z]+`(?:, )?)+) \|/gm)].flatMap(
      ([, cell]) => [...(cell as string).matchAll(/`([^`]+)`/g)].map(([, key]) => key as string),
    );
    const { load, ...rest } = httpTarget.shape;
    const wanted = [...Object.keys(rest), ...Object.keys(load.unwrap().shape).map((key) => `load.${key}`)];
    expect(keys.filter((key) => key.startsWith("load.") || key in rest).sort()).toEqual(wanted.sort());
  });

  test("every source and stat that it shows can be written", () => {
    const text = read("docs/measures.md");
    const shown = [...text.matchAll(/from: "?([a-z0-9-]+(?::[^\s",}`]+)?)/g)].map(
      ([, from]) => from as string,
    );
    expect(shown.length).toBeGreaterThan(3);
    expect(shown.filter((from) => !metricSource.safeParse(from).success)).toEqual([]);
    expect(text).toContain(`stat: ${statistics.join(" | ")}`);
  });
});

type Command = Awaited<ReturnType<typeof programOf>>;

/** The command line as it is built for a run. */
async function programOf() {
  const { buildProgram } = await import("../../packages/cli/src/program.ts");
  return buildProgram(new AbortController().signal, () => {});
}

/** Each `questbus ...` of a text, as words; comments, pipes and placeholders in capitals end it. */
const callsIn = (text: string): string[][] =>
  [...text.matchAll(/(?<![\w./@:{-])questbus((?:[ \t]+[^\s#|;&,`)]+)*)/g)]
    .map(([, rest]) => (rest ?? "").trim().split(/\s+/))
    .filter(([word]) => /^[a-z]/.test(word ?? ""));

/** What is wrong with a call: an unknown command, or an option that the command does not have; null when nothing is. */
function wrongWith(program: Command, words: readonly string[]): string | null {
  let command: Pick<Command, "commands" | "options" | "name"> = program;
  const [first = ""] = words;
  if (first === "help") return null;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) break;
    command = next;
  }
  if (command === program) return `no command ${first}`;
  const flags = words.flatMap((word) => /^--[a-z-]+/.exec(word)?.[0] ?? []);
  const known = ["--help", ...command.options.map((option) => option.long)];
  const unknown = flags.find((flag) => !known.includes(flag));
  return unknown ? `${command.name()} has no ${unknown}` : null;
}

/** Code of a markdown text: fenced blocks and backticks. Prose may say what it likes. */
const codeIn = (markdown: string): string =>
  [...markdown.matchAll(/^```[^\n]*\n([\s\S]*?)^```|`([^`\n]+)`/gm)]
    .map(([, block, inline]) => block ?? inline)
    .join("\n");

/** A command inside a message, where it stands as something to type: `run questbus doctor`, `list them: questbus list`. */
const typed = /(?:\b(?:run|with) |: |`|^\s+)(questbus [a-z][^`\n]*)/gm;

describe("commands that people are told to type", () => {
  test.each([
    "README.md",
    "docs/errors.md",
    "docs/architecture.md",
    "docs/backup.md",
    "docs/standby.md",
    "docs/fixers.md",
    "docs/gate.md",
    "docs/verdict.md",
    "docs/stages.md",
    "docs/cli.md",
    "docs/mcp.md",
    "docs/memory.md",
    "CHANGELOG.md",
  ])("%s names real ones", async (path) => {
    const program = await programOf();
    const calls = callsIn(codeIn(read(path)));
    expect(calls.length).toBeGreaterThan(path === "CHANGELOG.md" ? 0 : 2);
    expect(calls.flatMap((words) => wrongWith(program, words) ?? [])).toEqual([]);
  });

  test("docs/cli.md has every command", async () => {
    const program = await programOf();
    const named = new Set(callsIn(codeIn(read("docs/cli.md"))).map(([word]) => word));
    expect(program.commands.map((command) => command.name()).filter((name) => !named.has(name))).toEqual([]);
  });

  test("the next steps in messages name real ones", async () => {
    const program = await programOf();
    const strings = readSources("packages", "agents")
      .filter(({ path }) => !path.includes("/test/"))
      .flatMap(({ text }) => readCode(text).strings);
    const told = strings.flatMap((text) =>
      callsIn([...text.matchAll(typed)].map(([, call]) => call).join("\n")),
    );
    expect(told.length).toBeGreaterThan(5);
    expect(told.flatMap((words) => wrongWith(program, words) ?? [])).toEqual([]);
  });

  test("a command or option that does not exist is seen", async () => {
    const program = await programOf();
    const planted =
      "questbus runs FILE\nquestbus run --fast x | cat\nquestbus audit verify --state d # fine\nquestbus --help";
    expect(callsIn(planted).map((words) => wrongWith(program, words))).toEqual([
      "no command runs",
      "run has no --fast",
      null,
    ]);
  });
});

test("every npm script that the README and set-up name exists", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const named = [
    ...`${codeIn(read("README.md"))}\n${read("tools/setup.mjs")}`.matchAll(/\bnpm (?:run ([\w:-]+)|(test))/g),
  ].map(([, run, test]) => run ?? test);
  expect(named).toContain("test");
  expect(named.filter((name) => !((name as string) in scripts))).toEqual([]);
});

test("every page that another one links to exists", () => {
  const pages = ["README.md", ...globSync("docs/*.md", { cwd: root })];
  const links = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(([, to]) =>
      join(dirname(page), to as string),
    ),
  );
  expect(links.length).toBeGreaterThan(20);
  expect(links.filter((path) => !exists(path))).toEqual([]);
});
