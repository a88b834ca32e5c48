import { createHash } from "node:crypto";
import { type Dirent, lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import { onDisk } from "./disk.ts";
import { removeTree } from "./removal.ts";
import { readBlobs, type TreeFile } from "./sealed-tree.ts";
import type { Workspace } from "./workspace.ts";

/**
 * Keeps the sealed files of one checked-out tree as they are in the repository. Owns what it knows of their file times;
 * does not own the tree, which may be renamed meanwhile.
 *
 * Invariants:
 * K1: when a check has answered, every sealed file has its content, and is a plain file (or link) in plain directories.
 * K2: a file is taken as unchanged only where everything that lstat tells is as it was, and that had stood for a while:
 *     mtime can be set to anything, ctime cannot, and a write within the same tick of the clock leaves both.
 * K3: a file that a run adds in a sealed place stays, because `prepare` may have to make it, and is noted.
 */
export type SealGuard = {
  readonly ws: Workspace;
  readonly files: readonly TreeFile[];
  readonly places: SealedPlaces & { readonly folders: ReadonlySet<string> };
  /** What lstat told of files whose content was right, by path. */
  readonly known: Map<string, string>;
  /** Paths that runs were found to have changed. */
  readonly rewritten: Set<string>;
  /** New paths in sealed places, of files and of whole folders. */
  readonly added: Set<string>;
};

/** What is sealed without being there. */
export type SealedPlaces = {
  /** Every path of the commit. */
  readonly tracked: ReadonlySet<string>;
  readonly isSealed: (path: string) => boolean;
};
const noPlaces: SealedPlaces = { tracked: new Set(), isSealed: () => false };
/** What package managers, git and Python make wherever they work. */
const usualNames = new Set(["node_modules", ".git", "__pycache__"]);

/** Older than any tick of a file system's clock. */
const settledMs = 100;

/**
 * @param files of one commit; a path that is no UTF-8 is not looked after
 * @param places where a new file is noted; nowhere by default
 */
export function openSealGuard(
  ws: Workspace,
  files: readonly TreeFile[],
  places: SealedPlaces = noPlaces,
): SealGuard {
  const plain = files.filter(({ path, mode }) => !path.includes("\ufffd") && mode !== "160000");
  const known = { known: new Map(), rewritten: new Set<string>(), added: new Set<string>() };
  return { ws, files: plain, places: { ...places, folders: foldersOf(places.tracked) }, ...known };
}

/**
 * Paths that runs under `guard` changed or added, and runs under none of `others`; sorted. An added path is usual where
 * the others added one that differs in its digits alone, such as a time. In a folder that is sealed as a whole, as that
 * of the tests is, any new path of the others will do: tests name their temporary files as they like. What is sealed by
 * its own name, such as `conftest.py`, is nowhere a temporary file.
 */
export function changedOnlyUnder({ places, ...guard }: SealGuard, others: readonly SealGuard[]): string[] {
  const rewritten = new Set(others.flatMap((each) => [...each.rewritten]));
  const added = others.flatMap((each) => [...each.added]);
  const patterns = new Set(added.map(withoutDigits));
  const folders = new Set(added.map(dirname));
  const isUsual = (path: string): boolean =>
    patterns.has(withoutDigits(path)) || (folders.has(dirname(path)) && isSealedByFolder(places, path));
  return [
    ...[...guard.rewritten].filter((path) => !rewritten.has(path)),
    ...[...guard.added].filter((path) => !isUsual(path)),
  ].sort();
}

const withoutDigits = (path: string): string => path.replaceAll(/\d+/g, "0");

/** Whether it would not be sealed elsewhere. */
function isSealedByFolder({ isSealed }: SealedPlaces, path: string): boolean {
  const name = basename(path);
  return isSealed(`${dirname(path)}/x`) && !isSealed(name) && !isSealed(`${name}/x`);
}

/**
 * Runs `work` on the tree at `root` with its sealed files in place; what it changes of them is put back and noted, what
 * it adds to them is noted (K3).
 * Without a guard `work` simply runs.
 * @throws DISK_FULL; ROLLBACK_UNPROVEN when the repository has lost a sealed content
 */
export async function underSeal<T>(
  guard: SealGuard | undefined,
  root: string,
  work: () => Promise<T>,
): Promise<T> {
  if (!guard) return work();
  await enforceSeal(guard, root);
  try {
    return await work();
  } finally {
    await enforceSeal(guard, root);
    for (const path of addedTo(guard.places, root)) guard.added.add(path);
  }
}

/** New paths in sealed places. Only folders of the commit are read: what is built stands in folders of its own. */
function addedTo({ tracked, folders, isSealed }: SealGuard["places"], root: string): string[] {
  return ["", ...folders].flatMap((folder) =>
    entriesIn(join(root, folder)).flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (tracked.has(path) || folders.has(path) || usualNames.has(entry.name)) return [];
      return isSealed(path) || (!entry.isFile() && isSealed(`${path}/x`)) ? [path] : [];
    }),
  );
}

function entriesIn(dir: string): Dirent[] {
  try {
    return readdirSync(dir, { withFileTypes: true });
  } catch {
    return [];
  }
}

/** Every folder that is on the way to one of `paths`. */
function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>();
  for (const path of paths)
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) folders.add(path.slice(0, at));
  return folders;
}

/**
 * Puts back what differs from the seal in the tree at `root`, and notes it (K1).
 * @throws DISK_FULL; ROLLBACK_UNPROVEN as {@link underSeal}
 */
export async function enforceSeal(guard: SealGuard, root: string): Promise<void> {
  const broken = brokenFolders(guard, root);
  const differing = guard.files.filter((file) => !stands(guard, root, file, broken));
  if (differing.length === 0) return;
  const blobs = await readBlobs(
    guard.ws,
    differing.map(({ oid }) => oid),
  );
  await onDisk(root, async () => {
    for (const file of differing) await rewrite(root, file, proven(guard.ws, file, blobs.get(file.oid)));
  });
  for (const { path } of differing) {
    guard.rewritten.add(path);
    guard.known.delete(path);
  }
}

/** Folders of sealed files that are no plain directories now: what is found behind them does not count. */
function brokenFolders({ files }: SealGuard, root: string): ReadonlySet<string> {
  const folders = foldersOf(files.map(({ path }) => path));
  return new Set([...folders].filter((folder) => !look(join(root, folder))?.isDirectory()));
}

function look(path: string): Stats | null {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null;
  }
}

function stands(guard: SealGuard, root: string, file: TreeFile, broken: ReadonlySet<string>): boolean {
  if (broken.size > 0 && [...broken].some((folder) => file.path.startsWith(`${folder}/`))) return false;
  const path = join(root, file.path);
  const nowMs = Date.now();
  const found = look(path);
  if (!found) return false;
  const { dev, ino, size, mtimeMs, ctimeMs, mode } = found;
  const seen = `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs} ${mode}`;
  if (guard.known.get(file.path) === seen) return true;
  if (!isSame(guard, file, path, found)) return false;
  if (ctimeMs < nowMs - settledMs) guard.known.set(file.path, seen);
  return true;
}

const isLink = ({ mode }: TreeFile): boolean => mode === "120000";
const isProgram = ({ mode }: TreeFile): boolean => mode === "100755";

/** Same kind and content; a plain file may have been made a program, as `prepare` may want it, but not the reverse. */
function isSame({ ws }: SealGuard, file: TreeFile, path: string, found: Stats): boolean {
  try {
    if (isLink(file)) return found.isSymbolicLink() && blobId(ws, readlinkSync(path, "buffer")) === file.oid;
    if (!found.isFile() || (isProgram(file) && (found.mode & 0o100) === 0)) return false;
    return blobId(ws, readFileSync(path)) === file.oid;
  } catch {
    return false;
  }
}

/** The id that git gives a content. */
const blobId = ({ source }: Workspace, content: Buffer): string =>
  createHash(source.format).update(`blob ${content.length}\0`).update(content).digest("hex");

/** The content, which git does not check against its id when it reads it. */
function proven(ws: Workspace, { path, oid }: TreeFile, content: Buffer | undefined): Buffer {
  if (content && blobId(ws, content) === oid) return content;
  throw new QuestbusError({
    code: "ROLLBACK_UNPROVEN",
    message: `the sealed file ${path} cannot be put back: the repository does not have its content ${oid}`,
    where: ws.gitDir,
    next: "see whether another program writes there, and whether the disk is sound; then run the quest again",
  });
}

async function rewrite(root: string, file: TreeFile, content: Buffer): Promise<void> {
  const path = join(root, file.path);
  await layFolders(root, dirname(file.path));
  await removeTree(path);
  if (isLink(file)) await symlink(content, path);
  else await writeFile(path, content, { flag: "wx", mode: isProgram(file) ? 0o755 : 0o644 });
}

/** Makes plain directories on the way, that can be written to. */
async function layFolders(root: string, folder: string): Promise<void> {
  if (folder === ".") return;
  await layFolders(root, dirname(folder));
  const path = join(root, folder);
  const found = look(path);
  if (!found?.isDirectory()) {
    await removeTree(path);
    await mkdir(path);
  } else if ((found.mode & 0o700) !== 0o700) await chmod(path, 0o755);
}
