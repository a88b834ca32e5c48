import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readlink, realpath, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { QuestbusError, type TargetState } from "@questbus/protocol";
import { git, gitText } from "./git.ts";

/**
 * The operator's repository. It is only ever read here: no command in this file takes a lock, refreshes the index or
 * writes an object. (One thing writes to a target: `integrate`, on acceptance.)
 */

/** A target at the commit that a quest starts from. */
export type Target = {
  /** Absolute path of its working tree. */
  root: string;
  commit: string;
  tree: string;
};

const namedMax = 5;
const namedCharsMax = 1_000;
/** The first few of a list, in words. */
export const nameSome = (paths: readonly string[]): string =>
  paths.slice(0, namedMax).join(", ").slice(0, namedCharsMax) +
  (paths.length > namedMax ? ` and ${paths.length - namedMax} more` : "");

/**
 * Finds the commit that `ref` names in the repository at `repo`.
 * @throws TARGET_NOT_A_REPOSITORY, TARGET_REF_MISSING, TARGET_UNCLEAN (tracked files differ from `ref`, where `ref` is
 * what is checked out; untracked files are fine), PATH_FORBIDDEN (the tree holds submodules).
 */
export async function inspectTarget(repo: string, ref: string): Promise<Target> {
  const root = await targetRoot(repo);
  const commit = await resolveRef(root, ref);
  const head = await resolveRef(root, "HEAD");
  if (!commit) throw refMissing(root, ref, head === null);
  if (commit === head) await refuseUnclean(root);
  await refuseSubmodules(root, commit);
  return { root, commit, tree: await gitText(root, ["rev-parse", `${commit}^{tree}`]) };
}

/** The commit that `ref` names in the repository at `root`; null when there is none. */
export async function resolveRef(root: string, ref: string): Promise<string | null> {
  if (ref.startsWith("-") || ref.includes("\0")) return null;
  const run = await git(root, ["rev-parse", "--verify", "--quiet", `${ref}^{commit}`], {
    okCodes: [0, 1, 128],
  });
  return run.code === 0 ? run.stdout.toString().trim() : null;
}

/**
 * Whether a change, `accepted` over `base`, has come into `commit`. `yes`: its commit is in the history. `no`: it is not,
 * and no commit since the base touched a file of the change (`but` left out). Else `maybe`: squashed, picked, rewritten or
 * taken back again, which a history does not tell apart from other work on the same files.
 */
export async function isMerged(
  root: string,
  commit: string,
  change: { base: string; accepted: string; but: string | null },
): Promise<"yes" | "no" | "maybe"> {
  const { base, accepted, but } = change;
  const run = await git(root, ["merge-base", "--is-ancestor", accepted, commit], { okCodes: [0, 1] });
  if (run.code === 0) return "yes";
  if ((await resolveRef(root, base)) === null) return "maybe";
  const list = await gitText(root, ["diff-tree", "-r", "-z", "--no-renames", "--name-only", base, accepted]);
  const paths = list.split("\0").filter((path) => path !== "" && path !== but);
  const touched = await gitText(root, ["rev-list", "--full-history", "--max-count=1", "--stdin"], {
    input: [commit, `^${base}`, "--", ...paths, ""].join("\n"),
    env: { GIT_LITERAL_PATHSPECS: "1" },
  });
  return touched === "" && paths.length > 0 ? "no" : "maybe";
}

/**
 * Hashes over refs, HEAD, index and working tree: equal before and after means untouched. The index counts with what
 * it says (paths, modes, blobs, flags), not with its cached file times, which the operator's own `git status` renews.
 * Ignored files are not looked at, and of a file that may not be read its size and time count.
 */
export async function targetState(repo: string): Promise<TargetState> {
  const refs = await git(repo, ["for-each-ref", "--format=%(refname) %(objectname) %(symref)"]);
  const symbolic = await git(repo, ["symbolic-ref", "--quiet", "HEAD"], { okCodes: [0, 1] });
  const head =
    symbolic.code === 0 ? symbolic.stdout.toString().trim() : await gitText(repo, ["rev-parse", "HEAD"]);
  return { refs: createHash("sha256").update(refs.stdout).digest("hex"), head, files: await filesHash(repo) };
}

/** The root of the repository at `repo`, as a quest on it names it. @throws TARGET_NOT_A_REPOSITORY */
export async function targetRoot(repo: string): Promise<string> {
  const isDirectory = await stat(repo).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isDirectory) {
    const next = "correct target.repo; it is relative to the quest file";
    throw notRepository(repo, "there is no such directory", next);
  }
  const run = await git(repo, ["rev-parse", "--show-toplevel"], { okCodes: [0, 128] });
  if (run.code !== 0) throw unreadable(repo, run.stderr);
  const root = run.stdout.toString().replace(/\n$/, "");
  if ((await realpath(repo)) === root) return root;
  const next = "point target.repo at the root of a repository of its own";
  throw notRepository(repo, `this is only a part of the repository ${root}`, next);
}

function unreadable(repo: string, stderr: string): QuestbusError {
  if (stderr.includes("dubious ownership")) {
    const next = `git config --global --add safe.directory ${resolve(repo)}`;
    return notRepository(repo, "the repository belongs to another user", next);
  }
  const reason = stderr
    .trim()
    .replace(/^fatal: /, "")
    .split("\n")[0];
  const next = "point target.repo at a clone, or run `git init` and commit there first";
  return notRepository(repo, `not a git repository with a working tree: ${reason}`, next);
}

const notRepository = (where: string, message: string, next: string): QuestbusError =>
  new QuestbusError({ code: "TARGET_NOT_A_REPOSITORY", message, where, next });

function refMissing(root: string, ref: string, empty: boolean): QuestbusError {
  return new QuestbusError({
    code: "TARGET_REF_MISSING",
    message: empty ? "the repository has no commit yet" : `the repository has no commit named ${ref}`,
    where: root,
    next: empty ? "commit what should be improved" : "name a branch, a tag or a commit of that repository",
  });
}

async function refuseUnclean(root: string): Promise<void> {
  const run = await git(root, [
    "status",
    "--porcelain=v2",
    "-z",
    "--untracked-files=no",
    "--ignore-submodules=none",
  ]);
  const paths = statusPaths(run.stdout.toString());
  if (paths.length === 0) return;
  throw new QuestbusError({
    code: "TARGET_UNCLEAN",
    message: `tracked files differ from the commit: ${nameSome(paths)}`,
    where: root,
    next: "commit or stash the changes, or name a ref other than the one that is checked out",
  });
}

async function refuseSubmodules(root: string, commit: string): Promise<void> {
  const list = await gitText(root, ["ls-tree", "-r", "-z", "--full-tree", commit]);
  const found = list.split("\0").filter((line) => line.startsWith("160000 "));
  if (found.length === 0) return;
  throw new QuestbusError({
    code: "PATH_FORBIDDEN",
    message: `submodules are not supported: ${nameSome(found.map((line) => line.slice(line.indexOf("\t") + 1)))}`,
    where: root,
    next: "name a repository without submodules, for instance the submodule itself",
  });
}

/** The paths of `git status --porcelain=v2 -z`; of a rename, the new one. */
function statusPaths(text: string): string[] {
  const fieldsBefore: Record<string, number> = { "1": 8, "2": 9, u: 10, "?": 1 };
  const records = text.split("\0");
  const paths: string[] = [];
  for (let at = 0; at < records.length; at += 1) {
    const record = records[at] as string;
    const count = fieldsBefore[record[0] ?? ""];
    if (count === undefined) continue;
    paths.push(record.split(" ").slice(count).join(" "));
    if (record[0] === "2") at += 1;
  }
  return paths;
}

async function filesHash(repo: string): Promise<string> {
  const status = await git(repo, ["status", "--porcelain=v2", "-z", "--untracked-files=all"]);
  const index = await git(repo, ["ls-files", "--stage", "-v", "-z"]);
  const hash = createHash("sha256").update(status.stdout).update("\0").update(index.stdout);
  const top = await gitText(repo, ["rev-parse", "--show-toplevel"]);
  for (const path of statusPaths(status.stdout.toString())) await addFile(hash, resolve(join(top, path)));
  return hash.digest("hex");
}

async function addFile(hash: Hash, path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  hash.update(`\0${path}\0${found ? found.mode.toString(8) : "absent"}\0`);
  if (found?.isSymbolicLink()) hash.update(await readlink(path).catch(() => "absent"));
  if (!found?.isFile()) return;
  const content = createHash("sha256");
  try {
    for await (const chunk of createReadStream(path)) content.update(chunk as Buffer);
  } catch {
    // Another user's, or gone since: all that is seen of it.
    content.update(`${found.size} ${found.mtimeMs}`);
  }
  hash.update(content.digest());
}
