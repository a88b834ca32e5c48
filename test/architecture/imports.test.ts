import { describe, expect, test } from "vitest";
import { importTable, inspect } from "./import-rules.ts";
import { readSources } from "./source-text.ts";

const roles = ["architect", "ops", "performance", "qa"].map((role) => `agents/${role}`);
// The programs under examples/<name>/ are targets of quests, not parts of the house.
const sources = readSources("packages", "agents", "test", "tools", "examples").filter(
  ({ path }) => !/^examples\/[^/]+\//.test(path),
);
const inspection = inspect(sources);

/** Edits that must turn the rules red: the file, its text, and what breaks. */
const planted: { rule: string; path: string; text: string }[] = [
  { rule: "import-table", path: "packages/protocol/src/a.ts", text: 'import { x } from "@questbus/core";' },
  { rule: "import-table", path: "packages/protocol/src/a.ts", text: 'import pino from "pino";' },
  {
    rule: "import-table",
    path: "packages/core/src/a.ts",
    text: 'import type { Store } from "@questbus/store";',
  },
  { rule: "import-table", path: "packages/core/src/a.ts", text: 'import { readFileSync } from "node:fs";' },
  { rule: "import-table", path: "packages/core/src/a.ts", text: 'import { env } from "node:process";' },
  {
    rule: "import-table",
    path: "packages/core/src/a.ts",
    text: 'type T = import("@questbus/bus").BusClient;',
  },
  { rule: "import-table", path: "packages/core/src/deep/a.ts", text: 'import { z } from "zod";' },
  { rule: "import-table", path: "packages/store/src/a.ts", text: 'export * from "@questbus/core";' },
  { rule: "import-table", path: "packages/store/src/a.ts", text: 'export { a as b } from "@nats-io/nkeys";' },
  { rule: "import-table", path: "packages/bus/src/a.ts", text: 'const s = await import("@questbus/store");' },
  { rule: "import-table", path: "packages/bus/src/a.ts", text: 'import "better-sqlite3";' },
  { rule: "import-table", path: "packages/bus/src/a.ts", text: 'import { x } from "@nats-iox/core";' },
  { rule: "import-table", path: "packages/workbench/src/a.ts", text: 'const { pino } = require("pino");' },
  {
    rule: "import-table",
    path: "packages/workbench/src/a.ts",
    text: 'import { a } from "@questbus/protocol/src/limit.ts";',
  },
  {
    rule: "import-table",
    path: "packages/orchestrator/src/a.ts",
    text: 'import {\n  a,\n  type B,\n} from "@questbus/workbench";',
  },
  {
    rule: "import-table",
    path: "packages/orchestrator/src/a.ts",
    text: 'import * as all from "@questbus/agent";',
  },
  {
    rule: "import-table",
    path: "packages/agent/src/a.ts",
    text: "import { openStore } from '@questbus/store';",
  },
  {
    rule: "import-table",
    path: "packages/cli/src/a.ts",
    text: 'import { launch } from "@questbus/testkit";',
  },
  { rule: "import-table", path: "packages/cli/src/a.ts", text: 'import Database from "better-sqlite3";' },
  {
    rule: "import-table",
    path: "packages/cli/src/a.ts",
    text: "const found = import.meta.resolve('@nats-io/nkeys');",
  },
  { rule: "import-table", path: "packages/cli/src/a.ts", text: 'import { x } from "/etc/x.ts";' },
  { rule: "import-table", path: "agents/qa/behaviour.ts", text: 'import { x } from "@questbus/bus";' },
  { rule: "import-table", path: "agents/ops/behaviour.ts", text: 'import { z } from "zod";' },
  { rule: "unknown-package", path: "packages/surprise/src/a.ts", text: "export const a = 1;" },
  {
    rule: "leaves-package",
    path: "packages/core/src/a.ts",
    text: 'import { x } from "../../protocol/src/limit.ts";',
  },
  {
    rule: "leaves-package",
    path: "agents/qa/behaviour.ts",
    text: 'import { x } from "../ops/behaviour.ts";',
  },
  {
    rule: "leaves-package",
    path: "packages/bus/test/a.test.ts",
    text: 'import { x } from "../../testkit/src/index.ts";',
  },
  {
    rule: "test-in-source",
    path: "packages/core/src/a.ts",
    text: 'import { x } from "../test/simulate.ts";',
  },
  { rule: "file-name", path: "packages/core/src/utils.ts", text: "export const a = 1;" },
  { rule: "file-name", path: "packages/core/src/string-helpers.ts", text: "export const a = 1;" },
  { rule: "file-name", path: "packages/core/src/common/a.ts", text: "export const a = 1;" },
  { rule: "file-length", path: "packages/core/src/a.ts", text: "// line\n".repeat(501) },
  { rule: "default-export", path: "packages/core/src/a.ts", text: "export default function a() {}" },
  { rule: "default-export", path: "packages/core/src/a.ts", text: "const a = 1;\nexport { a as default };" },
  { rule: "console", path: "packages/bus/src/a.ts", text: 'if (x) console.log("x");' },
  { rule: "console", path: "agents/qa/behaviour.ts", text: 'console.error("x");' },
  { rule: "console", path: "packages/cli/src/a.ts", text: "const { log } = console;" },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: "process.stdout.write(text);" },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: "const out = process . stderr;" },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: 'process["stdout"].write(text);' },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: "const { stdout } = process;" },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: 'import { stdout } from "node:process";' },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: 'import { WriteStream } from "node:tty";' },
  { rule: "past-the-writer", path: "packages/cli/src/a.ts", text: "writeSync(2, text);" },
  {
    rule: "logger-outside-main",
    path: "packages/orchestrator/src/desk.ts",
    text: 'const log = pino({ level: "info" });',
  },
  { rule: "core-is-pure", path: "packages/core/src/a.ts", text: "const now = Date.now();" },
  { rule: "core-is-pure", path: "packages/core/src/a.ts", text: "const now = new Date();" },
  { rule: "core-is-pure", path: "packages/core/src/a.ts", text: "const coin = Math.random() < 0.5;" },
  { rule: "core-is-pure", path: "packages/core/src/a.ts", text: "setTimeout(() => {}, 1);" },
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a source file
  { rule: "core-is-pure", path: "packages/core/src/a.ts", text: "const home = `${process.env.HOME}`;" },
  { rule: "core-is-pure", path: "packages/core/src/a.ts", text: 'import { randomUUID } from "node:crypto";' },
];

/** Edits that break nothing, though they look as if they did. */
const harmless: { path: string; text: string }[] = [
  { path: "packages/cli/src/output.ts", text: "process.stdout.write(text);" },
  { path: "packages/core/src/a.ts", text: '// import { x } from "node:fs"; Date.now()\nexport const a = 1;' },
  {
    path: "packages/core/src/a.ts",
    text: "/* export default 1 */ export const a = \"import x from 'pino'\";",
  },
  {
    path: "packages/core/src/a.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text of a source file
    text: "export const text = `process.exit(${a}) console.log(Math.random())`;",
  },
  { path: "packages/core/src/a.ts", text: 'export const at = (ms: number) => new Date(ms); // "' },
  {
    path: "packages/core/src/a.ts",
    text: "export const quote = /[\"'`]/;\nexport const b = a / 2 / c; // setTimeout(",
  },
  { path: "packages/core/src/a.ts", text: "export const grow = (process: { e: number }) => process.e * 2;" },
  { path: "packages/core/src/commonness.ts", text: 'import type { Pair } from "@questbus/protocol";' },
  { path: "packages/core/src/a.ts", text: "// line\n".repeat(500) },
  {
    path: "packages/core/test/a.test.ts",
    text: 'import fs from "node:fs";\nimport { z } from "zod";\nMath.random();',
  },
  {
    path: "packages/bus/src/a.ts",
    text: 'import { connect } from "@nats-io/transport-node";\nimport { x } from "./b.ts";',
  },
  { path: "packages/orchestrator/src/main.ts", text: 'import { pino } from "pino";\nconst log = pino();' },
];

const withTitle = <T extends { text: string }>(edit: T) => ({ ...edit, title: edit.text.split("\n", 1)[0] });
const brokenBy = (...files: { path: string; text: string }[]): string[] =>
  inspect(files).violations.map(({ rule }) => rule);

describe("the import table and the rules of the house", () => {
  test("every source file keeps them", () => {
    const shown = inspection.violations.map(({ rule, path, detail }) => `${rule}: ${path}: ${detail}`);
    expect(shown).toEqual([]);
  });

  test("the scan saw the house", () => {
    expect(inspection.files).toBeGreaterThan(70);
    expect(inspection.imports).toBeGreaterThan(250);
    const rows = Object.keys(importTable).filter(
      (home) => home !== "agents/*" && importTable[home] !== "free",
    );
    expect([...rows, ...roles].filter((home) => !inspection.homes.has(home))).toEqual([]);
  });

  test.each(planted.map(withTitle))("$rule turns red: $path: $title", ({ rule, path, text }) => {
    expect(brokenBy({ path, text })).toEqual([rule]);
  });

  test.each(harmless.map(withTitle))("stays green: $path: $title", ({ path, text }) => {
    expect(brokenBy({ path, text })).toEqual([]);
  });

  test("a cycle is named with its files; types count", () => {
    const { violations } = inspect([
      { path: "packages/core/src/a.ts", text: 'import { b } from "./deep/b.ts";' },
      { path: "packages/core/src/deep/b.ts", text: 'import { c } from "./c.ts";' },
      { path: "packages/core/src/deep/c.ts", text: 'import type { A } from "../a.ts";' },
      { path: "packages/core/src/d.ts", text: 'import { a } from "./a.ts";' },
    ]);
    expect(violations).toEqual([
      {
        rule: "cycle",
        path: "packages/core/src/a.ts",
        detail:
          "packages/core/src/a.ts -> packages/core/src/deep/b.ts -> packages/core/src/deep/c.ts -> packages/core/src/a.ts",
      },
    ]);
  });

  test("a file that imports itself is a cycle", () => {
    expect(brokenBy({ path: "packages/core/src/a.ts", text: 'import { a } from "./a.ts";' })).toEqual([
      "cycle",
    ]);
  });
});
