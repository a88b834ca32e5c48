import type { Suspicion } from "@questbus/protocol";
import { fileName } from "./place.ts";
import { literal, type ScannedFile, suspect } from "./rule.ts";

type Json = { [key: string]: unknown };

/** A package.json as far as the gaming guard reads it. */
export type Manifest = { path: string; text: string };

const isJson = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parsed(text: string): Json | null {
  try {
    const value: unknown = JSON.parse(text);
    return isJson(value) ? value : null;
  } catch {
    return null;
  }
}

/** The text of a value with its keys in order. */
const stable = (value: unknown): string =>
  JSON.stringify(value, (_, each: unknown) =>
    isJson(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each,
  ) ?? "none";

const dependencyFields = [
  ...["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "bundleDependencies"],
  ...["bundledDependencies", "overrides", "resolutions", "engines", "packageManager", "pnpm", "workspaces"],
];
const installScripts = /^(?:pre|post)?(?:install|prepare|publish|pack)(?:Only)?$|^dependencies$/;

/** Whole files that say which code of others is used, or which runtime. */
const dependencyFiles = new RegExp(
  [
    "package-lock\\.json|npm-shrinkwrap\\.json|yarn\\.lock|pnpm-lock\\.yaml|bun\\.lockb?|deno\\.lock",
    "\\.npmrc|\\.yarnrc(?:\\.yml)?|\\.pnpmfile\\.cjs|pnpm-workspace\\.yaml|bunfig\\.toml",
    "go\\.(?:mod|sum|work|work\\.sum)|gradle\\.lockfile|libs\\.versions\\.toml|Cargo\\.lock|requirements[\\w.-]*\\.txt|constraints[\\w.-]*\\.txt",
    "Pipfile(?:\\.lock)?|(?:poetry|uv|pdm)\\.lock|setup\\.(?:py|cfg)|Gemfile(?:\\.lock)?|[\\w.-]+\\.gemspec",
    "composer\\.(?:json|lock)|pom\\.xml|build\\.gradle(?:\\.kts)?|\\.gitmodules",
    "\\.nvmrc|\\.node-version|\\.python-version|\\.ruby-version|\\.tool-versions|rust-toolchain(?:\\.toml)?",
  ]
    .map((each) => `(?:${each})`)
    .join("|")
    .replace(/^(.*)$/s, "^(?:$1)$"),
);
const foreignFolders = /(?:^|\/)(?:node_modules|vendor|third_party|site-packages)\//;

export const isDependencyFile = (path: string): boolean =>
  dependencyFiles.test(fileName(path)) || foreignFolders.test(path) || isManifest(path);

const isManifest = (path: string): boolean =>
  ["package.json", "Cargo.toml", "pyproject.toml"].includes(fileName(path));

const listHead = /^(?:[\w-]*dependencies|requires-python)\s*=\s*/gm;
const lineEnd = /^[\n\r\u2028\u2029]?$/;

/** Lists of dependencies with their names: to the bracket that ends a line, or to the line's end. A bracket is looked for once. */
function* listsIn(text: string): Generator<string> {
  const line = /.*/y;
  let end = 0;
  let close = 0;
  for (const { 0: head, index } of text.matchAll(listHead)) {
    if (index < end) continue;
    const from = index + head.length;
    const opens = text[from] === "[";
    if (opens && close >= 0 && close < from) close = text.indexOf("]", from);
    line.lastIndex = from;
    const isList = opens && close >= 0 && lineEnd.test(text.slice(close + 1, close + 2));
    end = isList ? close + 1 : from + (line.exec(text)?.[0].length ?? 0);
    yield text.slice(index, end);
  }
}

/** The sections of a TOML file that are about dependencies, and lists of that name in others. */
const tomlDependencies = (text: string): string =>
  [
    ...text
      .split(/^(?=\[)/m)
      .filter((part) => /^\[{1,2}[^\]]*(?:dependencies|build-system|patch|replace)/.test(part)),
    ...listsIn(text),
  ]
    .join("\n")
    .replaceAll(/[ \t]+|#.*/g, "");

/** A file of which only a part is about dependencies. */
export const isPartlyDependencies = (path: string): boolean => isManifest(path) && !foreignFolders.test(path);

/** The parts of a manifest that are about dependencies, by name; null: it cannot be read. */
export function dependencyParts(path: string, text: string | null): Record<string, string> | null {
  if (fileName(path) !== "package.json") return { dependencies: tomlDependencies(text ?? "") };
  const manifest = parsed(text ?? "{}");
  return manifest && Object.fromEntries(dependencyFields.map((each) => [each, stable(manifest[each])]));
}

/** Which parts of a manifest about dependencies differ; null: what would be there cannot be read. */
export function changedDependencies(
  path: string,
  before: string | null,
  after: string | null,
): string[] | null {
  const [old, fresh] = [dependencyParts(path, before), dependencyParts(path, after)];
  return fresh && Object.keys(fresh).filter((each) => (old?.[each] ?? "none") !== fresh[each]);
}

const asksApproval =
  "take it out, or let the operator approve it: allow: { dependencies: ask } in the quest file, or true";

/** What another dependency, runtime or lockfile looks like. */
export function dependencyChanges(files: readonly ScannedFile[]): Suspicion[] {
  return files.flatMap((file) => {
    const { path, base, candidate } = file;
    if (!isDependencyFile(path) || base === candidate) return [];
    const say = (what: string): Suspicion[] => [suspect("dependency", `${what}; ${asksApproval}`, path)];
    if (!isPartlyDependencies(path))
      return say(`another dependency, or another version of one: ${path} is changed`);
    const changed = changedDependencies(path, base, candidate);
    if (!changed) return say("the package.json cannot be read");
    if (changed.length === 0) return [];
    return fileName(path) === "package.json"
      ? say(`another dependency or runtime: ${changed.join(", ")} is changed`)
      : say("another dependency, or another version of one");
  });
}

/** Work that is moved to where the packages are installed is paid for by nobody's run. */
export function installWork(files: readonly ScannedFile[]): Suspicion[] {
  return files.flatMap(({ path, base, candidate }) => {
    if (fileName(path) !== "package.json" || foreignFolders.test(path)) return [];
    const scripts = (text: string | null): Json => {
      const found = parsed(text ?? "{}")?.scripts;
      return isJson(found) ? found : {};
    };
    const [before, after] = [scripts(base), scripts(candidate)];
    return Object.keys(after)
      .filter((name) => installScripts.test(name) && after[name] !== before[name])
      .map((name) =>
        suspect(
          "carried-state",
          `moves work to the installation, which no run pays for: the script ${name} is "${String(after[name])}"; let the program do its work when it runs`,
          path,
        ),
      );
  });
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);
const plainPath = (path: string): string => path.replace(/^(?:\.\/)+/, "");

function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null)
    for (const each of Object.values(value)) yield* stringsIn(each);
}

const publicFields = ["main", "module", "browser", "types", "typings", "exports", "bin"];

function pathsOf({ path, text }: Manifest, fields: readonly string[]): string[] {
  const manifest = parsed(text);
  const folder = folderOf(path);
  return fields.flatMap((field) => [...stringsIn(manifest?.[field])].map((each) => folder + plainPath(each)));
}

/** The files that package.json gives to others, among `paths`. */
export function publicFiles(manifests: readonly Manifest[], paths: readonly string[]): Set<string> {
  const named = manifests.flatMap((each) => pathsOf(each, publicFields));
  const forms = named.map(
    (each) => new RegExp(`^${each.split("*").map(literal).join(".*")}(?:\\.\\w+|/index\\.\\w+)?$`),
  );
  return new Set(paths.filter((path) => forms.some((each) => each.test(path))));
}

/** Whether package.json names a path as a program that is started. */
export const isProgram = (manifests: readonly Manifest[], path: string): boolean =>
  manifests.some((each) => pathsOf(each, ["bin"]).includes(path));

/** What package.json offers by name: the keys of `exports` and `bin`. */
export function offered(text: string | null): Set<string> {
  const manifest = parsed(text ?? "{}");
  const keys = (field: string): string[] => {
    const value = manifest?.[field];
    if (typeof value === "string") return [field];
    const names = isJson(value) ? Object.keys(value) : [];
    return field === "exports" && !names.some((each) => each.startsWith(".")) && names.length > 0
      ? [field]
      : names.map((each) => `${field} ${each}`);
  };
  return new Set([...keys("exports"), ...keys("bin"), ...(manifest?.main ? ["main"] : [])]);
}

/** What `npm run NAME` (or another runner's) stands for; the command itself when it is none. */
export function scriptOf(command: string, manifests: readonly Manifest[]): string {
  const name = /^\s*(?:npm|pnpm|yarn|bun)\s+(?:run(?:-script)?\s+)?(?:-\S+\s+)*([\w:.-]+)/.exec(command)?.[1];
  const root = manifests.find((each) => each.path === "package.json");
  const scripts = root && name ? parsed(root.text)?.scripts : undefined;
  const found = isJson(scripts) && name ? scripts[name] : undefined;
  return typeof found === "string" ? `${command} ${found}` : command;
}
