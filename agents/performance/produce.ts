import {
  authorityOf,
  chosenFixer,
  knobFiles,
  type Outcome,
  refuseTools,
  reviewDifference,
  type TaskContext,
  takeWorktree,
  touchedShown,
} from "@questbus/agent";
import { nameList } from "@questbus/core";
import {
  type Brief,
  type Candidate,
  type FixerSpec,
  forbiddenPaths,
  inspectPatch,
  plural,
  QuestbusError,
} from "@questbus/protocol";
import {
  adoptCommit,
  applyPatch,
  type CommittedCandidate,
  commitCandidate,
  putBack,
  writeTreeFile,
} from "@questbus/workbench";
import { askCli, type QuotaWait, seconds } from "./fixer-cli.ts";
import { runFixerCommand } from "./fixer-command.ts";
import { searchKnobs } from "./fixer-knobs.ts";

/** What a fixer made; `change` null: nothing. `tried`: what it did for it, for people. */
type Made = { change: CommittedCandidate | null; tried?: string; quota?: QuotaWait };

/**
 * Produces the candidate in the worktree; what the fixer changed outside the authority ends here. What it changed of
 * the sealed files is named, or set aside, as the quest's seal says.
 */
export async function produce(context: TaskContext): Promise<Outcome<"produce">> {
  const { brief, artifacts } = context;
  const fixer = chosenFixer(brief);
  refuseTools(context.definition, fixer);
  const unwritable = forbiddenPaths(await filesBefore(context, fixer), authorityOf(context));
  if (unwritable.length > 0) return refused(unwritable);
  const { change, tried, quota } = await runFixer(context, fixer);
  if (quota) return waiting(fixer, quota);
  if (!change) throw changedNothing(fixer, tried);
  const outside = forbiddenPaths(change.files, authorityOf(context));
  if (outside.length > 0) return refused(outside);
  const { suspicions, setAside } = await reviewDifference(context, change.commit);
  const judged = setAside.length === 0 ? change : await withoutSealed(context, change, setAside);
  if (judged !== change) await artifacts.put("diff", change.diffText);
  const candidate = judged && (await reported(context, judged));
  const paths = setAside.map(({ path }) => path);
  const gaming = suspicions.length > 0 ? `; ${plural(suspicions.length, "sign")} of gaming` : "";
  return {
    result: {
      candidate,
      forbiddenPaths: [],
      setAside: paths,
      touched: judged
        ? await touchedShown(await context.workspace(), brief.lastGood.commit, judged.commit)
        : [],
      original: judged === change ? null : change.commit,
    },
    summary: `${described(candidate, fixer)}${tried ? `; ${tried}` : ""}${asideText(paths)}${gaming}`,
    suspicions,
  };
}

const waiting = ({ name }: FixerSpec, quota: QuotaWait): Outcome<"produce"> => ({
  result: { candidate: null, forbiddenPaths: [], setAside: [], original: null, quota },
  summary: `waits ${seconds(quota.pauseMs)} for the quota of ${name}: ${quota.said}`,
});

const asideText = (paths: readonly string[]): string =>
  paths.length > 0 ? `; set aside, being sealed: ${nameList(paths)}` : "";

function described(candidate: Candidate | null, { name }: FixerSpec): string {
  if (!candidate) return `nothing is left of ${name}`;
  const { tree, files, linesAdded, linesRemoved } = candidate;
  return `candidate ${tree.slice(0, 12)} from ${name}: ${plural(files.length, "file")}, +${linesAdded} -${linesRemoved} lines`;
}

/** The candidate with what is sealed as it was in last known-good; null when nothing else is left of it. */
async function withoutSealed(
  context: TaskContext,
  made: CommittedCandidate,
  replacements: Awaited<ReturnType<typeof reviewDifference>>["setAside"],
): Promise<CommittedCandidate | null> {
  const { lastGood } = context.brief;
  const ws = await context.workspace();
  const tree = await putBack(ws, { tree: made.tree, from: lastGood.commit, replacements });
  return adoptCommit(ws, tree, lastGood.commit, messageOf(context));
}

async function reported({ artifacts }: TaskContext, made: CommittedCandidate): Promise<Candidate> {
  const { commit, tree, files, linesAdded, linesRemoved, diffText } = made;
  const diff = await artifacts.put("diff", diffText);
  return { commit, tree, files, linesAdded, linesRemoved, diff };
}

const messageOf = ({ brief }: TaskContext): string => `candidate of ${brief.quest}, pass ${brief.pass}`;

/** The files that a fixer is known to write before it runs. */
async function filesBefore(context: TaskContext, fixer: FixerSpec): Promise<string[]> {
  const { artifacts, brief } = context;
  if (fixer.kind === "knobs") return knobFiles(fixer.parameters).written;
  if (isSupply(fixer)) return inspectPatch(await suppliedPatch(context), { name: suppliedName(brief) }).files;
  if (fixer.kind !== "patch") return [];
  return inspectPatch(await artifacts.get(fixer.sha256), { name: fixer.name }).files;
}

const changedNothing = ({ name }: FixerSpec, tried: string | undefined): QuestbusError =>
  new QuestbusError({
    code: "FIXER_CHANGED_NOTHING",
    message: `${name} left the worktree as it was${tried ? `: ${tried}` : ""}`,
    next: tried
      ? "give it other parameters or wider ranges, or more trials"
      : "let it edit the files of the worktree it is started in; what .gitignore names does not count",
  });

const refused = (paths: string[]): Outcome<"produce"> => ({
  result: { candidate: null, forbiddenPaths: paths, setAside: [], original: null },
  summary: `refused: it writes ${paths.join(", ")}, which this role may not`,
});

const isSupply = ({ kind }: FixerSpec): boolean => kind === "human" || kind === "worker" || kind === "turns";
const suppliedName = ({ supplied }: Brief): string => supplied?.change.name ?? "";

/** What was supplied from outside; it was checked by whoever took it, and is checked again here. */
async function suppliedPatch({ brief, artifacts }: TaskContext): Promise<Buffer> {
  if (!brief.supplied) throw new RangeError(`${brief.quest}: nothing was supplied`);
  const { change } = brief.supplied.change;
  return "patch" in change ? Buffer.from(change.patch) : artifacts.get(change.sha256);
}

async function runFixer(context: TaskContext, fixer: FixerSpec): Promise<Made> {
  const { brief } = context;
  const ws = await context.workspace();
  const message = messageOf(context);
  if (fixer.kind === "commit")
    return { change: await adoptCommit(ws, fixer.commit, brief.lastGood.commit, message) };
  const found = fixer.kind === "knobs" ? await searchKnobs(context, fixer) : null;
  if (found?.files === null) return { change: null, tried: found.tried };
  const tree = fixer.kind === "cli" ? await askCli(context, fixer) : await takeWorktree(context);
  if ("pauseMs" in tree) return { change: null, quota: tree };
  const { path, since } = tree;
  if (fixer.kind === "patch")
    await applyPatch(ws, path, await context.artifacts.get(fixer.sha256), fixer.name);
  if (isSupply(fixer)) await applyPatch(ws, path, await suppliedPatch(context), suppliedName(brief));
  if (fixer.kind === "command") await runFixerCommand(context, fixer, ws.dir, path);
  for (const [file, text] of found?.files ?? []) await writeTreeFile(path, file, text);
  const change = await commitCandidate(ws, path, brief.lastGood.commit, message, since);
  const tried =
    found?.tried ?? (isSupply(fixer) ? `supplied by ${brief.supplied?.by}: ${suppliedName(brief)}` : null);
  return { change, ...(tried === null ? {} : { tried }) };
}
