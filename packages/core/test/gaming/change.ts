import { evaluatorNames, type ScannedFile, scanChange } from "@questbus/core";
import type { Suspicion } from "@questbus/protocol";

type Texts = Readonly<Record<string, string | null>>;
type Options = { evaluator?: Readonly<Record<string, string>>; allowDependencies?: boolean };

/** What the guard says of a change from `base` to `candidate`; a path that only one of them has is new, or removed. */
export function scan(base: Texts, candidate: Texts, options: Options = {}): Suspicion[] {
  const paths = [...new Set([...Object.keys(base), ...Object.keys(candidate)])].sort();
  const files: ScannedFile[] = paths
    .filter((path) => base[path] !== candidate[path])
    .map((path) => ({ path, base: base[path] ?? null, candidate: candidate[path] ?? null, binary: false }));
  const manifests = Object.entries(base).flatMap(([path, text]) =>
    path.endsWith("package.json") && text !== null ? [{ path, text }] : [],
  );
  return scanChange({
    files,
    manifests,
    evaluator: evaluatorNames(new Map(Object.entries(options.evaluator ?? {}))),
    allowDependencies: options.allowDependencies ?? false,
  });
}

/** Kind and rule of each finding. */
export const named = (suspicions: readonly Suspicion[]): string[] =>
  suspicions.map(({ kind, message }) => `${kind} ${message.split(":", 1)[0]}`);
