import { listFiles, readBlobs, textBytesMax } from "./sealed-tree.ts";
import { privateGit, type Workspace } from "./workspace.ts";

/** A path that differs between two trees, with its text in each; null: it is not there, or is no text. */
export type ChangedText = {
  path: string;
  base: string | null;
  candidate: string | null;
  /** The id of what it is in the second tree; null: it is not there. */
  oid: string | null;
  /** The candidate's content is no text, or more than a person writes. */
  binary: boolean;
};

const noObject = /^0+$/;
/** The mode of an entry that names a commit of another repository. */
const submodule = "160000";

/** What the author of a commit wrote about it. */
export const commitMessage = async (ws: Workspace, commit: string): Promise<string> =>
  (await privateGit(ws, ["show", "--no-patch", "--format=%B", commit])).stdout.toString("utf8");

/** Every path that differs between two commits or trees, with both texts, in git's order. */
export async function changedTexts(ws: Workspace, from: string, to: string): Promise<ChangedText[]> {
  const args = ["diff-tree", "-r", "-z", "--no-renames", "--raw", "--no-abbrev", from, to];
  const fields = (await privateGit(ws, args)).stdout.toString("utf8").split("\0");
  const changes = fields.slice(0, -1).flatMap((head, at) => {
    const [, , base = "", candidate = ""] = head.split(" ");
    return at % 2 === 0 ? [{ path: fields[at + 1] as string, base, candidate }] : [];
  });
  const texts = await textsOf(
    ws,
    changes.flatMap((each) => [each.base, each.candidate]),
  );
  const textOf = (oid: string): string | null => texts.get(oid) ?? null;
  return changes.map(({ path, base, candidate }) => ({
    path,
    base: textOf(base),
    candidate: textOf(candidate),
    oid: noObject.test(candidate) ? null : candidate,
    binary: !noObject.test(candidate) && textOf(candidate) === null,
  }));
}

/** The texts of files of a commit or tree, by path; those that are not there, or are no text, are left out. */
export async function textsAt(
  ws: Workspace,
  tree: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  const files = (await listFiles(ws, tree)).filter(
    ({ path, mode }) => mode !== submodule && paths.includes(path),
  );
  const oids = new Map(files.map(({ path, oid }) => [path, oid]));
  const texts = await textsOf(ws, [...oids.values()]);
  return new Map(
    [...oids].flatMap(([path, oid]) => (texts.has(oid) ? [[path, texts.get(oid) as string] as const] : [])),
  );
}

/** The content of text objects by id. */
async function textsOf(ws: Workspace, oids: readonly string[]): Promise<Map<string, string>> {
  const blobs = await readBlobs(
    ws,
    oids.filter((oid) => !noObject.test(oid)),
    textBytesMax,
  );
  return new Map(
    [...blobs].flatMap(([oid, content]) =>
      isText(content) ? [[oid, content.toString("utf8")] as const] : [],
    ),
  );
}

/** A NUL byte among the first is how git tells binary content, too. */
const isText = (content: Buffer): boolean => !content.subarray(0, 8_000).includes(0);
