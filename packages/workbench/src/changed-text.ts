import { privateGit, type Workspace } from "./workspace.ts";

/** A path that differs between two trees, with its text in each; null: it is not there, or is no text. */
export type ChangedText = {
  path: string;
  base: string | null;
  candidate: string | null;
  /** The candidate's content is no text, or more than a person writes. */
  binary: boolean;
};

const textBytesMax = 2_097_152;
const noObject = /^0+$/;

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
    binary: !noObject.test(candidate) && textOf(candidate) === null,
  }));
}

/** The texts of files of a commit or tree, by path; those that are not there, or are no text, are left out. */
export async function textsAt(
  ws: Workspace,
  tree: string,
  paths: readonly string[],
): Promise<Map<string, string>> {
  const listed = await privateGit(ws, ["ls-tree", "-r", "-z", "--full-tree", tree]);
  const oids = new Map(
    listed.stdout
      .toString("utf8")
      .split("\0")
      .flatMap((line) => {
        const [, oid, path] = /^\d+ blob ([0-9a-f]+)\t(.*)$/s.exec(line) ?? [];
        return oid && path && paths.includes(path) ? [[path, oid] as const] : [];
      }),
  );
  const texts = await textsOf(ws, [...oids.values()]);
  return new Map(
    [...oids].flatMap(([path, oid]) => (texts.has(oid) ? [[path, texts.get(oid) as string] as const] : [])),
  );
}

/** The content of text objects by id, read by one process. */
async function textsOf(ws: Workspace, oids: readonly string[]): Promise<Map<string, string>> {
  const wanted = [...new Set(oids)].filter((oid) => !noObject.test(oid));
  if (wanted.length === 0) return new Map();
  const { stdout } = await privateGit(ws, ["cat-file", "--batch"], { input: `${wanted.join("\n")}\n` });
  const texts = new Map<string, string>();
  for (let at = 0; at < stdout.length; ) {
    const end = stdout.indexOf(10, at);
    const [oid = "", kind, size] = stdout.toString("latin1", at, end).split(" ");
    const content = stdout.subarray(end + 1, end + 1 + Number(size ?? 0));
    if (kind === "blob" && isText(content)) texts.set(oid, content.toString("utf8"));
    at = size === undefined ? end + 1 : end + 2 + Number(size);
  }
  return texts;
}

/** A NUL byte among the first is how git tells binary content, too. */
const isText = (content: Buffer): boolean =>
  content.length <= textBytesMax && !content.subarray(0, 8_000).includes(0);
