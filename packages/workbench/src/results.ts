import { constants } from "node:fs";
import { open, realpath, rm } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { limit, QuestbusError } from "@questbus/protocol";

/** The file that a benchmark writes its results to: inside the tree, made by this run, and read once. */

const where = "measure.output";

/**
 * Removes what an earlier run left there, so that a stale file never counts.
 * @throws PATH_ESCAPES, METRIC_MISSING where it cannot be a file
 */
export async function removeResults(tree: string, path: string): Promise<void> {
  const file = await placeOf(tree, path);
  if (file === null) return;
  await rm(file, { force: true }).catch(() => {
    throw missing(`${path} is there already, and is no file`, "name a file that nothing else uses");
  });
}

/**
 * What the run wrote; the file is gone afterwards.
 * @throws PATH_ESCAPES; METRIC_MISSING where there is no file, a link, or one larger than `resultsBytesMax`
 */
export async function readResults(tree: string, path: string): Promise<string> {
  const file = await placeOf(tree, path);
  const handle = file === null ? null : await openFile(file);
  if (handle === null || file === null)
    throw missing(
      `the benchmark ended well, and wrote no ${path}`,
      "let the command write its results there, or correct the path",
    );
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw missing(`${path} is no plain file`, "let the command write a plain file");
    if (found.size > limit.resultsBytesMax)
      throw missing(
        `${path} has ${found.size} bytes, more than ${limit.resultsBytesMax}`,
        "let one run write less",
      );
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
    await rm(file, { force: true });
  }
}

const openFile = (file: string) =>
  open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null);

/** The place of the file, whose folder really lies in the tree; null when the folder is not there. */
async function placeOf(tree: string, path: string): Promise<string | null> {
  const root = await realpath(tree);
  const file = resolve(root, path);
  const folder = await realpath(dirname(file)).catch(() => null);
  if (folder === null) return null;
  if (folder === root || folder.startsWith(root + sep)) return join(folder, basename(file));
  throw new QuestbusError({
    code: "PATH_ESCAPES",
    message: `${path} leads out of the tree`,
    where,
    next: "name a file inside the worktree",
  });
}

const missing = (message: string, next: string): QuestbusError =>
  new QuestbusError({ code: "METRIC_MISSING", message, where, next });
