import type { QuestSpec } from "@questbus/protocol";

/** What the commands of a quest run, the scripts of package.json files that they start included. */

/** A package.json of the commit that a quest starts from. */
export type PackageFile = { path: string; text: string };

/** A command line, and the folder it starts in, from the root. */
export type CommandText = { folder: string; text: string };

const runners = new Set(["npm", "pnpm", "yarn", "bun", "npx", "node", "turbo", "nx", "lerna", "wireit"]);
/** What package managers run by themselves when they install. */
const installWords = new Set(["ci", "install", "i", "install-test"]);
const installScripts = ["preinstall", "install", "postinstall", "prepare"];
/** Scripts that start scripts; more than this is a circle. */
const depthMax = 8;

/** The words of a command line, quotes and `--option=` taken off; a quoted text also counts as a whole. */
export function wordsOf(command: string): string[] {
  const quoted = [...command.matchAll(/"([^"]*)"|'([^']*)'/g)].map(([, one, other]) => one ?? other ?? "");
  return [...quoted, ...command.split(/[\s;&|()<>"'`=]+/)].filter((word) => word !== "");
}

function scriptsOf({ text }: PackageFile): Map<string, string> {
  try {
    const scripts: unknown = JSON.parse(text)?.scripts ?? {};
    const entries = Object.entries(scripts as object);
    return new Map(entries.filter((each): each is [string, string] => typeof each[1] === "string"));
  } catch {
    return new Map();
  }
}

/** The scripts that a command line may start: those it names, what npm runs around them, and what installing runs. */
function startedBy(words: readonly string[], scripts: ReadonlyMap<string, string>): string[] {
  if (!words.some((word) => runners.has(word))) return [];
  const named = words.flatMap((word) => [word, `pre${word}`, `post${word}`]);
  const installing = words.some((word) => installWords.has(word)) ? installScripts : [];
  return [...named, ...installing].flatMap((name) => scripts.get(name) ?? []);
}

type Commands = Pick<QuestSpec, "measure" | "tests" | "target"> & { packages: readonly PackageFile[] };

/** Every command line that runs for the quest. */
export const commandsOf = ({ measure, tests, target, packages }: Commands): CommandText[] =>
  withScripts([measure.command, tests.command, target.prepare], packages);

/** Those whose files judge. What starts a server names none of them, but the program that gets better. */
export const judgesOf = ({ measure, tests, target, packages }: Commands): CommandText[] =>
  withScripts([measure.http ? null : measure.command, tests.command, target.prepare], packages);

/** Command lines with the scripts that they start; a script counts in the folder of its package.json. */
function withScripts(written: readonly (string | null)[], packages: readonly PackageFile[]): CommandText[] {
  const all = packages.map((file) => ({
    folder: file.path.slice(0, Math.max(0, file.path.lastIndexOf("/"))),
    scripts: scriptsOf(file),
  }));
  const found = new Map<string, CommandText>();
  let fresh: CommandText[] = written.flatMap((text) => (text === null ? [] : [{ folder: "", text }]));
  for (let depth = 0; depth < depthMax && fresh.length > 0; depth++) {
    for (const each of fresh) found.set(`${each.folder}\0${each.text}`, each);
    fresh = fresh
      .flatMap(({ text }) =>
        all.flatMap(({ folder, scripts }) =>
          startedBy(wordsOf(text), scripts).map((script) => ({ folder, text: script })),
        ),
      )
      .filter((each) => !found.has(`${each.folder}\0${each.text}`));
  }
  return [...found.values()];
}
