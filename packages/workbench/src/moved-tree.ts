import { join } from "node:path";
import { prepareTree } from "./arms.ts";
import type { CommandSetting } from "./command.ts";
import { layTree } from "./tree.ts";
import type { Workspace } from "./workspace.ts";

/**
 * The same tree in another place: built afresh, at a longer path and with a larger environment. What differs between it
 * and an arm is what a measurement should not see.
 */
export type MovedTree = { readonly path: string; readonly env: Readonly<Record<string, string>> };

/** A folder name of this length, twice, lengthens every path. */
const nameChars = 60;
/** Bytes by which the environment is larger. */
const paddingBytes = 4_000;

/**
 * Lays `commit` out under the arms of the workspace, with which it is removed, and prepares it there.
 * @throws PREPARE_FAILED, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function layMovedTree(
  ws: Workspace,
  { commit, prepare, ...setting }: CommandSetting & { commit: string; prepare: string | null },
): Promise<MovedTree> {
  const name = "another-place-".padEnd(nameChars, "x");
  const path = join(ws.dir, "arms", name, name, "tree");
  const env = { ...setting.env, QUESTBUS_PADDING: "x".repeat(paddingBytes) };
  await layTree(ws, path, commit);
  if (prepare !== null) await prepareTree(path, prepare, { ...setting, env });
  return { path, env };
}
