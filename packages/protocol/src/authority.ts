import { matchesGlob } from "node:path";
import type { Authority } from "./quest.ts";

/** True when `path` matches `glob`; unlike a shell, `*` also takes names that start with a dot. */
function matches(path: string, glob: string): boolean {
  const undot = (text: string): string => text.replaceAll(/(^|\/)\./g, "$1\u0001");
  return matchesGlob(undot(path), undot(glob));
}

/** Of `files`, those that a role with this authority may not write. */
export function forbiddenPaths(files: readonly string[], authority: Authority): string[] {
  const may = (path: string): boolean =>
    authority.write.some((glob) => matches(path, glob)) && !authority.never.some((glob) => matches(path, glob));
  return files.filter((path) => !may(path));
}
