import type { ErrorCode } from "./error.ts";

/** Which paths no change may touch, whoever makes it. (What a role may write is protocol's `forbiddenPaths`.) */

export type PathProblem = { code: Extract<ErrorCode, "PATH_ESCAPES" | "PATH_FORBIDDEN">; message: string };

/** Characters that macOS leaves out of file names when it compares them (HFS+). */
const ignorable = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

/** Mode bits of what a change must not touch. */
export const forbiddenModes: Readonly<Record<string, string>> = {
  "120000": "a symbolic link",
  "160000": "a submodule",
};

/** What disks take, of a path and of each name in it: globs are held against no longer ones, which costs their length squared. */
const pathCharsMax = 4_096;
const nameCharsMax = 255;

/** What is wrong with a path of a change (as git prints it, relative to the root); null when nothing is. */
export function pathProblem(path: string): PathProblem | null {
  const escapes = (why: string): PathProblem => ({ code: "PATH_ESCAPES", message: `${path} ${why}` });
  if (path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path)) return escapes("is an absolute path");
  const parts = path.split(/[\\/]/);
  if (path.length > pathCharsMax || parts.some((part) => part.length > nameCharsMax)) {
    const message = `${path.slice(0, nameCharsMax).toWellFormed()}… is longer than disks take: ${pathCharsMax} characters, ${nameCharsMax} for each name`;
    return { code: "PATH_FORBIDDEN", message };
  }
  if (parts.includes("..")) return escapes("leads out of the tree");
  if (parts.some(isGitDirectory)) return escapes("is in the .git directory");
  if (path.split("/").some((part) => part === "" || part === ".")) return escapes("is not a plain path");
  if (parts.some((part) => plainName(part) === ".gitmodules")) {
    return { code: "PATH_FORBIDDEN", message: `${path} would define submodules, which are not supported` };
  }
  return null;
}

/** A name as a file system that ignores case, and what is ignorable, sees it. */
const plainName = (part: string): string => part.replace(ignorable, "").toLowerCase();

/** `.git` and the names under which NTFS and HFS+ find it. */
const isGitDirectory = (part: string): boolean => /^(\.git|git~1)[ .]*(:.*)?$/.test(plainName(part));
