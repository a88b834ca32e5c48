import { readFile, rm, writeFile } from "node:fs/promises";
import { prepareTree, restore, treeHash, treePath, type Workspace } from "@questbus/workbench";
import { chosenFixer, type TaskContext } from "./behaviour.ts";

/** The one worktree that fixers work in. */
const worktreeName = "work";

/** Stands beside the worktree while nobody has begun to change it, and holds its tree hash; it goes with the trees. */
const readyFile = (ws: Workspace): string => `${treePath(ws, worktreeName)}.ready`;

/**
 * Puts a fresh worktree at last known-good, prepared when a program will run in it; answers with its proven tree hash.
 *
 * @throws QuestbusError ROLLBACK_UNPROVEN, PREPARE_FAILED, DISK_FULL
 */
export async function readyWorktree(context: TaskContext): Promise<string> {
  const { brief, signal, groups } = context;
  const ws = await context.workspace();
  await rm(readyFile(ws), { force: true });
  const tree = await restore(ws, worktreeName, brief.lastGood.commit);
  const { prepare } = brief.spec.target;
  if (prepare && ["command", "cli"].includes(chosenFixer(brief).kind)) {
    await prepareTree(treePath(ws, worktreeName), prepare, { signal, groups });
  }
  await writeFile(readyFile(ws), tree);
  return tree;
}

/**
 * The worktree as ops left it, for one fixer to change; laid out anew when an earlier holder of the task had begun.
 * `since`: its tree hash now, which differs from last known-good where `prepare` made files.
 */
export async function takeWorktree(context: TaskContext): Promise<{ path: string; since: string }> {
  const ws = await context.workspace();
  const ready = await readFile(readyFile(ws), "utf8").catch(() => null);
  if (ready !== context.brief.lastGood.tree) await readyWorktree(context);
  await rm(readyFile(ws), { force: true });
  const path = treePath(ws, worktreeName);
  return { path, since: await treeHash(ws, path) };
}
