import { matchesGlob } from "node:path";

/** Globs: what a role may write, and what it never writes whatever the first say. */
export type Authority = { write: string[]; never: string[] };

/** True when `path` matches `glob`; unlike in a shell, a dot is a letter like any other, also at a name's start. */
function matches(path: string, glob: string): boolean {
  const undot = (text: string): string => text.replaceAll(".", "\u0001");
  return matchesGlob(undot(path), undot(glob));
}

/**
 * True when `glob` names `path`, or plainly names a folder above it: `test`, `test/` and `./test` cover what is in
 * `test`, because a `never` that protects nothing would be worse than none. `src/*` stays what it is: one level.
 */
export function covers(path: string, glob: string): boolean {
  const named = glob.replace(/^\.?\/+/, "").replace(/\/+$/, "");
  const isPlain = !/[*?[{(]/.test(named.slice(named.lastIndexOf("/") + 1));
  return matches(path, named) || (isPlain && matches(path, `${named}/**`));
}

/** Of `files`, those that a role with this authority may not write. `never` holds in any case of letters. */
export function forbiddenPaths(files: readonly string[], authority: Authority): string[] {
  const may = (path: string): boolean =>
    authority.write.some((glob) => covers(path, glob)) &&
    !authority.never.some((glob) => covers(path.toLowerCase(), glob.toLowerCase()));
  return files.filter((path) => !may(path));
}
