import type { Suspicion } from "@questbus/protocol";
import { carriedStateRules } from "./carried-state.ts";
import { clockRules } from "./clock.ts";
import { withoutComments } from "./comment.ts";
import { type Evaluator, namesOf } from "./evaluator.ts";
import { type Excerpt, excerptOf, hasGap } from "./excerpt.ts";
import { dependencyChanges, installWork, isProgram, type Manifest } from "./manifest.ts";
import { fileName, isSource, type Language, languageOf } from "./place.ts";
import { type FormRule, form, literal, type RuleContext, type ScannedFile, suspect } from "./rule.ts";
import { sniffingRules } from "./sniffing.ts";
import { storedInFiles, storedInSource } from "./stored-answer.ts";
import { smallerSurface } from "./surface.ts";

/**
 * The static part of the gaming guard: what a change looks like when it games its evaluation, read from its text alone.
 *
 * - G1: only what is new counts. A line that stands in the base of a changed file, and a form that the base has as
 *   often, say nothing about the change.
 * - G2: comments say nothing.
 * - G3: tests and benchmarks are not read here: they are sealed, and a program that names them is.
 * - G4: the same change always gives the same findings.
 */
export type ScanInput = {
  files: readonly ScannedFile[];
  /** Each package.json of the base. */
  manifests: readonly Manifest[];
  evaluator: Evaluator;
  /** Whether a path is sealed, and so no part of the program. */
  sealed: (path: string) => boolean;
  /** The operator approved other dependencies. */
  allowDependencies: boolean;
};

type Source = {
  path: string;
  language: Language;
  base: string;
  candidate: string;
  /** What is new in the candidate. */
  excerpt: Excerpt;
  entry: boolean;
};

const rules: readonly FormRule[] = [...sniffingRules, ...clockRules, ...carriedStateRules];
const squeezed = (text: string): string => text.replaceAll(/\s+/g, "");

function readSource(
  { manifests }: ScanInput,
  { path, base, candidate }: ScannedFile,
  isNew: (line: string) => boolean,
  language: Language = languageOf(path, candidate ?? ""),
): Source {
  const text = candidate ?? "";
  const entry =
    text.startsWith("#!") || isProgram(manifests, path) || /^(?:cli|bin)\.\w+$/.test(fileName(path));
  const plain = withoutComments(text, language);
  const excerpt = excerptOf(plain, isNew);
  return { path, language, entry, base: withoutComments(base ?? "", language), candidate: plain, excerpt };
}

/** What a file is loaded by, with the names that a program gives to a `require` of its own. */
const loadersIn = (text: string): string[] => [
  ...["require", "import", "from", "fork", "Worker"],
  ...[...text.matchAll(/\b(\w{1,99})\s{0,99}=\s{0,99}(?:\w{1,99}\s{0,99}\.\s{0,99})?createRequire\b/g)].map(
    (found) => found[1] as string,
  ),
];

/** Whether new code loads a file as code: Node takes an ending that it does not know, or none, for JavaScript. */
function isLoaded(path: string, added: string, loaders: ReadonlySet<string>): boolean {
  if (path.toLowerCase().endsWith(".json")) return false;
  const named = new RegExp(
    String.raw`\b(\w{1,99})\s{0,99}\(?\s{0,99}(?:new\s{1,99}URL\s{0,99}\(\s{0,99})?["'\`](?:[^"'\`\n]{0,400}/)?${literal(fileName(path))}["'\`]`,
    "g",
  );
  return [...added.matchAll(named)].some((found) => loaders.has(found[1] as string));
}

/** How often a form stands in the texts with just these words. */
const countOf = (texts: readonly string[], each: RegExp, words: string): number =>
  texts.flatMap((text) => [...text.matchAll(each)]).filter(([found]) => squeezed(found) === words).length;

type Hit = { source: Source; line: number; text: string };

/** The places where new lines have a form that the candidate has more often than the base; the first of each text. */
function newForms(sources: readonly Source[], forms: readonly RegExp[]): Hit[] {
  const hits = new Map<string, Hit>();
  for (const source of sources) {
    for (const each of forms) {
      for (const match of source.excerpt.text.matchAll(each)) {
        const words = squeezed(match[0]);
        const from = match.index + match[0].length - match[0].trimStart().length;
        const line = source.excerpt.newLineAt(from, match.index + match[0].length);
        const key = `${source.path}\0${words}`;
        if (line === null || hits.has(key) || !(hasGap(match[0]) || isMore(sources, each, words))) continue;
        hits.set(key, { source, line, text: match[0].trim() });
      }
    }
  }
  return [...hits.values()];
}

const isMore = (sources: readonly Source[], each: RegExp, words: string): boolean => {
  const [before, after] = [sources.map(({ base }) => base), sources.map(({ candidate }) => candidate)];
  return countOf(after, each, words) > countOf(before, each, words);
};

const shown = (text: string): string => {
  const plain = text.replaceAll(/\s+/g, " ");
  return plain.length > 80 ? `${plain.slice(0, 76)} ...` : plain;
};

function findForms(
  rule: FormRule,
  sources: readonly Source[],
  shared: Pick<RuleContext, "before" | "added">,
): Suspicion[] {
  const concerned = sources.filter(
    ({ path, language, entry }) =>
      (rule.languages === "all" || rule.languages.includes(language)) &&
      (rule.counts?.({ path, entry, ...shared }) ?? true),
  );
  return newForms(concerned, rule.forms).map(({ source, line, text }) =>
    suspect(
      rule.kind,
      `${rule.id}: it ${rule.does}: ${shown(text)}; ${rule.instead}`,
      `${source.path}:${line}`,
    ),
  );
}

/** Names of what judges the program, as rules of this change. */
const nameRules = (evaluator: Evaluator): FormRule[] =>
  namesOf(evaluator).map((name) => ({
    id: "evaluator-name",
    kind: "sniffing",
    languages: "all",
    does: "names a file of the tests or the benchmark",
    instead: "keep the program ignorant of what judges it",
    forms: [
      form(
        String.raw`["'\`](?:[^"'\`\n]{0,400}[^\w"'\`\n.-])?${literal(name)}(?![\w-])[^"'\`\n]{0,400}["'\`]`,
      ),
    ],
  }));

/** One place is said once, whatever number of forms see it. */
function distinct(suspicions: readonly Suspicion[]): Suspicion[] {
  const seen = new Set<string>();
  return suspicions.filter(({ kind, message, where }) => {
    const key = `${kind}\0${where}\0${where?.includes(":") ? message.split(":", 1)[0] : message}`;
    return !seen.has(key) && seen.add(key);
  });
}

const partition = <T>(list: readonly T[], test: (each: T) => boolean): [T[], T[]] => [
  list.filter(test),
  list.filter((each) => !test(each)),
];

/** What looks like gaming in a change, the most telling first. */
export function scanChange(input: ScanInput): Suspicion[] {
  const { files, manifests, evaluator, sealed, allowDependencies } = input;
  const own = files.filter((each) => !sealed(each.path));
  const known = new Set(
    files.flatMap(({ path, base }) =>
      base === null
        ? []
        : withoutComments(base, languageOf(path, base))
            .split("\n")
            .map((line) => line.trim()),
    ),
  );
  const isNew = (line: string): boolean => line.trim() !== "" && !known.has(line.trim());
  const [named, others] = partition(
    own.filter((each) => !each.binary),
    ({ path, candidate, base }) => isSource(path, candidate ?? base ?? ""),
  );
  const written = named.map((each) => readSource(input, each, isNew));
  const added = written.flatMap((each) => each.candidate.split("\n").filter(isNew)).join("\n");
  const loaders = new Set(written.flatMap((each) => loadersIn(each.candidate)));
  const loaded = others.filter(({ path }) => isLoaded(path, added, loaders));
  const sources = [...written, ...loaded.map((each) => readSource(input, each, isNew, "js"))];
  const before = sources.map((each) => each.base).join("\n");
  return distinct([
    ...[...rules, ...nameRules(evaluator)].flatMap((rule) => findForms(rule, sources, { before, added })),
    ...installWork(own),
    ...sources.flatMap((each) => storedInSource(each.path, each.candidate.split("\n"), isNew)),
    ...storedInFiles(own, added, isNew),
    ...smallerSurface(own, manifests),
    ...(allowDependencies ? [] : dependencyChanges(files)),
  ]);
}
