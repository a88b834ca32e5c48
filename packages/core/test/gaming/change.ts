import { evaluatorNames, type ScannedFile, scanChange, sealRule } from "@questbus/core";
import { normaliseQuest, questDocument, type Suspicion } from "@questbus/protocol";

type Texts = Readonly<Record<string, string | null>>;
type Options = { evaluator?: Readonly<Record<string, string>>; allowDependencies?: boolean };

/** A quest whose commands name these files. */
const rulesOf = (files: readonly string[]) =>
  normaliseQuest(
    questDocument.parse({
      version: 1,
      title: "Faster",
      intent: "improve",
      target: { repo: "." },
      measure: { command: `node ${files.join(" ")}`, metric: { name: "s", from: "wall-time" } },
      tests: { command: "node --test" },
      fixers: [{ command: "true" }],
    }),
    [],
  );

/** A text as it is read from a repository: one with a NUL byte is none. */
const fileOf = (path: string, base: string | null, candidate: string | null): ScannedFile => {
  const text = (content: string | null): string | null => (content?.includes("\0") ? null : content);
  return { path, base: text(base), candidate: text(candidate), binary: candidate?.includes("\0") ?? false };
};

/** What the guard says of a change from `base` to `candidate`; a path that only one of them has is new, or removed. */
export function scan(base: Texts, candidate: Texts, options: Options = {}): Suspicion[] {
  const paths = [...new Set([...Object.keys(base), ...Object.keys(candidate)])].sort();
  const files: ScannedFile[] = paths
    .filter((path) => base[path] !== candidate[path])
    .map((path) => fileOf(path, base[path] ?? null, candidate[path] ?? null));
  const manifests = Object.entries(base).flatMap(([path, text]) =>
    path.endsWith("package.json") && text !== null ? [{ path, text }] : [],
  );
  const kindOf = sealRule({ ...rulesOf(Object.keys(options.evaluator ?? {})), packages: manifests });
  return scanChange({
    sealed: (path) => kindOf(path) !== null,
    files,
    manifests,
    evaluator: evaluatorNames(new Map(Object.entries(options.evaluator ?? {}))),
    allowDependencies: options.allowDependencies ?? false,
  });
}

/** Kind and rule of each finding. */
export const named = (suspicions: readonly Suspicion[]): string[] =>
  suspicions.map(({ kind, message }) => `${kind} ${message.split(":", 1)[0]}`);
