import { createHash } from "node:crypto";
import { mkdtemp, readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import {
  type Authority,
  type CommandData,
  canonicalText,
  type Fault,
  forbiddenPaths,
  inspectPatch,
  limit,
  normaliseQuest,
  QuestbusError,
  type QuestDocument,
  type QuestSpec,
  type ResolvedFixer,
} from "@questbus/protocol";
import type { Artifacts } from "./artifact.ts";
import { diffFiles, patchTree, refuseForbiddenChanges } from "./candidate.ts";
import { onDisk } from "./disk.ts";
import { gitText } from "./git.ts";
import { readChangelog, refuseBranchName } from "./integration.ts";
import { knobFaults } from "./knob-check.ts";
import { readProjectContext } from "./project-context.ts";
import { removeTree } from "./removal.ts";
import { nameOwner } from "./run-home.ts";
import { inspectTarget, resolveRef, type Target } from "./target.ts";
import { openWorkspace, removeWorkspace, type Workspace } from "./workspace.ts";

/**
 * What is checked before a quest is submitted: everything that can be known without running anything. Nothing is kept
 * of a quest that is refused, and every fault that was found is told at once.
 */

/** A change the quest brings along: a patch file, or (intent `validate`) a commit of the target. */
type Change = { where: string; name: string } & ({ patch: Buffer; files: string[] } | { commit: string });

/** Stands for the quest's id in a branch name that is only checked. */
const exampleQuest = "q-00000000";

/**
 * Checks a quest against its target, and makes the command that submits it. `target.repo` becomes absolute.
 * @param questDir the folder of the quest file; relative paths in the quest start there.
 * @param putArtifact stores each patch, once everything else is found good.
 * @throws one error with every fault: TARGET_*, PATCH_*, PATH_*, BRANCH_EXISTS, QUEST_FILE_INVALID; DISK_FULL
 */
export async function admit(
  document: QuestDocument,
  questDir: string,
  putArtifact: Artifacts["put"],
): Promise<CommandData["submit"]> {
  const dir = resolve(questDir);
  const faults: Fault[] = [];
  const repo = resolve(dir, document.target.repo);
  const target = await collect(faults, () => inspectTarget(repo, document.target.ref));
  const changes = await readChanges(document, dir, target, faults);
  if (target) await checkAgainst(target, changes, plainSpec(document), faults);
  const [first, ...rest] = faults;
  if (first || !target) throw new QuestbusError(first as Fault, ...rest);
  const command = submission(
    { ...document, target: { ...document.target, repo: target.root } },
    dir,
    target,
    await store(changes, putArtifact),
  );
  const context = await readProjectContext(target.root, target.commit);
  return context.length > 0 ? { ...command, context } : command;
}

/** Runs `work`; its faults go to the list, and null comes back. */
async function collect<T>(faults: Fault[], work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    faults.push(...error.faults);
    return null;
  }
}

/** The quest in plain units; what its changes resolve to does not matter yet. */
function plainSpec(document: QuestDocument): QuestSpec {
  const count = document.target.candidate ? 1 : document.fixers.length;
  return normaliseQuest(
    document,
    Array.from({ length: count }, () => ({ name: "", sha256: "" })),
  );
}

async function readChanges(
  document: QuestDocument,
  dir: string,
  target: Target | null,
  faults: Fault[],
): Promise<Change[]> {
  const { candidate } = document.target;
  const wanted = document.fixers.flatMap((each, at) =>
    "patch" in each ? [{ where: `fixers[${at}].patch`, name: each.patch }] : [],
  );
  const changes: Change[] = [];
  for (const { where, name } of wanted) {
    const change = await collect(faults, () => readPatch(dir, where, name));
    if (change) changes.push(change);
  }
  const change = candidate ? await collect(faults, () => readCandidate(dir, candidate, target)) : null;
  return change ? [...changes, change] : changes;
}

async function readPatch(dir: string, where: string, name: string): Promise<Change> {
  const path = resolve(dir, name);
  const found = await stat(path).catch(() => null);
  if (!found?.isFile()) {
    const next = "correct the path; it is relative to the quest file";
    throw new QuestbusError({
      code: "PATCH_MISSING",
      message: `there is no patch file ${path}`,
      where,
      next,
    });
  }
  if (found.size > limit.patchBytesMax) {
    const message = `${name} has ${found.size} bytes; ${limit.patchBytesMax} are allowed`;
    throw new QuestbusError({
      code: "PATCH_INVALID",
      message,
      where,
      next: "split it, or use a command as the fixer",
    });
  }
  const patch = await readFile(path);
  return { where, name, patch, ...inspectPatch(patch, { name }) };
}

/** A file next to the quest is a patch; anything else is a ref of the target. */
async function readCandidate(dir: string, candidate: string, target: Target | null): Promise<Change | null> {
  const where = "target.candidate";
  const isFile = await stat(resolve(dir, candidate))
    .then((found) => found.isFile())
    .catch(() => false);
  if (isFile) return readPatch(dir, where, candidate);
  if (!target) return null;
  const commit = await resolveRef(target.root, candidate);
  if (commit) return { where, name: candidate, commit };
  throw new QuestbusError({
    code: "TARGET_REF_MISSING",
    message: `${candidate} is neither a patch file next to the quest nor a commit of the target`,
    where,
    next: "name a branch, a tag or a commit of the target, or a patch file relative to the quest file",
  });
}

/** Tries every change on the target's files, in a private place that is removed again. */
async function checkAgainst(
  target: Target,
  changes: readonly Change[],
  spec: QuestSpec,
  faults: Fault[],
): Promise<void> {
  const dir = await onDisk(tmpdir(), () => mkdtemp(join(tmpdir(), "questbus-admission-")));
  try {
    await onDisk(dir, () => nameOwner(dir));
    const ws = await openWorkspace({ dir, targetRoot: target.root, commit: target.commit });
    if (spec.intent !== "validate") {
      await collect(faults, () =>
        checkBranch(target.root, spec.onAccept.branch.replaceAll("{quest}", exampleQuest)),
      );
      const { changelog } = spec.onAccept;
      if (changelog !== null) await collect(faults, () => readChangelog(ws, target.tree, changelog));
    }
    await checkChanges(ws, target, changes, spec.authority, faults);
    faults.push(...(await knobFaults(ws, spec)));
  } finally {
    await removeWorkspace({ dir });
    await removeTree(dir);
  }
}

async function checkBranch(root: string, branch: string): Promise<void> {
  await refuseBranchName(root, branch);
  const parts = branch.split("/");
  const parents = parts.slice(1).map((_, at) => `refs/heads/${parts.slice(0, at + 1).join("/")}`);
  const inTheWay = await gitText(root, [
    "for-each-ref",
    "--format=%(refname)",
    `refs/heads/${branch}`,
    ...parents,
  ]);
  const taken = inTheWay
    .split("\n")
    .find((each) => parents.includes(each) || each.startsWith(`refs/heads/${branch}`));
  if (!taken) return;
  throw new QuestbusError({
    code: "BRANCH_EXISTS",
    message: `the branch ${branch} cannot be made: the target already has ${taken}`,
    where: "onAccept.branch",
    next: "rename or delete that branch, or give another name; {quest} makes it unique",
  });
}

/** A patch may build on the base alone, or on the base with all earlier patches. */
async function checkChanges(
  ws: Workspace,
  target: Target,
  changes: readonly Change[],
  authority: Authority,
  faults: Fault[],
): Promise<void> {
  let stacked = target.tree;
  for (const change of changes) {
    await collect(faults, async () => {
      const [from, to] =
        "commit" in change ? [target.tree, change.commit] : await applyTo(ws, target.tree, stacked, change);
      await refuseForbiddenChanges(ws, from, to, change.where);
      const { files } = await diffFiles(ws, from, to);
      refuseUnchanged(change, files);
      refuseUnauthorised(
        change,
        "files" in change ? [...new Set([...change.files, ...files])].sort() : files,
        authority,
      );
      if (from === stacked) stacked = to;
    });
  }
}

async function applyTo(
  ws: Workspace,
  base: string,
  stacked: string,
  change: { patch: Buffer; name: string },
): Promise<[string, string]> {
  if (stacked !== base) {
    const onStack = await patchTree(ws, stacked, change.patch, change.name).catch(() => null);
    if (onStack) return [stacked, onStack];
  }
  return [base, await patchTree(ws, base, change.patch, change.name)];
}

function refuseUnchanged(change: Change, files: readonly string[]): void {
  if (files.length > 0) return;
  const message = `${change.name} changes nothing of the commit that the quest starts from`;
  throw new QuestbusError({
    code: "PATCH_EMPTY",
    message,
    where: change.where,
    next: "name a change that differs",
  });
}

function refuseUnauthorised(change: Change, files: readonly string[], authority: Authority): void {
  const forbidden = forbiddenPaths(files, authority);
  if (forbidden.length === 0) return;
  throw new QuestbusError({
    code: "PATH_FORBIDDEN",
    message: `${change.name} touches what the performance role may not write: ${forbidden.join(", ")}`.slice(
      0,
      limit.reasonCharsMax,
    ),
    where: change.where,
    next: "leave these paths out, or widen authorities.performance",
  });
}

async function store(changes: readonly Change[], putArtifact: Artifacts["put"]): Promise<ResolvedFixer[]> {
  const resolved: ResolvedFixer[] = [];
  for (const change of changes) {
    const { name } = change;
    resolved.push(
      "commit" in change
        ? { name, commit: change.commit }
        : { name, sha256: (await putArtifact("diff", change.patch)).sha256 },
    );
  }
  return resolved;
}

function submission(
  document: QuestDocument,
  questDir: string,
  target: Target,
  resolved: ResolvedFixer[],
): CommandData["submit"] {
  const submitted = { document, questDir, base: { commit: target.commit, tree: target.tree }, resolved };
  return { ...submitted, digest: createHash("sha256").update(canonicalText(submitted)).digest("hex") };
}
