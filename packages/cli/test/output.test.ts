import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { note, paintError, printData, table, textLines } from "../src/output.ts";

let printed: string;
const keep = (text: unknown): boolean => {
  printed += String(text);
  return true;
};
beforeEach(() => {
  printed = "";
  vi.stubEnv("FORCE_COLOR", "1");
  vi.stubEnv("NO_COLOR", undefined);
  for (const stream of [process.stdout, process.stderr]) vi.spyOn(stream, "write").mockImplementation(keep);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
});

test("colours of paint reach the terminal, those in a text do not, painted or not", () => {
  note(`${paintError("red", "a\u001b[8mb")} \u001b[31mc`);
  expect(printed).toBe("\u001b[31ma\\u{1b}[8mb\u001b[39m \\u{1b}[31mc\n");
});

test("a colour within another one gives way to it again", () => {
  note(paintError("red", `a ${paintError("cyan", "b")} c`));
  expect(printed.replaceAll("\u001b[", "<")).toMatch(/^<31ma <36mb.*<31m c<39m\n$/);
});

test.each([
  ["a tab stays", "+\tx v1.2.3", "+\tx v1.2.3\n"],
  ["a line break is no second line", "a\nerror FORGED: b", "a\\u{a}error FORGED: b\n"],
  ["a return goes nowhere", "a\rb", "a\\u{d}b\n"],
  [
    "C1 controls, bidi overrides and line separators are shown",
    "\u009b1A\u202e\u2028",
    "\\u{9b}1A\\u{202e}\\u{2028}\n",
  ],
  ["words of any script are left as they are", "größer, 速い, 🚀", "größer, 速い, 🚀\n"],
])("%s", (_, text, shown) => {
  printData(text);
  expect(printed).toBe(shown);
});

test("columns line up around what is escaped, and later lines of a text are set in", () => {
  const [, ...rows] = table(
    ["a", "b"],
    [
      ["\u0007", "x"],
      ["yy", "z"],
    ],
  );
  printData(...rows, ...textLines("one\ntwo"));
  expect(printed).toBe("\\u{7}  x\nyy     z\none\n    two\n");
});
