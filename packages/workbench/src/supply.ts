import { readFile, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type Authority, forbiddenPaths, inspectPatch, limit, QuestbusError } from "@questbus/protocol";
import { diffBytes, diffFiles, patchTree, refuseForbiddenChanges } from "./candidate.ts";
import { resolveRef } from "./target.ts";
import { privateGit, privateText, type Workspace } from "./workspace.ts";

/** A change that a person hands over: a branch (any ref) of the target, or a patch file. */
export type SupplySource = { branch: string } | { patch: string };

/**
 * Reads a change from outside as a patch on last known-good, and checks it as patches of a quest file are checked; it
 * is checked again when it is made a candidate.
 * @throws PATCH_*, PATH_*, TARGET_REF_MISSING
 */
export async function readSupply(
  ws: Workspace,
  source: SupplySource,
  quest: { lastGood: { commit: string; tree: string }; authority: Authority },
): Promise<{ name: string; patch: Buffer }> {
  const { name, patch } =
    "branch" in source ? await fromBranch(ws, source.branch) : await fromFile(source.patch);
  if (patch.length > limit.patchBytesMax)
    throw refusal("PATCH_INVALID", name, `it has ${patch.length} bytes; ${limit.patchBytesMax} are allowed`);
  const named = inspectPatch(patch, { name }).files;
  const tree = await patchTree(ws, quest.lastGood.tree, patch, name);
  await refuseForbiddenChanges(ws, quest.lastGood.commit, tree, name);
  const { files } = await diffFiles(ws, quest.lastGood.commit, tree);
  if (files.length === 0) throw refusal("PATCH_EMPTY", name, "it changes nothing of last known-good");
  const outside = forbiddenPaths([...new Set([...named, ...files])].sort(), quest.authority);
  if (outside.length === 0) return { name, patch };
  throw refusal(
    "PATH_FORBIDDEN",
    name,
    `it touches what the performance role may not write: ${outside.join(", ").slice(0, 400)}`,
  );
}

const refusal = (
  code: "PATCH_INVALID" | "PATCH_EMPTY" | "PATH_FORBIDDEN",
  name: string,
  message: string,
): QuestbusError =>
  new QuestbusError({
    code,
    message: `${name}: ${message}`,
    where: name,
    next: "correct the change, and supply it again",
  });

async function fromFile(path: string): Promise<{ name: string; patch: Buffer }> {
  const found = await stat(resolve(path)).catch(() => null);
  if (found?.isFile() && found.size <= limit.patchBytesMax)
    return { name: path, patch: await readFile(resolve(path)) };
  if (found?.isFile())
    throw refusal("PATCH_INVALID", path, `it has ${found.size} bytes; ${limit.patchBytesMax} are allowed`);
  const next = "correct the path, or name a branch with --branch";
  throw new QuestbusError({
    code: "PATCH_MISSING",
    message: `there is no patch file ${path}`,
    where: path,
    next,
  });
}

/** What the branch changed since it left the commit that the quest starts from. */
async function fromBranch(ws: Workspace, branch: string): Promise<{ name: string; patch: Buffer }> {
  const commit = await resolveRef(ws.targetRoot, branch);
  if (!commit) {
    const message = `the target has no commit ${branch}`;
    const next = "name a branch, a tag or a commit of the target";
    throw new QuestbusError({ code: "TARGET_REF_MISSING", message, where: ws.targetRoot, next });
  }
  const fork = await privateGit(ws, ["merge-base", ws.commit, commit], { okCodes: [0, 1] });
  const from = fork.code === 0 ? fork.stdout.toString().trim() : ws.commit;
  const short = await privateText(ws, ["rev-parse", "--short", commit]);
  return { name: `${branch} (${short})`.slice(0, 200), patch: await diffBytes(ws, from, commit) };
}
