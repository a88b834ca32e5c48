import {
  isSealable,
  reviewSeal,
  type SealFinding,
  type SealRules,
  sealedFiles,
  sealHash,
} from "@questbus/core";
import { limit, type Suspicion } from "@questbus/protocol";
import { listFiles, openSealGuard, readBlobs, readChanges, type SealGuard } from "@questbus/workbench";
import type { TaskContext } from "./behaviour.ts";

/** What the quest's seal means for its trees. All of it follows from the quest and its commits, so anyone finds the same. */

/** The rules of the quest; the package.json files of its base say what `npm run` stands for. */
async function rulesOf({ brief, workspace }: TaskContext): Promise<SealRules> {
  const ws = await workspace();
  const files = await listFiles(ws, brief.base.commit);
  const found = files.filter(({ path }) => /^(?!(?:.*\/)?node_modules\/)(?:.*\/)?package\.json$/.test(path));
  const blobs = await readBlobs(
    ws,
    found.map(({ oid }) => oid),
  );
  const packages = found.map(({ path, oid }) => ({ path, text: blobs.get(oid)?.toString("utf8") ?? "" }));
  return { ...brief.spec, packages };
}

async function sealedIn({ workspace }: TaskContext, commit: string, rules: SealRules) {
  return sealedFiles(await listFiles(await workspace(), commit), rules);
}

/** How many files of last known-good are sealed, and one hash over them. */
export async function describeSeal(context: TaskContext): Promise<{ hash: string; files: number }> {
  const { whole, settings } = await sealedIn(context, context.brief.lastGood.commit, await rulesOf(context));
  const blobs = await readBlobs(
    await context.workspace(),
    settings.map(({ oid }) => oid),
  );
  const texts = settings.map(({ path, oid }) => ({ path, text: blobs.get(oid)?.toString("utf8") ?? "" }));
  return { hash: sealHash(whole, texts), files: whole.length + settings.length };
}

/** Paths that a candidate must leave as they are, sorted. */
export async function sealedPaths(context: TaskContext): Promise<string[]> {
  const { whole } = await sealedIn(context, context.brief.lastGood.commit, await rulesOf(context));
  return whole.map(({ path }) => path).sort();
}

/** What the seal makes of the difference between `from`, by default last known-good, and `to`: commits or trees. */
export async function reviewDifference(
  context: TaskContext,
  to: string,
  from: string = context.brief.lastGood.commit,
): Promise<SealFinding> {
  const rules = await rulesOf(context);
  const edits = await readChanges(await context.workspace(), from, to, isSealable(rules));
  return reviewSeal(edits, rules);
}

/**
 * Keeps a tree of `commit` as it was: what is sealed in it, and for a candidate first of all what is sealed in last
 * known-good, whatever the commit says of it. Notes what runs add in sealed places.
 */
export async function guardOf(context: TaskContext, commit: string): Promise<SealGuard> {
  const { candidate, lastGood } = context.brief;
  const rules = await rulesOf(context);
  const { whole, settings } = await sealedIn(context, commit, rules);
  const good = commit === candidate?.commit ? (await sealedIn(context, lastGood.commit, rules)).whole : [];
  const files = new Map([...whole, ...settings, ...good].map((file) => [file.path, file]));
  const ws = await context.workspace();
  const tracked = new Set([...(await listFiles(ws, commit)).map(({ path }) => path), ...files.keys()]);
  return openSealGuard(ws, [...files.values()], { tracked, isSealed: isSealable(rules) });
}

/** Paths that a run should have left as they were, as signs of gaming. */
const sealedRun = (paths: readonly string[], message: string): Suspicion[] =>
  paths
    .slice(0, limit.suspicionsMax)
    .map((path) => ({ kind: "sealed-run", message, where: path.slice(0, limit.placeCharsMax) }));

/** Files of the trees that a candidate is held against, which only its own runs can have changed. */
export const reachedRivals = (paths: readonly string[]): Suspicion[] =>
  sealedRun(paths, "While the candidate ran, a file of the tree that it is held against was changed");

/** Sealed paths that runs of a candidate changed or added. */
export const rewrittenSeal = (paths: readonly string[]): Suspicion[] =>
  sealedRun(
    paths,
    "A run of the candidate changed a sealed file, or added one in a sealed place, which no run of the base does",
  );
