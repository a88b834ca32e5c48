import { createHash } from "node:crypto";
import { holdsSettings, settingsOf } from "./package-settings.ts";
import { type SealRules, sealRule } from "./sealed-path.ts";

/** A file of a commit: its path, its mode, and the id of its content. */
export type SealedFile = { path: string; mode: string; oid: string };

/** The files of a tree that are sealed as a whole, and those of which some settings are. */
export function sealedFiles<T extends SealedFile>(
  files: readonly T[],
  rules: SealRules,
): { whole: T[]; settings: T[] } {
  const [kindOf, isSettings] = [sealRule(rules), holdsSettings(rules)];
  return {
    whole: files.filter(({ path }) => kindOf(path) !== null),
    settings: files.filter(({ path }) => kindOf(path) === null && isSettings(path)),
  };
}

/** One hash over all that is sealed: equal hashes mean equal files. The order of the files does not matter. */
export function sealHash(
  whole: readonly SealedFile[],
  settings: readonly { path: string; text: string }[],
): string {
  const lines = [
    ...whole.map(({ path, mode, oid }) => `${mode} ${oid} ${path}`),
    ...settings.map(({ path, text }) => `settings ${JSON.stringify(settingsOf(text))} ${path}`),
  ];
  return createHash("sha256").update(lines.sort().join("\0")).digest("hex");
}

/** Whether the seal looks at the content of a path at all. */
export function isSealable(rules: SealRules): (path: string) => boolean {
  const [kindOf, isSettings] = [sealRule(rules), holdsSettings(rules)];
  return (path) => kindOf(path) !== null || isSettings(path);
}
