import type { Suspicion } from "@questbus/protocol";
import { carriedStateRules } from "./carried-state.ts";
import { clockRules } from "./clock.ts";
import { withoutComments } from "./comment.ts";
import { type Evaluator, namesOf } from "./evaluator.ts";
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
  entry: boolean;
};

const rules: readonly FormRule[] = [...sniffingRules, ...clockRules, ...carriedStateRules];
const squeezed = (text: string): string => text.replaceAll(/\s+/g, "");

function readSource({ manifests }: ScanInput, { path, base, candidate }: ScannedFile): Source {
  const text = candidate ?? "";
  const language = languageOf(path, text);
  const entry =
    text.startsWith("#!") || isProgram(manifests, path) || /^(?:cli|bin)\.\w+$/.test(fileName(path));
  return {
    path,
    language,
    entry,
    base: withoutComments(base ?? "", language),
    candidate: withoutComments(text, language),
  };
}

/** How often each of these forms stands in the texts, by what it matched. */
function countForms(texts: readonly string[], forms: readonly RegExp[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts)
    for (const each of forms)
      for (const [found] of text.matchAll(each))
        counts.set(squeezed(found), (counts.get(squeezed(found)) ?? 0) + 1);
  return counts;
}

type Hit = { source: Source; line: number; text: string };

/** The places where new lines have a form that the candidate has more often than the base; the first of each text. */
function newForms(
  sources: readonly Source[],
  forms: readonly RegExp[],
  isNew: (line: string) => boolean,
): Hit[] {
  const before = countForms(
    sources.map((each) => each.base),
    forms,
  );
  const after = countForms(
    sources.map((each) => each.candidate),
    forms,
  );
  const hits = new Map<string, Hit>();
  for (const source of sources) {
    for (const each of forms) {
      for (const match of source.candidate.matchAll(each)) {
        const key = squeezed(match[0]);
        if ((after.get(key) ?? 0) <= (before.get(key) ?? 0) || hits.has(`${source.path}\0${key}`)) continue;
        const line = newLineOf(source.candidate, match, isNew);
        if (line !== null) hits.set(`${source.path}\0${key}`, { source, line, text: match[0].trim() });
      }
    }
  }
  return [...hits.values()];
}

/** The first new line, from 1, that a match reaches over; null: all were there before. */
function newLineOf(text: string, match: RegExpExecArray, isNew: (line: string) => boolean): number | null {
  const from = text.lastIndexOf("\n", match.index + leading(match[0]) - 1) + 1;
  const end = text.indexOf("\n", match.index + match[0].length);
  const lines = text.slice(from, end < 0 ? undefined : end).split("\n");
  const at = lines.findIndex(isNew);
  return at < 0 ? null : text.slice(0, from).split("\n").length + at;
}

const leading = (text: string): number => text.length - text.trimStart().length;
const shown = (text: string): string => {
  const plain = text.replaceAll(/\s+/g, " ");
  return plain.length > 80 ? `${plain.slice(0, 76)} ...` : plain;
};

function findForms(
  rule: FormRule,
  sources: readonly Source[],
  shared: Pick<RuleContext, "before" | "added">,
  isNew: (line: string) => boolean,
): Suspicion[] {
  const concerned = sources.filter(
    ({ path, language, entry }) =>
      (rule.languages === "all" || rule.languages.includes(language)) &&
      (rule.counts?.({ path, entry, ...shared }) ?? true),
  );
  return newForms(concerned, rule.forms, isNew).map(({ source, line, text }) =>
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
    forms: [form(String.raw`["'\`](?:[^"'\`\n]*[^\w"'\`\n.-])?${literal(name)}(?![\w-])[^"'\`\n]*["'\`]`)],
  }));

/** One place is said once, whatever number of forms see it. */
function distinct(suspicions: readonly Suspicion[]): Suspicion[] {
  const seen = new Set<string>();
  return suspicions.filter(({ kind, message, where }) => {
    const key = `${kind}\0${where}\0${where?.includes(":") ? message.split(":", 1)[0] : message}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** What looks like gaming in a change, the most telling first. */
export function scanChange(input: ScanInput): Suspicion[] {
  const { files, manifests, evaluator, sealed, allowDependencies } = input;
  const own = files.filter((each) => !sealed(each.path));
  const sources = own
    .filter((each) => !each.binary && isSource(each.path, each.candidate ?? each.base ?? ""))
    .map((each) => readSource(input, each));
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
  const added = sources.flatMap((each) => each.candidate.split("\n").filter(isNew)).join("\n");
  const before = sources.map((each) => each.base).join("\n");
  return distinct([
    ...[...rules, ...nameRules(evaluator)].flatMap((rule) =>
      findForms(rule, sources, { before, added }, isNew),
    ),
    ...installWork(own),
    ...sources.flatMap((each) => storedInSource(each.path, each.candidate.split("\n"), isNew)),
    ...storedInFiles(own, added, isNew),
    ...smallerSurface(own, manifests),
    ...(allowDependencies ? [] : dependencyChanges(files)),
  ]);
}
