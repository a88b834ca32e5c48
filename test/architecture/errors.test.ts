import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ErrorCode, errorRegistry, exitCode } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { readCode, readSources } from "./source-text.ts";

const root = join(import.meta.dirname, "..", "..");
const codes = Object.keys(errorRegistry) as ErrorCode[];

type Entry = { code: string; fields: Record<string, string> };

/** The entries of docs/errors.md: a heading `### CODE`, then lines `- Field: text`. */
function readEntries(markdown: string): Entry[] {
  const [, ...sections] = markdown.split(/^### /m);
  return sections.map((section) => ({
    code: section.split("\n", 1)[0]?.trim() ?? "",
    fields: Object.fromEntries(
      [...section.matchAll(/^- ([A-Z][a-z ]+): (.+)$/gm)].map(([, name, text]) => [name, text]),
    ),
  }));
}

const markdown = readFileSync(join(root, "docs", "errors.md"), "utf8");
const entries = readEntries(markdown);

/** Every string of the house that could name a code: sources (the registry's own file left out) and plain scripts. */
function stringsInUse(): Set<string> {
  const sources = readSources("packages", "agents", "tools").filter(
    ({ path }) => path !== "packages/protocol/src/error.ts" && !/\/test\/|\.test\.ts$/.test(path),
  );
  const scripts = readdirSync(join(root, "tools"))
    .filter((file) => file.endsWith(".mjs"))
    .map((file) => ({ path: `tools/${file}`, text: readFileSync(join(root, "tools", file), "utf8") }));
  return new Set([...sources, ...scripts].flatMap(({ text }) => readCode(text).strings));
}

describe("the error registry and docs/errors.md", () => {
  test("both have entries", () => {
    expect(codes.length).toBeGreaterThan(40);
    expect(entries.length).toBeGreaterThan(40);
  });

  test("every code is documented, and every documented code exists, once", () => {
    const documented = entries.map(({ code }) => code);
    expect(documented.filter((code) => !(code in errorRegistry))).toEqual([]);
    expect(codes.filter((code) => !documented.includes(code))).toEqual([]);
    expect(documented).toHaveLength(new Set(documented).size);
  });

  test.each(entries)(
    "$code: its class and exit code are the registry's; it says what happened and what is next",
    ({ code, fields }) => {
      const registered = errorRegistry[code as ErrorCode];
      expect({ class: fields.Class, exit: fields.Exit }).toEqual({
        class: registered.class,
        exit: String(registered.exit),
      });
      expect(fields["What happened"]?.length).toBeGreaterThan(20);
      expect(fields.Next?.length).toBeGreaterThan(20);
    },
  );

  test("the table of exit codes has every one of them", () => {
    const listed = [...markdown.matchAll(/^\| (\d+) \|/gm)].map(([, exit]) => Number(exit));
    expect(listed).toEqual(Object.values(exitCode));
  });

  test("what set-up prints before anything is installed is registered too", () => {
    const printed = [
      ...readFileSync(join(root, "tools", "setup.mjs"), "utf8").matchAll(/\bfail\(\s*"([A-Z_]+)"/g),
    ];
    expect(printed.length).toBeGreaterThan(2);
    expect(printed.map(([, code]) => code).filter((code) => !((code as string) in errorRegistry))).toEqual(
      [],
    );
  });

  // The last test on purpose: a code that nothing uses is removed, with its entry.
  test("every code is used", () => {
    const inUse = stringsInUse();
    expect(inUse.size).toBeGreaterThan(500);
    expect(codes.filter((code) => !inUse.has(code))).toEqual([]);
  });
});
