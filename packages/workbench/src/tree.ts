import { randomUUID } from "node:crypto";
import { lstat, mkdir, rename } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { crashPoint, QuestbusError } from "@questbus/protocol";
import { onDisk } from "./disk.ts";
import { GitFailure, type GitOptions, type GitRun, git } from "./git.ts";
import { confirmLease } from "./lease.ts";
import { removeTree } from "./removal.ts";
import {
  linkObjects,
  privateGit,
  privateText,
  sweepLeftovers,
  treeOf,
  type Workspace,
  withIndex,
} from "./workspace.ts";

const treeName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Where the tree of that name stands. */
export function treePath(ws: Workspace, name: string): string {
  if (!treeName.test(name)) throw new RangeError(`not a name for a tree: ${name}`);
  return join(ws.dir, "trees", name);
}

/**
 * Checks `commit` out into a fresh tree named `name`, HEAD detached; an earlier one of that name is removed first.
 * Answers with its path.
 * @throws DISK_FULL
 */
export async function checkout(ws: Workspace, name: string, commit: string): Promise<string> {
  const path = treePath(ws, name);
  await layTree(ws, path, commit);
  return path;
}

/**
 * Checks `commit` out at `path`, in place of whatever stands there. It is built beside and renamed, because the git of
 * a process that was killed may still be writing files; it never reaches a tree that somebody works in.
 */
export async function layTree(ws: Workspace, path: string, commit: string): Promise<void> {
  const fresh = join(dirname(path), `.${basename(path)}.${process.pid}-${randomUUID()}`);
  await confirmLease();
  await onDisk(path, async () => {
    await removeTree(path);
    crashPoint("tree.removed");
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await sweepLeftovers(dirname(path));
    try {
      await build(ws, fresh, commit);
      await rename(fresh, path);
      crashPoint("tree.laid");
    } finally {
      await removeTree(fresh);
    }
  });
}

async function build(ws: Workspace, path: string, commit: string): Promise<void> {
  const gitDir = join(path, ".git");
  await git(ws.dir, ["init", "--quiet", "--template=", `--object-format=${ws.source.format}`, path]);
  await linkObjects(gitDir, [join(ws.gitDir, "objects"), ws.source.objects], ws.source);
  const checkoutArgs = ["-c", "core.autocrlf=false", "checkout", "--quiet", "--detach", commit];
  await git(path, ["--git-dir", gitDir, "--work-tree", path, ...checkoutArgs]);
}

/**
 * The tree hash of the files that are in a tree now, read afresh from the disk. Files that .gitignore names do not
 * count, unless they are tracked.
 * @throws PATH_FORBIDDEN for a file that git cannot hold, DISK_FULL
 */
export async function treeHash(ws: Workspace, path: string): Promise<string> {
  return snapshot(ws, path, (await headOf(ws, path)) ?? ws.commit);
}

/**
 * Puts a tree back to `commit`: removed, checked out afresh, and proven by its tree hash, which is the answer.
 * @throws ROLLBACK_UNPROVEN when the files on the disk are not those of the commit; DISK_FULL
 */
export async function restore(ws: Workspace, name: string, commit: string): Promise<string> {
  const path = await checkout(ws, name, commit);
  const [found, wanted] = await Promise.all([snapshot(ws, path, commit), treeOf(ws, commit)]);
  if (found === wanted) return found;
  throw new QuestbusError({
    code: "ROLLBACK_UNPROVEN",
    message: `the files are those of tree ${found}, not of ${wanted}`,
    where: path,
    next: "see whether another program writes there, and whether the disk is sound; then run the quest again",
  });
}

/**
 * Stores the files of a tree in the private repository, as changes to the tree or commit `seed`, and answers with the
 * tree hash. Every file is read. The tree's own index is not trusted: it only names files that are tracked though
 * ignored. Files that are as in `seed` are compared, not added, because git renews the file times of objects that it is
 * asked to add and finds in the target (W1).
 */
export async function snapshot(ws: Workspace, path: string, seed: string): Promise<string> {
  return withIndex(ws, async (env) => {
    await privateGit(ws, ["read-tree", seed], { env });
    await gitOn(ws, path, ["update-index", "-q", "--refresh"], { env, okCodes: [0, 1] });
    await addAll(ws, path, env);
    await addTracked(ws, path, env);
    return privateText(ws, ["write-tree"], { env });
  });
}

/** The commit that a tree stands at, where the workspace knows it. */
async function headOf(ws: Workspace, path: string): Promise<string | null> {
  const okCodes = [0, 1, 128];
  const own = await git(path, ["--git-dir", join(path, ".git"), "rev-parse", "--verify", "--quiet", "HEAD"], {
    okCodes,
  });
  const head = own.stdout.toString().trim();
  if (own.code !== 0 || head === "") return null;
  const known = await privateGit(ws, ["cat-file", "-e", `${head}^{commit}`], { okCodes });
  return known.code === 0 ? head : null;
}

/** Runs the private repository's git on the files of a tree; settings inside the tree are not asked. */
export const gitOn = (
  ws: Workspace,
  path: string,
  args: readonly string[],
  options: GitOptions,
): Promise<GitRun> => git(path, ["--git-dir", ws.gitDir, "--work-tree", path, ...args], options);

/** The index of a tree's own repository, which says what a fixer added to it. */
export const ownIndex = (path: string): string => join(path, ".git/index");

/** Brings the index to what is on the disk; a file that is now behind a symbolic link is gone. */
async function addAll(ws: Workspace, path: string, env: Record<string, string>): Promise<void> {
  try {
    const changed = pairs(
      await gitOn(ws, path, ["diff-files", "-z", "--no-renames", "--name-status"], { env }),
    );
    const removed = changed.filter(([status]) => status === "D").map(([, file]) => file);
    await gitOn(ws, path, ["update-index", "--force-remove", "-z", "--stdin"], {
      env,
      input: join0(removed),
    });
    const added = await gitOn(ws, path, ["ls-files", "-z", "--others", "--exclude-standard"], { env });
    const edited = changed.filter(([status]) => status !== "D").map(([, file]) => file);
    await addFiles(ws, path, env, [...edited, ...split(added.stdout)]);
  } catch (error) {
    const said =
      error instanceof GitFailure
        ? /^(?:error|fatal): (.*(?:invalid path|commit checked out).*)$/m.exec(error.stderr)
        : null;
    if (!said) throw error;
    throw new QuestbusError({
      code: "PATH_FORBIDDEN",
      message: `a file cannot be part of a change: ${said[1]}`,
      where: path,
      next: "let the fixer remove it, or name it in .gitignore",
    });
  }
}

async function addFiles(
  ws: Workspace,
  path: string,
  env: Record<string, string>,
  files: string[],
): Promise<void> {
  if (files.length === 0) return;
  const literal = { ...env, GIT_LITERAL_PATHSPECS: "1" };
  const args = ["add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul"];
  await gitOn(ws, path, args, { env: literal, input: join0(files) });
}

/** Adds files that the tree's own index tracks although .gitignore names them. */
async function addTracked(ws: Workspace, path: string, env: Record<string, string>): Promise<void> {
  const own = await gitOn(ws, path, ["ls-files", "-z"], {
    env: { GIT_INDEX_FILE: ownIndex(path) },
    okCodes: [0, 128],
  });
  const present = await privateGit(ws, ["ls-files", "-z"], { env });
  const known = new Set(split(present.stdout));
  const missing: string[] = [];
  for (const each of split(own.stdout))
    if (!known.has(each) && (await isPlain(path, each))) missing.push(each);
  if (missing.length === 0) return;
  await gitOn(ws, path, ["update-index", "--add", "-z", "--stdin"], { env, input: join0(missing) });
}

/** Paths may be any bytes; latin1 keeps them as they are. */
const join0 = (list: readonly string[]): Buffer =>
  Buffer.from(list.map((each) => `${each}\0`).join(""), "latin1");
const split = (list: Buffer): string[] => list.toString("latin1").split("\0").filter(Boolean);

/** What `--name-status -z` prints: status and path in turn. */
function pairs(run: GitRun): [status: string, file: string][] {
  const fields = split(run.stdout);
  return fields.flatMap((status, at) =>
    at % 2 === 0 ? [[status, fields[at + 1] ?? ""] as [string, string]] : [],
  );
}

/** Whether `file` is in the tree as a file or link, reached through real directories only. */
async function isPlain(path: string, file: string): Promise<boolean> {
  const parts = file.split("/");
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const name = Buffer.from(parts.slice(0, depth).join("/"), "latin1");
    const found = await lstat(Buffer.concat([Buffer.from(`${path}/`), name])).catch(() => null);
    if (found?.isDirectory() !== depth < parts.length) return false;
  }
  return true;
}
