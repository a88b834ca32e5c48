import { prepareTree, restore, treeHash, treePath } from "@questbus/workbench";
import { chosenFixer, type TaskContext } from "./behaviour.ts";

/** The one worktree that fixers work in. */
export const worktreeName = "work";

/**
 * Puts a fresh worktree at last known-good, prepared when a command will run in it; answers with its proven tree hash.
 *
 * @throws QuestbusError ROLLBACK_UNPROVEN, PREPARE_FAILED, DISK_FULL
 */
export async function readyWorktree(context: TaskContext): Promise<string> {
  const { brief, signal, groups } = context;
  const ws = await context.workspace();
  const tree = await restore(ws, worktreeName, brief.lastGood.commit);
  const { prepare } = brief.spec.target;
  if (prepare && chosenFixer(brief).kind === "command") {
    await prepareTree(treePath(ws, worktreeName), prepare, { signal, groups });
  }
  return tree;
}

/** The worktree as ops left it; laid out anew when an earlier holder of the task had begun to change it. */
export async function cleanWorktree(context: TaskContext): Promise<{ path: string; since: string }> {
  const ws = await context.workspace();
  const path = treePath(ws, worktreeName);
  const found = await treeHash(ws, path).catch(() => null);
  if (found === context.brief.lastGood.tree) return { path, since: found };
  await readyWorktree(context);
  return { path, since: await treeHash(ws, path) };
}
