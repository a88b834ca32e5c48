import { covers, type QuestSpec } from "@questbus/protocol";
import { judgesOf, type PackageFile, wordsOf } from "./command-text.ts";

/**
 * Which paths of a target judge its candidates. A path is sealed for what it is called, for the place it stands in, or
 * because a command of the quest names it; `seal.paths` adds to that, `seal.except` takes away.
 */

/** Why a path is sealed; `config`: settings of tests or bench; `command`: named by a command; `quest`: by `seal.paths`. */
export type SealKind = "test" | "bench" | "lockfile" | "config" | "command" | "quest";

/** What says which paths are sealed: the quest, and the package.json files of the commit it starts from. */
export type SealRules = Pick<QuestSpec, "measure" | "tests" | "target" | "seal" | "allow" | "authority"> & {
  packages: readonly PackageFile[];
};

const lockfiles = new Set([
  "package-lock.json",
  "npm-shrinkwrap.json",
  "yarn.lock",
  "pnpm-lock.yaml",
  "bun.lock",
  "bun.lockb",
  "deno.lock",
  "cargo.lock",
  "go.sum",
  "go.work.sum",
  "poetry.lock",
  "uv.lock",
  "pdm.lock",
  "pipfile.lock",
  "gemfile.lock",
  "composer.lock",
  "mix.lock",
  "pubspec.lock",
  "gradle.lockfile",
  "flake.lock",
]);

/** Settings that decide which tests run and how, by file name in small letters. */
const configs = [
  /^(vitest|vite|jest|ava|karma|cypress|playwright|wdio|nyc|c8|web-test-runner|babel-jest)\.(config|conf|setup|workspace|shared)\.[^/]+$/,
  /^(playwright|vitest|jest)-[^/]*\.config\.[^/]+$/,
  /^\.(mocharc|nycrc|c8rc|taprc|jestrc|npmrc|pnpmfile|yarnrc|testcaferc|rspec|coveragerc)(\.[^/]+)?$/,
  /^(pytest\.ini|conftest\.py|tox\.ini|noxfile\.py|mocha\.opts|phpunit\.xml(\.dist)?|nextest\.toml)$/,
];

/** Folders of tests wherever they stand; the others may be something else inside a program's source. */
const testFolders = new Set(["test", "tests", "__tests__", "__mocks__", "__snapshots__", "testdata", "e2e"]);
const testFoldersOutsideSource = new Set(["spec", "specs"]);
const benchFolders = new Set(["bench", "benches", "benchmark", "benchmarks"]);
const sourceFolders = new Set(["src", "lib", "app", "source"]);
/** A command that names a file in these runs the program itself. */
const programFolders = /(?:^|\/)(?:src|lib|app|cmd|dist|bin)\//;

const code = "[a-z0-9]+";
const testNames = [
  new RegExp(`^(test|tests|spec)\\.${code}$`),
  new RegExp(`[.](test|tests|spec|e2e|cy)\\.${code}$`),
  /[_-](test|spec)\.([cm]?[jt]sx?|py|go|rb|exs|dart|cc|cpp|lua|sh)$/,
  /^test[_-][^/]+\.([cm]?[jt]sx?|py|rb|sh)$/,
  /\.(snap|bats)$/,
];
const testClass = /(?:^Test[A-Z]\w*|[a-z0-9]Tests?)\.(java|kt|cs|swift|scala|php)$/;
const benchNames = [
  new RegExp(`^(bench|benches|benchmark|benchmarks)\\.${code}$`),
  new RegExp(`[._-](bench|benchmark)\\.${code}$`),
  /^(bench|benchmark)[_-][^/]+\.[a-z0-9]+$/,
];

/** What runs the tasks of a file that no command names. */
const taskFiles: Record<string, readonly string[]> = {
  make: ["makefile", "gnumakefile"],
  gmake: ["makefile", "gnumakefile"],
  just: ["justfile", ".justfile"],
  rake: ["rakefile"],
  task: ["taskfile.yml", "taskfile.yaml"],
};

function isIn(folders: readonly string[], names: ReadonlySet<string>, anywhere: boolean): boolean {
  return folders.some(
    (folder, at) =>
      names.has(folder) && (anywhere || !folders.slice(0, at).some((each) => sourceFolders.has(each))),
  );
}

function placeOf(path: string): SealKind | null {
  const parts = path.toLowerCase().split("/");
  const name = parts.pop() as string;
  if (configs.some((each) => each.test(name))) return "config";
  if (lockfiles.has(name)) return "lockfile";
  const isTest =
    isIn(parts, testFolders, true) ||
    isIn(parts, testFoldersOutsideSource, false) ||
    testNames.some((each) => each.test(name)) ||
    testClass.test(path.slice(path.lastIndexOf("/") + 1));
  if (isTest) return "test";
  const isBench = isIn(parts, benchFolders, false) || benchNames.some((each) => each.test(name));
  return isBench ? "bench" : null;
}

/** A path from the root, without `.` and `..`. */
function joined(folder: string, word: string): string {
  const parts: string[] = [];
  for (const part of `${folder}/${word}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** Paths, in small letters, that a command names, from where it starts and from the folders it changes to. */
function namedBy(start: string, command: string): string[] {
  const words = wordsOf(command);
  const folders = words.filter((_, at) => /^(cd|-C|--prefix|--cwd|--dir)$/.test(words[at - 1] ?? ""));
  const named = ["", ...folders].flatMap((folder) => words.map((word) => joined(`${start}/${folder}`, word)));
  const tasks = words.flatMap((word) => (Object.hasOwn(taskFiles, word) ? (taskFiles[word] ?? []) : []));
  return [...named, ...tasks].map((path) => path.toLowerCase());
}

/** `node tools/measure` runs tools/measure.js, or tools/measure/index.js. */
const plainNames = (path: string): string[] =>
  path.includes("/") ? [path.replace(/\.[^./]+$/, ""), path.replace(/\/index\.[^./]+$/, "")] : [];

/** Whether a glob of `authorities` says by name what may be written: `src/**` does, `**` and `*.js` do not. */
export const isByName = (glob: string): boolean =>
  !/[*?[{(]/.test(glob.replace(/^\.?\/+/, "").split("/", 1)[0] as string);

/**
 * Answers for any path of the target, there or not, why it is sealed; null: it is not. Letters count alike in both
 * cases, except for `seal.except`. Where other dependencies are allowed, lockfiles are not sealed; and a
 * command that names what performance may write by name, or a file in `src/` and the like, runs the program itself.
 */
export function sealRule(rules: SealRules): (path: string) => SealKind | null {
  const named = new Set(judgesOf(rules).flatMap(({ folder, text }) => namedBy(folder, text)));
  const { paths, except } = rules.seal;
  const granted = rules.authority.write.filter(isByName);
  const isNamed = (path: string, lower: string): boolean =>
    (named.has(lower) || plainNames(lower).some((each) => each.includes("/") && named.has(each))) &&
    !programFolders.test(path) &&
    !granted.some((glob) => covers(path, glob));
  return (path) => {
    const lower = path.toLowerCase();
    if (except.some((glob) => covers(path, glob))) return null;
    const place = placeOf(path);
    if (place === "lockfile" && rules.allow.dependencies) return null;
    if (place) return place;
    if (isNamed(path, lower)) return "command";
    return paths.some((glob) => covers(lower, glob.toLowerCase())) ? "quest" : null;
  };
}
