import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  type Stats,
} from "node:fs";
import { gitOn } from "./tree.ts";
import { privateGit, type Workspace, withIndex } from "./workspace.ts";

/**
 * What stands in a tree, by names and file times, and how a run's traces are taken out of it again.
 *
 * One look costs an lstat a file: 20 000 files take 0.1 s of processor time, 0.2 to 0.6 s on a machine as busy as could
 * be, 100 files about 1 ms (Node 24). It is taken after each run and never inside one. An edit cannot hide from it: no
 * program sets ctime. Reading the contents too takes several times as long: rejected, except for prepared files that
 * have a second name. Package managers link them from one store, and whoever links or removes such a name anywhere on
 * the machine changes the ctime of all, and nothing else.
 */
export type TreeRecord = {
  /** By path, byte for byte (latin1). */
  entries: Map<string, string>;
  /** Files that stand in the commit as they stood in the tree when it was recorded. */
  readonly restorable: ReadonlySet<string>;
  /** Mode, mtime and hash of the files that cannot be restored and had more than one name. */
  readonly linked: Map<string, string>;
  readonly commit: string;
};

const bytes = (path: string): Buffer => Buffer.from(path, "latin1");
const rootOf = (path: string): string => Buffer.from(path).toString("latin1");
const isDirectory = (entry: string | undefined): boolean => entry?.startsWith("d") ?? false;

/** Every path below `path`, with what would show that it was changed. */
export function lookAt(path: string): Map<string, string> {
  const root = rootOf(path);
  const found = new Map<string, string>();
  const visit = (below: string): void => {
    for (const name of namesIn(`${root}/${below}`)) {
      const file = below + name;
      const stat = lstatSync(bytes(`${root}/${file}`), { throwIfNoEntry: false });
      if (!stat) continue;
      found.set(file, signatureOf(stat));
      if (stat.isDirectory()) visit(`${file}/`);
    }
  };
  visit("");
  return found;
}

/** A directory that a run has closed is opened again. */
function namesIn(dir: string): string[] {
  const read = (): string[] => readdirSync(bytes(dir), { encoding: "latin1" });
  try {
    return read();
  } catch {
    chmodSync(bytes(dir), 0o700);
    return read();
  }
}

const signatureOf = (stat: Stats): string =>
  stat.isDirectory()
    ? `d ${stat.mode}`
    : `f ${stat.mode} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs} ${stat.ino}`;

/**
 * Records a tree that was laid out at `commit`.
 * @param laidOut what stood there before `prepare` ran: a tracked file that it changed cannot be restored from the commit
 */
export async function recordTree(
  ws: Workspace,
  path: string,
  commit: string,
  laidOut: ReadonlyMap<string, string>,
): Promise<TreeRecord> {
  const { stdout } = await privateGit(ws, ["ls-tree", "-r", "-z", "--name-only", commit]);
  const entries = lookAt(path);
  const tracked = stdout.toString("latin1").split("\0").filter(Boolean);
  const restorable = new Set(tracked.filter((file) => entries.get(file) === laidOut.get(file)));
  const linked = new Map<string, string>();
  for (const file of entries.keys()) {
    const content = restorable.has(file) ? null : linkedContent(`${rootOf(path)}/${file}`);
    if (content !== null) linked.set(file, content);
  }
  return { entries, restorable, linked, commit };
}

/** Mode, mtime and hash of a plain file that has more than one name; null for any other, and for one that is not to be read. */
function linkedContent(file: string): string | null {
  const stat = lstatSync(bytes(file), { throwIfNoEntry: false });
  return stat?.isFile() && stat.nlink > 1 ? contentOf(file, stat) : null;
}

/** Read piece by piece; streams take ten times as long for small files. */
function contentOf(file: string, { mode, mtimeMs }: Stats): string | null {
  const hash = createHash("sha256");
  const piece = Buffer.allocUnsafe(65_536);
  const open = openedOf(file);
  if (open === null) return null;
  try {
    for (let size = readSync(open, piece); size > 0; size = readSync(open, piece))
      hash.update(piece.subarray(0, size));
  } finally {
    closeSync(open);
  }
  return `${mode} ${mtimeMs} ${hash.digest("hex")}`;
}

/** Null where this user may not read it, or nothing is left of it. */
function openedOf(file: string): number | null {
  try {
    return openSync(bytes(file), "r");
  } catch {
    return null;
  }
}

/** Whether a file of which lstat tells something new has another content or time, as far as that was recorded and can be read. */
function isEdited(root: string, file: string, { linked }: TreeRecord): boolean {
  const before = linked.get(file);
  const stat = before === undefined ? null : lstatSync(bytes(`${root}/${file}`), { throwIfNoEntry: false });
  if (!stat?.isFile()) return true;
  const content = contentOf(`${root}/${file}`, stat);
  if (content !== null) linked.set(file, content);
  return content !== before;
}

/**
 * Puts a tree back to what was recorded: new paths are removed, files of the commit are checked out again. Answers with
 * the paths that could not be put back: files that `prepare` made, and that were changed or removed since the last look.
 */
export async function putBack(ws: Workspace, path: string, record: TreeRecord): Promise<string[]> {
  const root = rootOf(path);
  const now = lookAt(path);
  for (const file of strangersIn(now, record.entries)) {
    rmSync(bytes(`${root}/${file}`), { recursive: true, force: true });
  }
  const touched = [...record.entries].filter(([file, entry]) => now.get(file) !== entry);
  if (touched.length === 0) return [];
  for (const [file, entry] of touched) if (isDirectory(entry)) restoreDirectory(`${root}/${file}`, entry);
  const files = touched.filter(([, entry]) => !isDirectory(entry)).map(([file]) => file);
  await restoreFiles(
    ws,
    path,
    record.commit,
    files.filter((file) => record.restorable.has(file)),
  );
  record.entries = lookAt(path);
  const edited = files.filter((file) => !record.restorable.has(file) && isEdited(root, file, record));
  return edited.map((file) => bytes(file).toString("utf8"));
}

/** The topmost paths that were not there, or were something else: a directory that is a file now, or the reverse. */
function strangersIn(now: ReadonlyMap<string, string>, then: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  for (const [file, entry] of now) {
    const last = found.at(-1);
    if (last !== undefined && file.startsWith(`${last}/`)) continue;
    const before = then.get(file);
    if (before === undefined || isDirectory(before) !== isDirectory(entry)) found.push(file);
  }
  return found;
}

function restoreDirectory(dir: string, entry: string): void {
  mkdirSync(bytes(dir), { recursive: true });
  chmodSync(bytes(dir), Number(entry.split(" ")[1]) & 0o7777);
}

async function restoreFiles(
  ws: Workspace,
  path: string,
  commit: string,
  files: readonly string[],
): Promise<void> {
  if (files.length === 0) return;
  await withIndex(ws, async (env) => {
    await privateGit(ws, ["read-tree", commit], { env });
    const input = Buffer.from(files.map((file) => `${file}\0`).join(""), "latin1");
    await gitOn(ws, path, ["checkout-index", "--force", "-z", "--stdin"], { env, input });
  });
}
