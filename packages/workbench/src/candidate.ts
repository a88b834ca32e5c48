import { rm } from "node:fs/promises";
import { join } from "node:path";
import { crashPoint, forbiddenModes, inspectPatch, pathProblem, QuestbusError } from "@questbus/protocol";
import { GitFailure } from "./git.ts";
import { gitOn, ownIndex, snapshot } from "./tree.ts";
import { privateGit, privateText, treeOf, type Workspace, withIndex } from "./workspace.ts";

/** A change as a commit in the private repository, on top of last known-good. */
export type CommittedCandidate = {
  commit: string;
  tree: string;
  /** Paths that differ from the parent, sorted. */
  files: string[];
  linesAdded: number;
  linesRemoved: number;
  /** The difference as `git apply` takes it. Bytes that are no UTF-8 are replaced; the commit has them. */
  diffText: string;
};

/** One path of a comparison; `added` and `removed` are null for binary content. */
export type FileChange = { path: string; added: number | null; removed: number | null };
export type TreeComparison = {
  files: string[];
  linesAdded: number;
  linesRemoved: number;
  changes: FileChange[];
};

/** A candidate's diff beyond this is not a change to source files. */
const diffBytesMax = 67_108_864;
const faultsMax = 20;

const identity = { name: "questbus", email: "questbus@localhost" } as const;

/**
 * Applies a patch to the files of a tree, after {@link inspectPatch}.
 * @throws PATCH_DOES_NOT_APPLY with git's words, PATH_ESCAPES when it writes through a symbolic link, and what
 * {@link inspectPatch} throws
 */
export async function applyPatch(
  ws: Workspace,
  path: string,
  patch: string | Buffer,
  name = "patch",
): Promise<void> {
  inspectPatch(patch, { name });
  const env = { GIT_INDEX_FILE: ownIndex(path) };
  await applying(name, () => gitOn(ws, path, ["apply", "--index", "-"], { env, input: patch }));
}

/**
 * The tree that comes of applying a patch to `tree`, without any files checked out.
 * @throws as {@link applyPatch}
 */
export async function patchTree(
  ws: Workspace,
  tree: string,
  patch: string | Buffer,
  name: string,
): Promise<string> {
  inspectPatch(patch, { name });
  return withIndex(ws, async (env) => {
    await privateGit(ws, ["read-tree", tree], { env });
    await applying(name, () => privateGit(ws, ["apply", "--cached", "-"], { env, input: patch }));
    return privateText(ws, ["write-tree"], { env });
  });
}

/**
 * Commits what differs between a tree's files and `parentCommit`; null when nothing does. Deterministic: the same
 * files on the same parent give the same commit.
 * @param since a tree hash taken before the fixer ran, where `prepare` left files of its own: what is as it was then
 * is no part of the candidate.
 * @throws PATH_FORBIDDEN for symbolic links, submodules and .gitmodules; PATH_ESCAPES for paths in .git; FIXER_FAILED
 * for a diff over 64 MiB; DISK_FULL
 */
export async function commitCandidate(
  ws: Workspace,
  path: string,
  parentCommit: string,
  message: string,
  since?: string,
): Promise<CommittedCandidate | null> {
  const found = await snapshot(ws, path, parentCommit);
  const tree =
    since === undefined ? found : await transplant(ws, { from: since, to: found, onto: parentCommit });
  return commitTree(ws, tree, parentCommit, message);
}

/**
 * Takes the files of a commit (of the target, or of the private repository) as a candidate on top of `parentCommit`;
 * null when they are the same.
 * @throws as {@link commitCandidate}
 */
export async function adoptCommit(
  ws: Workspace,
  commit: string,
  parentCommit: string,
  message: string,
): Promise<CommittedCandidate | null> {
  return commitTree(ws, await treeOf(ws, commit), parentCommit, message);
}

/** What differs between two commits or trees. A rename counts as one path removed and one added. */
export async function diffFiles(ws: Workspace, from: string, to: string): Promise<TreeComparison> {
  const list = await privateText(ws, ["diff-tree", "-r", "-z", "--no-renames", "--numstat", from, to]);
  const changes = list.split("\0").filter(Boolean).map(readNumstat).sort(byPath);
  return {
    files: changes.map((each) => each.path),
    linesAdded: sum(changes.map((each) => each.added)),
    linesRemoved: sum(changes.map((each) => each.removed)),
    changes,
  };
}

/**
 * Refuses a difference that touches what no change may touch. The faults name every path, up to 20.
 * @throws PATH_FORBIDDEN, PATH_ESCAPES
 */
export async function refuseForbiddenChanges(
  ws: Workspace,
  from: string,
  to: string,
  where?: string,
): Promise<void> {
  const faults = (await rawChanges(ws, from, to)).flatMap(({ path, modes }) => {
    const mode = modes.map((each) => forbiddenModes[each]).find(Boolean);
    const problem = mode
      ? { code: "PATH_FORBIDDEN" as const, message: `${path} is ${mode}` }
      : pathProblem(path);
    return problem ? [{ ...problem, where: where ?? path, next: "change plain files only" }] : [];
  });
  const [first, ...rest] = faults.slice(0, faultsMax);
  if (first) throw new QuestbusError(first, ...rest);
}

async function commitTree(
  ws: Workspace,
  tree: string,
  parentCommit: string,
  message: string,
): Promise<CommittedCandidate | null> {
  if (tree === (await treeOf(ws, parentCommit))) return null;
  await refuseForbiddenChanges(ws, parentCommit, tree);
  const { files, linesAdded, linesRemoved } = await diffFiles(ws, parentCommit, tree);
  const diffText = await diffOf(ws, parentCommit, tree);
  const seconds = await privateText(ws, ["show", "--no-patch", "--format=%ct", parentCommit]);
  const commit = await writeCommit(ws, {
    tree,
    parent: parentCommit,
    message,
    seconds: Number(seconds),
    ...identity,
  });
  await keep(ws, commit);
  crashPoint("candidate.committed");
  return { commit, tree, files, linesAdded, linesRemoved, diffText };
}

/** Writes a commit object; the same input gives the same commit. `seconds` is its date, since 1970. */
export async function writeCommit(
  ws: Workspace,
  of: { tree: string; parent: string; message: string; seconds: number; name: string; email: string },
): Promise<string> {
  const date = `@${of.seconds} +0000`;
  const env = {
    GIT_AUTHOR_NAME: of.name,
    GIT_AUTHOR_EMAIL: of.email,
    GIT_AUTHOR_DATE: date,
    GIT_COMMITTER_NAME: of.name,
    GIT_COMMITTER_EMAIL: of.email,
    GIT_COMMITTER_DATE: date,
  };
  return privateText(ws, ["commit-tree", of.tree, "-p", of.parent], { env, input: `${of.message.trim()}\n` });
}

/** Keeps a commit reachable. Its ref is named after it, so a lock that a killed process left can be taken away. */
async function keep(ws: Workspace, commit: string): Promise<void> {
  const ref = `refs/questbus/${commit}`;
  try {
    await privateGit(ws, ["update-ref", ref, commit]);
  } catch (error) {
    if (!(error instanceof GitFailure) || !error.stderr.includes("File exists")) throw error;
    await rm(join(ws.gitDir, `${ref}.lock`), { force: true });
    await privateGit(ws, ["update-ref", ref, commit]);
  }
}

/** Puts the differences between two trees onto a third. */
async function transplant(ws: Workspace, of: { from: string; to: string; onto: string }): Promise<string> {
  const changes = await rawChanges(ws, of.from, of.to);
  const lines = changes.map(({ raw, modes, oid }) => `${modes[1]} ${oid}\t${raw}\0`);
  return withIndex(ws, async (env) => {
    await privateGit(ws, ["read-tree", of.onto], { env });
    const input = Buffer.from(lines.join(""), "latin1");
    await privateGit(ws, ["update-index", "-z", "--index-info"], { env, input });
    return privateText(ws, ["write-tree"], { env });
  });
}

/** `raw` is the path byte for byte (latin1), `path` as text; `modes` are before and after, as `was` and `oid` are. */
export type RawChange = { path: string; raw: string; modes: [string, string]; was: string; oid: string };

/** What differs between two commits or trees, file by file; what is not there has a mode and an id of zeros. */
export async function rawChanges(ws: Workspace, from: string, to: string): Promise<RawChange[]> {
  const { stdout } = await privateGit(ws, [
    "diff-tree",
    "-r",
    "-z",
    "--no-renames",
    "--raw",
    "--no-abbrev",
    from,
    to,
  ]);
  const fields = stdout.toString("latin1").split("\0");
  const changes: RawChange[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [before = "", after = "", was = "", oid = ""] = (fields[at] as string).slice(1).split(" ");
    const raw = fields[at + 1] as string;
    changes.push({
      raw,
      path: Buffer.from(raw, "latin1").toString("utf8"),
      modes: [before, after],
      was,
      oid,
    });
  }
  return changes;
}

const diffOf = async (ws: Workspace, from: string, to: string): Promise<string> =>
  (await diffBytes(ws, from, to)).toString("utf8");

/** The difference between two commits or trees, byte for byte, as `git apply` takes it. */
export async function diffBytes(ws: Workspace, from: string, to: string): Promise<Buffer> {
  const args = [
    "diff-tree",
    "-r",
    "-p",
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-ext-diff",
    "--no-textconv",
  ];
  const { stdout } = await privateGit(ws, [...args, from, to]);
  if (stdout.length <= diffBytesMax) return stdout;
  throw new QuestbusError({
    code: "FIXER_FAILED",
    message: `the change is too large: a diff of ${stdout.length} bytes, ${diffBytesMax} are allowed`,
    next: "name build outputs in the target's .gitignore",
  });
}

async function applying<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof GitFailure ? applyFault(name, error.stderr) : error;
  }
}

function applyFault(name: string, stderr: string): QuestbusError {
  const lines = stderr.split("\n").map((line) => line.replace(/^(error|fatal): /, "").trim());
  const message = lines.filter(Boolean).slice(0, 4).join("; ").slice(0, 1_000);
  const line = /patch failed: .*:(\d+)|at line (\d+)/.exec(stderr);
  const beyond = stderr.includes("beyond a symbolic link") || stderr.includes("invalid path");
  return new QuestbusError({
    code: beyond ? "PATH_ESCAPES" : "PATCH_DOES_NOT_APPLY",
    message,
    where: line ? `${name}:${line[1] ?? line[2]}` : name,
    next: beyond
      ? "leave that path out of the patch"
      : "make the patch anew on the commit that the quest starts from",
  });
}

function readNumstat(line: string): FileChange {
  const [added = "", removed = "", ...path] = line.split("\t");
  const count = (text: string): number | null => (text === "-" ? null : Number(text));
  return { path: path.join("\t"), added: count(added), removed: count(removed) };
}

const sum = (counts: readonly (number | null)[]): number =>
  counts.reduce<number>((total, each) => total + (each ?? 0), 0);
const byPath = (one: FileChange, other: FileChange): number => (one.path < other.path ? -1 : 1);
