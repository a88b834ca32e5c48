import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { type ChangelogEntry, crashPoint, pathProblem, QuestbusError } from "@questbus/protocol";
import { writeCommit } from "./candidate.ts";
import { insertEntry } from "./changelog.ts";
import { GitFailure, git, gitText } from "./git.ts";
import { resolveRef } from "./target.ts";
import { privateGit, privateText, treeOf, type Workspace, withIndex } from "./workspace.ts";

/**
 * Brings an accepted change into the target: objects, and one new branch. The only code that writes to a target.
 *
 * Invariants:
 * N1: the target's working tree, index and HEAD are never touched, no hook of it runs, no ref of it is moved.
 * N2: the commit is a function of the order, so repeating it after a crash finds its own work and is done.
 */
export type IntegrationOrder = {
  targetRoot: string;
  /** Parent of the new commit. */
  baseCommit: string;
  /** The accepted candidate: its tree is what the branch gets. */
  commit: string;
  branch: string;
  /** Date of the commit and of the changelog entry. */
  atMs: number;
  message: string;
  changelog: ChangelogEntry;
};

export type Integrated = { branch: string; commit: string; tree: string };

/**
 * Creates `branch` in the target, at one commit on top of `baseCommit` with the accepted files and a changelog entry.
 * @throws BRANCH_EXISTS when the branch is there with another commit; QUEST_FILE_INVALID for a name that no branch can
 * have; PATH_ESCAPES, PATH_FORBIDDEN for a changelog path that is no plain file; DISK_FULL
 */
export async function integrate(ws: Workspace, order: IntegrationOrder): Promise<Integrated> {
  await refuseBranchName(order.targetRoot, order.branch);
  const made = await buildCommit(ws, order);
  const done = { branch: order.branch, ...made };
  const standing = await branchCommit(order);
  if (standing === made.commit) return done;
  if (standing !== null) throw branchExists(order, `it is at ${standing}`);
  await refuseUnborn(order);
  await transfer(ws, order, made.commit);
  crashPoint("integration.transferred");
  await createBranch(order, made.commit);
  crashPoint("integration.done");
  return done;
}

/**
 * @throws QUEST_FILE_INVALID when git cannot have a branch of that name
 */
export async function refuseBranchName(root: string, branch: string): Promise<void> {
  const run = await git(root, ["check-ref-format", "--branch", branch], { okCodes: [0, 1, 128] });
  if (run.code === 0 && run.stdout.toString() === `${branch}\n`) return;
  throw new QuestbusError({
    code: "QUEST_FILE_INVALID",
    message: `${branch} cannot be the name of a branch`,
    where: "onAccept.branch",
    next: "see `git help check-ref-format` for the rules, or leave the line out",
  });
}

/**
 * What stands at the changelog's path in a tree: its content and mode; null when nothing does.
 * @throws PATH_ESCAPES, PATH_FORBIDDEN
 */
export async function readChangelog(
  ws: Workspace,
  tree: string,
  path: string,
): Promise<{ text: string; mode: string } | null> {
  const refuse = (code: "PATH_ESCAPES" | "PATH_FORBIDDEN", message: string): QuestbusError =>
    new QuestbusError({
      code,
      message,
      where: "onAccept.changelog",
      next: "name a plain file in the target, such as CHANGELOG.md",
    });
  const problem = pathProblem(path);
  if (problem) throw refuse(problem.code, problem.message);
  const parts = path.split("/");
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const at = parts.slice(0, depth).join("/");
    const entry = await privateText(ws, ["ls-tree", "-z", "--full-tree", tree, "--", at], {
      env: { GIT_LITERAL_PATHSPECS: "1" },
    });
    if (entry === "") return null;
    const [mode = "", type = "", oid = ""] = entry.split(/[ \t]/);
    if (type !== (depth < parts.length ? "tree" : "blob") || mode === "120000")
      throw refuse("PATH_FORBIDDEN", `${at} is not a plain ${depth < parts.length ? "directory" : "file"}`);
    if (depth === parts.length)
      return { mode, text: (await privateGit(ws, ["cat-file", "blob", oid])).stdout.toString("latin1") };
  }
  return null;
}

async function buildCommit(
  ws: Workspace,
  order: IntegrationOrder,
): Promise<{ commit: string; tree: string }> {
  const accepted = await treeOf(ws, order.commit);
  const tree =
    order.changelog.path === null ? accepted : await treeWithEntry(ws, accepted, order.changelog.path, order);
  const seconds = Math.floor(order.atMs / 1000);
  const by = { name: "Questbus", email: "questbus@localhost" };
  const commit = await writeCommit(ws, {
    tree,
    parent: order.baseCommit,
    message: order.message,
    seconds,
    ...by,
  });
  return { commit, tree };
}

async function treeWithEntry(
  ws: Workspace,
  tree: string,
  path: string,
  order: IntegrationOrder,
): Promise<string> {
  const found = await readChangelog(ws, tree, path);
  // latin1 both ways keeps bytes that are no UTF-8; the entry itself is encoded beforehand
  const text = insertEntry(found?.text ?? null, asBytes(order.changelog), order.atMs);
  const oid = await privateText(ws, ["hash-object", "-w", "--stdin"], { input: Buffer.from(text, "latin1") });
  return withIndex(ws, async (env) => {
    await privateGit(ws, ["read-tree", tree], { env });
    await privateGit(
      ws,
      ["update-index", "--add", "--cacheinfo", `${found?.mode ?? "100644"},${oid},${path}`],
      { env },
    );
    return privateText(ws, ["write-tree"], { env });
  });
}

function asBytes(entry: ChangelogEntry): ChangelogEntry {
  const encode = (text: string): string => Buffer.from(text).toString("latin1");
  return {
    path: entry.path,
    description: encode(entry.description),
    impact: encode(entry.impact),
    rollback: encode(entry.rollback),
    author: encode(entry.author),
  };
}

/** How long the lock of the new branch may be another's. */
const lockMsMax = 2_000;

const refOf = (order: IntegrationOrder): string => `refs/heads/${order.branch}`;
const branchCommit = (order: IntegrationOrder): Promise<string | null> =>
  resolveRef(order.targetRoot, refOf(order));

/** A HEAD that waits for this branch would show its files as deleted once the branch is there. */
async function refuseUnborn(order: IntegrationOrder): Promise<void> {
  const head = await git(order.targetRoot, ["symbolic-ref", "--quiet", "HEAD"], { okCodes: [0, 1] });
  if (head.stdout.toString().trim() === refOf(order))
    throw branchExists(order, "it is checked out, without a commit");
}

/** Copies the objects of the commit that the base lacks; they are loose there, as those of any commit. */
async function transfer(ws: Workspace, order: IntegrationOrder, commit: string): Promise<void> {
  const input = `${commit}\n^${order.baseCommit}\n`;
  const pack = await privateGit(ws, ["pack-objects", "--revs", "--stdout", "-q"], { input });
  await git(order.targetRoot, ["-c", "core.fsync=committed,reference", "unpack-objects", "-q"], {
    input: pack.stdout,
  });
}

async function createBranch(order: IntegrationOrder, commit: string, isUnlocked = false): Promise<void> {
  const env = { GIT_COMMITTER_NAME: "Questbus", GIT_COMMITTER_EMAIL: "questbus@localhost" };
  const zero = "0".repeat(commit.length);
  const settings = ["core.fsync=committed,reference", `core.filesRefLockTimeout=${lockMsMax}`];
  const args = [...settings.flatMap((each) => ["-c", each]), "update-ref", "-m", "questbus: accepted change"];
  try {
    await gitText(order.targetRoot, [...args, refOf(order), commit, zero], { env });
  } catch (error) {
    if ((await branchCommit(order)) === commit) return;
    if (!(error instanceof GitFailure)) throw error;
    if (!isUnlocked && /\.lock': File exists/.test(error.stderr)) {
      await removeLock(order);
      return createBranch(order, commit, true);
    }
    if (/exists/.test(error.stderr)) throw branchExists(order, error.stderr.trim());
    throw error;
  }
}

/** The lock of a branch that is not there yet, left by a git that was killed: one that lives holds it for milliseconds. */
async function removeLock(order: IntegrationOrder): Promise<void> {
  const path = await gitText(order.targetRoot, ["rev-parse", "--git-path", `${refOf(order)}.lock`]);
  await rm(resolve(order.targetRoot, path), { force: true });
}

function branchExists(order: IntegrationOrder, detail: string): QuestbusError {
  return new QuestbusError({
    code: "BRANCH_EXISTS",
    message: `the target already has the branch ${order.branch}: ${detail.replace(/^(fatal|error): /, "")}`,
    where: order.targetRoot,
    next: "rename or delete that branch, or give onAccept.branch another name; {quest} makes it unique",
  });
}
