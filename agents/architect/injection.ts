import { injectionSignOf } from "@questbus/core";
import { type InjectionSign, limit } from "@questbus/protocol";
import { changedTexts, commitMessage, type Workspace } from "@questbus/workbench";

/**
 * What the lines that a candidate adds, and the words of its commit, say to whoever reads them. It is recorded, and has
 * no vote: a text can have no effect on a verdict, neither the one it asks for nor another.
 */
export async function injectionsOf(
  ws: Workspace,
  { from, to, commit }: { from: string; to: string; commit: string },
): Promise<InjectionSign[]> {
  const added = (await changedTexts(ws, from, to)).flatMap(({ path, base, candidate }) =>
    candidate === null ? [] : addedBlocks(path, base ?? "", candidate),
  );
  const message = { where: `commit ${commit.slice(0, 12)}`, text: await commitMessage(ws, commit) };
  return [...added, message]
    .flatMap(({ where, text }) => injectionSignOf({ from: "repository", where, text }) ?? [])
    .slice(0, limit.injectionSignsMax);
}

/** Lines that were not there, those that follow each other together: a sentence may go over some of them. */
function addedBlocks(path: string, base: string, candidate: string): { where: string; text: string }[] {
  const before = new Set(base.split("\n"));
  const blocks: { where: string; text: string }[] = [];
  let open = false;
  for (const [at, line] of candidate.split("\n").entries()) {
    const last = blocks.at(-1);
    if (before.has(line)) open = false;
    else if (open && last) last.text += `\n${line}`;
    else {
      blocks.push({ where: `${path}:${at + 1}`.slice(-limit.placeCharsMax), text: line });
      open = true;
    }
  }
  return blocks;
}
