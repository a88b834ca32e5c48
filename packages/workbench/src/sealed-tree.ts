import { type RawChange, rawChanges } from "./candidate.ts";
import { privateGit, privateText, type Workspace, withIndex } from "./workspace.ts";

/** Reads what differs between trees, and makes trees of parts of others; nothing is checked out. */

export type TreeFile = { path: string; mode: string; oid: string };

/** What a commit holds never changes, and one task asks for it several times. */
const listed = new WeakMap<Workspace, Map<string, Promise<readonly TreeFile[]>>>();

/** Every file of a commit or tree, by its id. */
export function listFiles(ws: Workspace, tree: string): Promise<readonly TreeFile[]> {
  const known = listed.get(ws) ?? new Map<string, Promise<readonly TreeFile[]>>();
  listed.set(ws, known);
  const files = known.get(tree) ?? readFiles(ws, tree);
  known.set(tree, files);
  files.catch(() => known.delete(tree));
  return files;
}

async function readFiles(ws: Workspace, tree: string): Promise<TreeFile[]> {
  const { stdout } = await privateGit(ws, ["ls-tree", "-r", "-z", "--full-tree", tree]);
  const lines = stdout.toString("utf8").split("\0").filter(Boolean);
  return lines.map((line) => {
    const [mode = "", , oid = ""] = line.slice(0, line.indexOf("\t")).split(" ");
    return { path: line.slice(line.indexOf("\t") + 1), mode, oid };
  });
}

/**
 * The contents of blobs, by their ids; one that is not there is left out.
 * @param bytesMax a larger one is left out, too, and never read: a candidate may bring files of any size
 */
export async function readBlobs(
  ws: Workspace,
  oids: readonly string[],
  bytesMax?: number,
): Promise<Map<string, Buffer>> {
  const asked = [...new Set(oids)];
  const wanted = bytesMax === undefined ? asked : await noLarger(ws, asked, bytesMax);
  const blobs = new Map<string, Buffer>();
  if (wanted.length === 0) return blobs;
  const { stdout } = await privateGit(ws, ["cat-file", "--batch"], { input: `${wanted.join("\n")}\n` });
  for (let at = 0; at < stdout.length; ) {
    const end = stdout.indexOf("\n", at);
    const [oid = "", type = "", size = ""] = stdout.subarray(at, end).toString("latin1").split(" ");
    at = end + 1;
    if (type !== "blob") continue;
    blobs.set(oid, stdout.subarray(at, at + Number(size)));
    at += Number(size) + 1;
  }
  return blobs;
}

async function noLarger(ws: Workspace, oids: readonly string[], bytesMax: number): Promise<string[]> {
  if (oids.length === 0) return [];
  const { stdout } = await privateGit(ws, ["cat-file", "--batch-check"], { input: `${oids.join("\n")}\n` });
  const found = stdout
    .toString("latin1")
    .split("\n")
    .map((line) => line.split(" "));
  return found.flatMap(([oid = "", type, size]) =>
    type === "blob" && Number(size) <= bytesMax ? [oid] : [],
  );
}

/** More than a person writes: a larger file counts as no text. */
export const textBytesMax = 2_097_152;

const absent = "000000";

/** One file of a difference as text; null: not there. Its content is left empty where `isRead` says no, or it is no text by its size. */
export type TextChange = { path: string; before: string | null; after: string | null };

/** Every file that differs between two commits or trees, with the texts of those that `isRead` asks for. */
export async function readChanges(
  ws: Workspace,
  from: string,
  to: string,
  isRead: (path: string) => boolean,
): Promise<TextChange[]> {
  const changes = await rawChanges(ws, from, to);
  const read = changes.filter(({ path }) => isRead(path));
  const blobs = await readBlobs(ws, read.flatMap(idsOf), textBytesMax);
  return changes.map(({ path, modes, was, oid }) => {
    const text = (mode: string, id: string): string | null =>
      mode === absent ? null : (blobs.get(id)?.toString("utf8") ?? "");
    return { path, before: text(modes[0], was), after: text(modes[1], oid) };
  });
}

const idsOf = ({ modes, was, oid }: RawChange): string[] =>
  [modes[0] === absent ? "" : was, modes[1] === absent ? "" : oid].filter(Boolean);

/** How a path stands in a tree that is made: as in the tree `from`, not at all, or with this text. */
export type Replacement = { path: string; as: "before" | "absent" | { text: string } };

/**
 * The tree that comes of putting paths of `tree` back to how they stand in `from`; paths that do not differ stay as
 * they are.
 */
export async function putBack(
  ws: Workspace,
  of: { tree: string; from: string; replacements: readonly Replacement[] },
): Promise<string> {
  const wanted = new Map(of.replacements.map(({ path, as }) => [path, as]));
  const lines: string[] = [];
  for (const { path, raw, modes, was } of await rawChanges(ws, of.from, of.tree)) {
    const as = wanted.get(path);
    if (as === undefined) continue;
    if (typeof as === "string") lines.push(`${modes[0]} ${was}\t${raw}\0`);
    else lines.push(`${modes[1]} ${await writeBlob(ws, as.text)}\t${raw}\0`);
  }
  return withIndex(ws, async (env) => {
    await privateGit(ws, ["read-tree", of.tree], { env });
    const input = Buffer.from(lines.join(""), "latin1");
    await privateGit(ws, ["update-index", "-z", "--index-info"], { env, input });
    return privateText(ws, ["write-tree"], { env });
  });
}

const writeBlob = (ws: Workspace, text: string): Promise<string> =>
  privateText(ws, ["hash-object", "-w", "--stdin"], { input: text });
