import { isUtf8 } from "node:buffer";
import { constants } from "node:fs";
import { lstat, mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathProblem, QuestbusError } from "@questbus/protocol";
import { onDisk } from "./disk.ts";
import { confirmLease } from "./lease.ts";
import { privateGit, type Workspace } from "./workspace.ts";

/** Single text files of a commit, and of a tree on the disk; neither reading nor writing follows a symbolic link. */

function refuse(code: "PATH_FORBIDDEN" | "PATH_ESCAPES", path: string, message: string): never {
  throw new QuestbusError({ code, message, where: path, next: "name a plain text file of the target" });
}

function refusePath(path: string): void {
  const problem = pathProblem(path);
  if (problem) refuse(problem.code, path, problem.message);
}

/**
 * The text of a file in a commit; null when there is none.
 * @throws PATH_ESCAPES, PATH_FORBIDDEN for anything but a plain file of UTF-8 text
 */
export async function readTreeFile(ws: Workspace, commit: string, path: string): Promise<string | null> {
  refusePath(path);
  const { stdout } = await privateGit(ws, ["--literal-pathspecs", "ls-tree", "-z", commit, "--", path]);
  const [mode, kind, oid] = (stdout.toString().split("\t", 1)[0] ?? "").split(" ");
  if (!mode) return null;
  if (kind !== "blob" || mode === "120000") refuse("PATH_FORBIDDEN", path, `${path} is not a plain file`);
  const blob = await privateGit(ws, ["cat-file", "blob", oid as string]);
  if (!isUtf8(blob.stdout)) refuse("PATH_FORBIDDEN", path, `${path} is not UTF-8 text`);
  return blob.stdout.toString("utf8");
}

/**
 * Writes a file below `root`, and the folders above it; null removes it. The mode of a file that is there stays.
 * @throws PATH_ESCAPES, PATH_FORBIDDEN where a symbolic link is in the way; DISK_FULL
 */
export async function writeTreeFile(root: string, path: string, text: string | null): Promise<void> {
  refusePath(path);
  for (let at = dirname(path); at !== "."; at = dirname(at)) {
    const found = await lstat(join(root, at)).catch(() => null);
    if (found && !found.isDirectory()) refuse("PATH_FORBIDDEN", path, `${at} is not a plain folder`);
  }
  const full = join(root, path);
  const found = await lstat(full).catch(() => null);
  if (found && !found.isFile()) refuse("PATH_FORBIDDEN", path, `${path} is not a plain file`);
  await confirmLease();
  if (text === null) return rm(full, { force: true });
  await onDisk(full, async () => {
    await mkdir(dirname(full), { recursive: true });
    const { O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants;
    const file = await open(full, O_CREAT | O_NOFOLLOW | O_TRUNC | O_WRONLY, 0o644);
    await file.writeFile(text).finally(() => file.close());
  });
}
