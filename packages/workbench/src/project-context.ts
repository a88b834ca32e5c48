import { createHash } from "node:crypto";
import { type ContextFile, limit, pathProblem } from "@questbus/protocol";
import { git } from "./git.ts";

/**
 * The project's own documents, as they stand in a commit: what its authors wrote for agents (AGENTS.md, CLAUDE.md) and
 * docs/; where there is nothing for agents, the README and docs/. Read from git, so that what lies beside the commit counts
 * for nothing, and nothing is followed out of the repository.
 */

/** A larger file is no document. */
const fileBytesMax = 262_144;

const forAgents = /^(?:AGENTS|CLAUDE)\.md$/i;
const readme = /^README(?:\.(?:md|rst|txt))?$/i;
const inDocs = /^docs?\/.*\.(?:md|rst|txt)$/i;

/** More of them are not looked at. */
const documentsMax = 64;

/** Which files are documents, those that say most in front. */
export function documentsAmong<T extends { path: string }>(files: readonly T[]): T[] {
  const own = files.filter(({ path }) => forAgents.test(path));
  const first = own.length > 0 ? own : files.filter(({ path }) => readme.test(path));
  const depth = ({ path }: T): number => path.split("/").length;
  const docs = files
    .filter(({ path }) => inDocs.test(path))
    .sort((a, b) => depth(a) - depth(b) || (a.path < b.path ? -1 : 1));
  return [...first, ...docs];
}

/** The beginning of a text of at most so many bytes, up to the end of a line where there is one. */
function beginning(text: Buffer, bytesMax: number): string {
  if (text.length <= bytesMax) return text.toString("utf8").toWellFormed();
  // A character that was cut in two is left out.
  const cut = new TextDecoder().decode(text.subarray(0, bytesMax), { stream: true });
  const line = cut.lastIndexOf("\n");
  return line > 0 ? cut.slice(0, line + 1) : cut;
}

/** The documents of a commit, bounded in number and bytes; each with the hash of the whole file. */
export async function readProjectContext(root: string, commit: string): Promise<ContextFile[]> {
  const found = documentsAmong(await plainFiles(root, commit)).slice(0, documentsMax);
  const sizes =
    found.length > 0
      ? await sizesOf(
          root,
          found.map(({ oid }) => oid),
        )
      : [];
  const files: ContextFile[] = [];
  let left: number = limit.contextBytesMax;
  for (const [at, { path, oid }] of found.entries()) {
    const sizeBytes = sizes[at] ?? 0;
    if (files.length === limit.contextFilesMax || left <= 0) break;
    if (sizeBytes === 0 || sizeBytes > fileBytesMax) continue;
    const { stdout } = await git(root, ["cat-file", "blob", oid]);
    if (stdout.includes(0)) continue;
    const text = beginning(stdout, Math.min(left, limit.contextFileBytesMax));
    left -= Buffer.byteLength(text);
    files.push({ path, sha256: createHash("sha256").update(stdout).digest("hex"), sizeBytes, text });
  }
  return files;
}

async function plainFiles(root: string, commit: string): Promise<{ path: string; oid: string }[]> {
  const { stdout } = await git(root, ["ls-tree", "-r", "-z", "--full-tree", commit]);
  return stdout
    .toString("utf8")
    .split("\0")
    .flatMap((line) => {
      const tab = line.indexOf("\t");
      const [mode = "", kind, oid = ""] = line.slice(0, tab).split(" ");
      const path = line.slice(tab + 1);
      const isPlain = kind === "blob" && mode.startsWith("100");
      return isPlain && path.length <= limit.placeCharsMax && !pathProblem(path) ? [{ path, oid }] : [];
    });
}

/** Sizes of objects, in their order; null: it is not there, as in a clone that has only a part. */
async function sizesOf(root: string, oids: readonly string[]): Promise<(number | null)[]> {
  const { stdout } = await git(root, ["cat-file", "--batch-check=%(objectsize)"], {
    input: oids.map((oid) => `${oid}\n`).join(""),
  });
  const lines = stdout.toString().trimEnd().split("\n");
  return lines.map((line) => (/^\d+$/.test(line) ? Number(line) : null));
}
