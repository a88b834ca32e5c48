/**
 * The rules that hold the house together, as one pure function from source files to what breaks them. The table is the
 * "imports" column of the design; a package that is not in it may not exist.
 */
import { posix } from "node:path";
import { importsOf, readCode, type SourceFile } from "./source-text.ts";

export type Violation = { rule: string; path: string; detail: string };
type Parsed = SourceFile & { code: string; imports: string[]; home: string; inTable: boolean };
type Rule = (file: Parsed) => string[];

const everyPackage = ["agent", "bus", "core", "gateway", "orchestrator", "protocol", "store", "workbench"];

/** What each package may import, besides Node's own modules: our packages, then those of others. */
export const importTable: Record<string, { ours: readonly string[]; others: readonly string[] } | "free"> = {
  "packages/protocol": { ours: [], others: ["canonicalize", "zod"] },
  "packages/core": { ours: ["protocol"], others: ["xstate"] },
  "packages/store": { ours: ["protocol"], others: ["better-sqlite3"] },
  "packages/bus": { ours: ["protocol"], others: ["@nats-io/*"] },
  "packages/workbench": { ours: ["protocol"], others: ["autocannon", "zod"] },
  "packages/orchestrator": { ours: ["protocol", "core", "store", "bus"], others: ["pino"] },
  "packages/agent": { ours: ["protocol", "core", "bus", "workbench"], others: ["pino", "yaml", "zod"] },
  "packages/gateway": {
    ours: ["protocol", "core", "store", "bus"],
    others: ["@modelcontextprotocol/*", "zod"],
  },
  // It starts the two programs as processes of their own, and loads no more than that takes.
  "packages/cli": {
    ours: [
      ...everyPackage,
      "agent/definition",
      "agent/main",
      "gateway/mcp-client",
      "orchestrator/main",
      "store/place",
      "workbench/machine",
      "workbench/process-group",
      "workbench/run-home",
      "workbench/sandbox",
    ],
    others: ["commander", "yaml", "zod"],
  },
  "packages/testkit": "free",
  "agents/*": { ours: ["agent", "core", "protocol", "workbench"], others: [] },
};

const linesMax = 500;
/** Deterministic parts of Node: all that a pure core may ask of it. */
const coreBuiltIns = ["node:crypto", "node:util"];
const impure = [
  /\b(?:Date\s*\.\s*now|performance\s*\.\s*now|set(?:Timeout|Interval|Immediate))\b|\bnew\s+Date\s*\(\s*\)/g,
  /\b(?:Math\s*\.\s*random|random(?:UUID|Bytes|Int)|getRandomValues)\b/g,
  /\bprocess\s*\.\s*(?:argv|cwd|emit|env|exit|exitCode|hrtime|kill|memoryUsage|nextTick|on|once|pid|platform|std\w+|uptime|version)\b/g,
];

/** All that the command line tells goes through it, so that nothing of others reaches a terminal as it is. */
const writer = "packages/cli/src/output.ts";
/** Ways to the terminal beside it: the streams by name or out of `process`, a file descriptor, an inherited stream. */
const streams = [
  /\bprocess\s*\??\.\s*(?:stdout|stderr|_raw\w+|binding)\b/g,
  /\bprocess\s*(?:\?\.)?\s*\[|\{[^{}]*\bstd(?:out|err)\b[^{}]*\}\s*=\s*process\b/g,
  /\bwrite(?:v|File)?Sync\s*\(\s*[012]\b|\bfd\s*:\s*[012]\b/g,
];

/** The folder that a file may not leave: its package, its role, or else the repository. */
function homeOf(path: string): string {
  const [top, second] = path.split("/");
  return top === "packages" || top === "agents" ? `${top}/${second}` : "";
}

function parse(file: SourceFile): Parsed {
  const read = readCode(file.text);
  const home = homeOf(file.path);
  const inTable =
    file.path.startsWith(`${home}/src/`) || (home.startsWith("agents/") && !file.path.endsWith(".test.ts"));
  return { ...file, code: read.code, imports: importsOf(read), home, inTable: home !== "" && inTable };
}

const rowOf = (home: string): (typeof importTable)[string] | undefined =>
  importTable[home.startsWith("agents/") ? "agents/*" : home];
const packageOf = (specifier: string): string =>
  specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
const matches = (name: string, allowed: string): boolean =>
  allowed.endsWith("/*") ? name.startsWith(allowed.slice(0, -1)) : name === allowed;

function mayImport(home: string, specifier: string): boolean {
  const row = rowOf(home);
  if (row === "free" || specifier.startsWith(".")) return true;
  if (specifier.startsWith("node:")) return home !== "packages/core" || coreBuiltIns.includes(specifier);
  if (!row) return false;
  if (specifier.startsWith("@questbus/")) return row.ours.some((name) => specifier === `@questbus/${name}`);
  return row.others.some((allowed) => matches(packageOf(specifier), allowed));
}

const relativeTargets = ({ path, imports }: Parsed): string[] =>
  imports.filter((each) => each.startsWith(".")).map((each) => posix.join(posix.dirname(path), each));

const rules: Record<string, Rule> = {
  "unknown-package": ({ home, inTable }) => (inTable && rowOf(home) === undefined ? [home] : []),
  "import-table": ({ home, imports, inTable }) =>
    inTable ? imports.filter((each) => !mayImport(home, each)) : [],
  "leaves-package": (file) =>
    relativeTargets(file).filter((target) => file.home !== "" && !target.startsWith(`${file.home}/`)),
  "test-in-source": (file) =>
    relativeTargets(file).filter((target) => file.inTable && /\/test\/|\.test\.ts$/.test(target)),
  "file-name": ({ path }) =>
    path.split("/").filter((part) => /^(?:.*[-.])?(?:utils?|helpers?|common)(?:[-.].*)?$/.test(part)),
  "file-length": ({ text }) => {
    const lines = text.split("\n").length - 1;
    return lines > linesMax ? [`${lines} lines, at most ${linesMax}`] : [];
  },
  "default-export": ({ code }) =>
    [...code.matchAll(/\bexport\s+default\b|\bexport\s*\{[^}]*\bas\s+default\b/g)].map(
      () => "use a named export",
    ),
  console: ({ code, inTable }) =>
    inTable ? [...code.matchAll(/\bconsole\b/g)].map(() => "use the logger, or the writer") : [],
  "past-the-writer": ({ code, imports, home, path, inTable }) =>
    inTable && home === "packages/cli" && path !== writer
      ? [
          ...streams.flatMap((form) => [...code.matchAll(form)].map(([found]) => found)),
          ...imports.filter((each) => /^(?:node:)?(?:process|tty|console)$/.test(each)),
        ]
      : [],
  "logger-outside-main": ({ code, path, inTable }) =>
    inTable && !path.endsWith("/main.ts")
      ? [...code.matchAll(/\bpino\s*\(/g)].map(() => "only main.ts builds one")
      : [],
  "core-is-pure": ({ code, home, inTable }) =>
    inTable && home === "packages/core"
      ? impure.flatMap((form) => [...code.matchAll(form)].map(([found]) => found))
      : [],
};

/** Every cycle of files that import each other, once, as `a -> b -> a`; type imports count. */
function cycles(files: readonly Parsed[]): Violation[] {
  const edges = new Map(files.map((file) => [file.path, relativeTargets(file)]));
  const state = new Map<string, "open" | "done">();
  const found: Violation[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === "open") {
      const cycle = [...trail.slice(trail.indexOf(path)), path];
      found.push({ rule: "cycle", path, detail: cycle.join(" -> ") });
    }
    if (state.has(path)) return;
    state.set(path, "open");
    for (const target of edges.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, "done");
  };
  for (const path of edges.keys()) visit(path, []);
  return found;
}

/** What was looked at, so that a test can tell a clean house from an empty one. */
export type Inspection = {
  violations: Violation[];
  files: number;
  imports: number;
  homes: ReadonlySet<string>;
};

export function inspect(sources: readonly SourceFile[]): Inspection {
  const files = sources.map(parse);
  const broken = files.flatMap((file) =>
    Object.entries(rules).flatMap(([rule, check]) =>
      check(file).map((detail) => ({ rule, path: file.path, detail })),
    ),
  );
  return {
    violations: [...broken, ...cycles(files)],
    files: files.length,
    imports: files.reduce((sum, file) => sum + file.imports.length, 0),
    homes: new Set(files.filter((file) => file.inTable).map(({ home }) => home)),
  };
}
