import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, realpath, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { crashPoint, QuestbusError } from "@questbus/protocol";
import { onDisk } from "./disk.ts";
import { type GitOptions, type GitRun, git, gitText } from "./git.ts";
import { removeTree } from "./removal.ts";
import { targetRoot } from "./target.ts";

/**
 * One quest's private place. Owns `<dir>/repo.git` (candidates and their refs), `<dir>/trees` and `<dir>/arms`
 * (checked-out files). Does not own the target, whose objects it reads through `objects/info/alternates`.
 *
 * Invariants:
 * W1: nothing here writes to the target; a `git worktree add` there would leave entries in its `.git/worktrees`.
 * W2: `repo.git` is complete whenever it exists: it is built beside and renamed into place.
 * W3: every tree is a small repository of its own, so what a fixer does with git in it stays in it, and removing the
 *     directory removes all of it; nothing half-made can be left in a list of worktrees.
 * W4: files are checked out byte for byte as their blobs (no line-end conversion, no filters), so a tree hash of the
 *     files proves them.
 */
export type Workspace = {
  readonly dir: string;
  readonly gitDir: string;
  readonly targetRoot: string;
  /** The commit the quest starts from. */
  readonly commit: string;
  readonly source: ObjectSource;
};

/** Where a target keeps its objects, and of which kind they are. */
type ObjectSource = { objects: string; format: string; shallow: string | null };

const attributes = "* -text -eol -filter -ident -working-tree-encoding\n";

/**
 * Opens the workspace in `dir`, building or repairing what is not there; safe after a crash at any point, and with
 * several processes at once.
 * @throws TARGET_REF_MISSING when `commit` is not (or no longer) in the target; TARGET_NOT_A_REPOSITORY when that is gone;
 * DISK_FULL.
 */
export async function openWorkspace(of: {
  dir: string;
  targetRoot: string;
  commit: string;
}): Promise<Workspace> {
  const dir = resolve(of.dir);
  const gitDir = join(dir, "repo.git");
  const source = await objectSource(of.targetRoot);
  await onDisk(dir, async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await sweepLeftovers(dir);
    if (!(await isUsable(dir, gitDir, source.format))) {
      await build(dir, gitDir, source.format);
      crashPoint("workspace.built");
    }
    await linkObjects(gitDir, [source.objects], source);
  });
  const ws = { dir, gitDir, targetRoot: of.targetRoot, commit: of.commit, source };
  await refuseMissing(ws);
  return ws;
}

/** Runs git on the private repository; a relative path in `args` starts at the workspace. */
export const privateGit = (ws: Workspace, args: readonly string[], options?: GitOptions): Promise<GitRun> =>
  git(ws.dir, ["--git-dir", ws.gitDir, ...args], options);

/** Like {@link privateGit}, and answers with stdout as text without its last newline. */
export const privateText = (ws: Workspace, args: readonly string[], options?: GitOptions): Promise<string> =>
  gitText(ws.dir, ["--git-dir", ws.gitDir, ...args], options);

/** The tree hash of a commit. */
export const treeOf = (ws: Workspace, commit: string): Promise<string> =>
  privateText(ws, ["rev-parse", "--verify", `${commit}^{tree}`]);

/** Removes every checked-out tree and arm; the private repository and its candidates stay. */
export async function removeTrees(ws: Pick<Workspace, "dir">): Promise<void> {
  await removeTree(join(ws.dir, "trees"));
  await removeTree(join(ws.dir, "arms"));
}

/** Removes the whole workspace; safe to repeat. */
export const removeWorkspace = (ws: Pick<Workspace, "dir">): Promise<void> => removeTree(ws.dir);

/** Lets the repository at `gitDir` read the objects of `objectDirs`, and check files out byte for byte. */
export async function linkObjects(
  gitDir: string,
  objectDirs: readonly string[],
  source: ObjectSource,
): Promise<void> {
  const alternates = objectDirs.map(alternateLine).join("");
  await putFile(join(gitDir, "objects/info/alternates"), alternates);
  await putFile(join(gitDir, "info/attributes"), attributes);
  if (source.shallow === null) await rm(join(gitDir, "shallow"), { force: true });
  else await putFile(join(gitDir, "shallow"), source.shallow);
}

/** Runs `work` with the path of an index file that is gone afterwards. */
export async function withIndex<T>(
  ws: Workspace,
  work: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
  const path = join(ws.gitDir, `index-${randomUUID()}`);
  try {
    return await work({ GIT_INDEX_FILE: path });
  } finally {
    await rm(path, { force: true });
    await rm(`${path}.lock`, { force: true });
  }
}

async function objectSource(root: string): Promise<ObjectSource> {
  const text = await gitText(root, [
    "rev-parse",
    "--git-path",
    "objects",
    "--git-path",
    "shallow",
    "--show-object-format",
  ]).catch(async (error: unknown) => {
    // A repository that was moved away is told as that.
    await targetRoot(root);
    throw error;
  });
  const [objects = "", shallow = "", format = "sha1"] = text.split("\n");
  return {
    objects: await realpath(resolve(root, objects)),
    format,
    shallow: await readFile(resolve(root, shallow), "utf8").catch(() => null),
  };
}

async function isUsable(dir: string, gitDir: string, format: string): Promise<boolean> {
  const args = ["--git-dir", gitDir, "rev-parse", "--is-bare-repository", "--show-object-format"];
  const run = await git(dir, args, { okCodes: [0, 128] });
  return run.code === 0 && run.stdout.toString() === `true\n${format}\n`;
}

/** Builds the private repository beside its place, and moves it there (W2). */
async function build(dir: string, gitDir: string, format: string): Promise<void> {
  const fresh = `${gitDir}.${process.pid}-${randomUUID()}`;
  await git(dir, ["init", "--quiet", "--bare", "--template=", `--object-format=${format}`, fresh]);
  await git(dir, ["--git-dir", fresh, "config", "core.autocrlf", "false"]);
  // what a report names must still be there after a power cut
  await git(dir, ["--git-dir", fresh, "config", "core.fsync", "committed,reference"]);
  const broken = `${gitDir}.${process.pid}-broken-${randomUUID()}`;
  try {
    await rename(fresh, gitDir);
  } catch {
    // something is in the way: another process's repository, which is as good, or a broken one
    if (!(await isUsable(dir, gitDir, format))) {
      await rename(gitDir, broken);
      await rename(fresh, gitDir);
    }
  }
  await removeTree(broken);
  await removeTree(fresh);
}

/** Removes what processes that are gone were building in `dir`: names such as `repo.git.<process id>-…`. */
export async function sweepLeftovers(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const owner = /^.+\.(\d+)-(?:broken-)?[0-9a-f-]{36}$/.exec(name)?.[1];
    if (owner && !isAlive(Number(owner))) await removeTree(join(dir, name));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

const alternateLine = (path: string): string =>
  /[\n"]/.test(path) ? `"${path.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"\n` : `${path}\n`;

async function putFile(path: string, text: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => null)) === text) return;
  await mkdir(dirname(path), { recursive: true });
  const fresh = join(dirname(path), `.${basename(path)}-${randomUUID()}`);
  await writeFile(fresh, text);
  await rename(fresh, path);
}

async function refuseMissing(ws: Workspace): Promise<void> {
  const run = await privateGit(ws, ["cat-file", "-e", `${ws.commit}^{tree}`], { okCodes: [0, 1, 128] });
  if (run.code === 0) return;
  throw new QuestbusError({
    code: "TARGET_REF_MISSING",
    message: `the repository no longer has the commit ${ws.commit}`,
    where: ws.targetRoot,
    next: "bring the commit back (git reflog lists lost ones), or submit the quest anew",
  });
}
