import { describe, expect, test } from "vitest";
import { scan } from "./change.ts";

type Texts = Readonly<Record<string, string | null>>;
const said = (base: Texts, candidate: Texts, allowDependencies = false): string[] =>
  scan(base, candidate, { allowDependencies }).map(
    ({ kind, message }) => `${kind} ${message.split(";", 1)[0]}`,
  );
const manifest = (over: object = {}): string => JSON.stringify({ name: "work", version: "1.0.0", ...over });

describe("what the base gives to others must not get less", () => {
  test.each([
    ["export function a() {}\nexport const b = 1;\n", "export function a() {}\n", "b"],
    ["export { a, c as d };\n", "export { a };\n", "d"],
    ["export default class {}\nexport class B {}\n", "export class B {}\n", "default"],
    [
      "export * from './x.mjs';\nexport * as y from './y.mjs';\n",
      "export * as y from './y.mjs';\n",
      "* from ./x.mjs",
    ],
    ["export const { a, b: c } = of();\n", "export const { a } = of();\n", "c"],
    [
      "export async function* a() {}\nexport abstract class B {}\nexport enum C {}\n",
      "export enum C {}\n",
      "a, B",
    ],
    ["export type A = 1;\nexport interface B {}\n", "export interface B {}\n", "A"],
    ["exports.a = 1;\nmodule.exports.b = 2;\n", "exports.a = 1;\n", "b"],
    ["module.exports = { a, b: c(1, { d }), e() {} };\n", "module.exports = { a, e() {} };\n", "b"],
    ['Object.defineProperty(exports, "a", { get });\nexports.b = 1;\n', "exports.b = 1;\n", "a"],
    ["module.exports = work;\nmodule.exports.a = 1;\n", "module.exports = work;\n", "a"],
  ])("%j", (base, candidate, lost) => {
    for (const path of ["src/a.ts", "a.cjs"])
      expect(said({ [path]: base }, { [path]: candidate })).toEqual([
        `surface ${path} no longer exports: ${lost}`,
      ]);
  });

  test.each([
    [
      "other order, and one more",
      { "a.mjs": "export { a };\nexport { b };\n" },
      { "a.mjs": "export { b, a, c };\n" },
    ],
    [
      "a comment named it",
      { "a.mjs": "export { a }; // export { b }\n/* export { c } */" },
      { "a.mjs": "export { a };\n" },
    ],
    [
      "a string named it",
      { "a.mjs": "export const a = 'export { b }';\n" },
      { "a.mjs": "export const a = '';\n" },
    ],
    ["not exported", { "a.mjs": "export { a };\nconst b = 1;\n" }, { "a.mjs": "export { a };\n" }],
    [
      "moved",
      { "a.mjs": "export { a };\nexport { b };\n", "c.mjs": "" },
      { "a.mjs": "export { a };\n", "c.mjs": "export { b };\n" },
    ],
    [
      "the file is moved",
      { "a.mjs": "export { a };\n" },
      { "a.mjs": null, "b.mjs": "export const a = 1;\n" },
    ],
    ["renamed inside", { "a.mjs": "export { slow };\n" }, { "a.mjs": "export { quick };\n" }],
    [
      "known by running only",
      { "a.cjs": "module.exports = { ...b, c };\n" },
      { "a.cjs": "module.exports = { ...b };\n" },
    ],
    ["a test goes", { "test/a.test.mjs": "export { a };\n" }, { "test/a.test.mjs": null }],
  ])("%s is no loss", (_, base: Texts, candidate: Texts) => {
    expect(said(base, candidate)).toEqual([]);
  });

  test("a public file may not rename, nor go; an inner one may be renamed", () => {
    const base = { "package.json": manifest({ exports: { ".": "./src/index.mjs", "./x": "./src/x.mjs" } }) };
    const index = { ...base, "src/index.mjs": "export { slow };\n" };
    expect(said(index, { ...base, "src/index.mjs": "export { quick };\n" })).toEqual([
      "surface src/index.mjs no longer exports: slow",
    ]);
    expect(said({ ...base, "src/x.mjs": "go();\n" }, base)).toEqual([
      "surface src/x.mjs is removed, which package.json names",
    ]);
  });

  test("what package.json offers", () => {
    const offer = (over: object): Texts => ({ "package.json": manifest(over) });
    const base = offer({ exports: { ".": "./a.mjs", "./b": "./b.mjs" }, bin: { work: "./cli.mjs" } });
    expect(said(base, offer({ exports: { ".": "./a.mjs" }, bin: {} }))).toEqual([
      "surface package.json no longer offers: exports ./b, bin work",
    ]);
  });

  test("go, rust and python", () => {
    expect(
      said({ "a.go": "func A() {}\nfunc (t T) B() {}\nfunc c() {}\n" }, { "a.go": "func A() {}\n" }),
    ).toEqual(["surface a.go no longer exports: B"]);
    expect(said({ "a.rs": "pub fn a() {}\nfn b() {}\n" }, { "a.rs": "fn b() {}\n" })).toHaveLength(1);
    expect(said({ "a.py": '__all__ = ["a", "b"]\n' }, { "a.py": '__all__ = ["a"]\n' })).toHaveLength(1);
    expect(said({ "a.py": "def a(): pass\n" }, { "a.py": "def b(): pass\n" })).toEqual([]);
  });
});

describe("another dependency needs the operator's approval", () => {
  const base = {
    "package.json": manifest({ dependencies: { a: "1.0.0" }, scripts: { test: "node --test" } }),
  };
  test.each([
    ["package.json", manifest({ dependencies: { a: "1.0.1" } })],
    ["package.json", manifest({ dependencies: { a: "1.0.0" }, overrides: { b: "2.0.0" } })],
    ["package.json", manifest({ dependencies: { a: "1.0.0" }, engines: { node: ">=24" } })],
    ["package.json", "{"],
    ["package-lock.json", "{}"],
    ["tools/yarn.lock", "a"],
    [".npmrc", "registry=x"],
    ["go.mod", "module x"],
    ["requirements-dev.txt", "a==1"],
    ["node_modules/a/index.js", "module.exports = 1;"],
    ["Cargo.toml", '[dependencies]\na = "1"\n'],
    ["pyproject.toml", '[project]\ndependencies = [\n  "a>=1",\n]\n'],
  ])("%s: %s", (path, text) => {
    expect(said(base, { ...base, [path]: text }).some((each) => each.startsWith("dependency "))).toBe(true);
    expect(said(base, { ...base, [path]: text }, true)).toEqual([]);
  });

  test.each([
    ["package.json", manifest({ version: "1.0.1", scripts: { lint: "x" }, dependencies: { a: "1.0.0" } })],
    ["Cargo.toml", "[profile.release]\nlto = true\nopt-level = 3\n"],
    ["pyproject.toml", "[tool.ruff]\nline-length = 100\n"],
    ["src/package.mjs", "export const a = 1;\n"],
  ])("%s without one: %s", (path, text) => {
    expect(said(base, { ...base, [path]: text })).toEqual([]);
  });

  test("work moved to the installation is suspect, approved or not", () => {
    const moved = {
      "package.json": manifest({ dependencies: { a: "1.0.0" }, scripts: { postinstall: "node warm.mjs" } }),
    };
    for (const allowed of [true, false])
      expect(said(base, moved, allowed)).toEqual([
        'carried-state moves work to the installation, which no run pays for: the script postinstall is "node warm.mjs"',
      ]);
  });
});

describe("stored answers", () => {
  const code = "export const a = 1;\n";
  const rows = (count: number): string =>
    Array.from({ length: count }, (_, at) => `  [${at}, "v${at}", 0x1f],\n`).join("");
  test.each([
    ["one long line", { "a.mjs": `${code}const known = [${"17, ".repeat(1_500)}];\n` }],
    ["one long text", { "a.mjs": `${code}const known = "${"abc ".repeat(1_500)}";\n` }],
    ["many lines of values", { "a.mjs": `${code}const known = [\n${rows(201)}];\n` }],
    ["a large data file", { "src/known.json": `[\n${rows(400)}]\n` }],
    [
      "a data file that the new code reads",
      { "a.mjs": `${code}import known from "./known.json";\n`, "known.json": `[\n${rows(20)}]\n` },
    ],
    ["a binary file", { "src/known.dat": "v8\0\x01" }],
    ["a source that is read as no text", { "a.mjs": `${code}// \0\nexport const b = process.ppid;\n` }],
    ...["docs/known.md", "known.config.json", "known.tbl", "src/known"].map((path): [string, Texts] => [
      `what the new code reads in a place where data is not looked for: ${path}`,
      {
        "a.mjs": `${code}const read = readFileSync("${path}", "utf8");\n`,
        [path]: rows(400),
      },
    ]),
  ])("%s", (_, change: Texts) => {
    expect(
      said({ "a.mjs": code }, { "a.mjs": code, ...change }).map((each) => each.split(":", 1)[0]),
    ).toEqual(["implausible it looks like stored answers"]);
  });

  test.each([
    ["a table as a CRC's", { "a.mjs": `${code}const table = [\n${rows(64)}];\n` }],
    ["a long line of code", { "a.mjs": `${code}${"call(a, b);".repeat(500)}\n` }],
    ["data of a test", { "test/fixtures/large.json": `[\n${rows(400)}]\n` }],
    ["a document", { "docs/table.md": rows(400) }],
    ["a picture", { "docs/known.png": "PNG\0" }],
    ["a style sheet", { "a.css": rows(400) }],
    ["a template that the new code reads", { "a.mjs": `${code}read("row.tpl");\n`, "row.tpl": rows(20) }],
    [
      "settings that the new code reads",
      { "a.mjs": `${code}read("a.config.json");\n`, "a.config.json": rows(20) },
    ],
    ["many lines of code", { "a.mjs": `${code}${"count += list[0];\n".repeat(300)}` }],
  ])("%s is none", (_, change: Texts) => {
    expect(said({ "a.mjs": code }, { "a.mjs": code, ...change })).toEqual([]);
  });
});
