import {
  authorityOf,
  chosenFixer,
  knobFiles,
  type Outcome,
  plural,
  type TaskContext,
  takeWorktree,
} from "@questbus/agent";
import { type Candidate, type FixerSpec, forbiddenPaths, QuestbusError } from "@questbus/protocol";
import {
  adoptCommit,
  applyPatch,
  type CommittedCandidate,
  commitCandidate,
  inspectPatch,
  writeTreeFile,
} from "@questbus/workbench";
import { runFixerCommand } from "./fixer-command.ts";
import { searchKnobs } from "./fixer-knobs.ts";

/** What a fixer made; `change` null: nothing. `tried`: what it did for it, for people. */
type Made = { change: CommittedCandidate | null; tried?: string };

/** Produces the candidate in the worktree; what the fixer changed outside the authority ends here. */
export async function produce(context: TaskContext): Promise<Outcome<"produce">> {
  const { brief, artifacts } = context;
  const fixer = chosenFixer(brief);
  const unwritable = forbiddenPaths(await filesBefore(context, fixer), authorityOf(context));
  if (unwritable.length > 0) return refused(unwritable);
  const { change, tried } = await runFixer(context, fixer);
  if (!change) throw changedNothing(fixer, tried);
  const outside = forbiddenPaths(change.files, authorityOf(context));
  if (outside.length > 0) return refused(outside);
  const diff = await artifacts.put("diff", change.diffText);
  const { commit, tree, files, linesAdded, linesRemoved } = change;
  const candidate: Candidate = { commit, tree, files, linesAdded, linesRemoved, diff };
  const size = `${plural(files.length, "file")}, +${linesAdded} -${linesRemoved} lines`;
  return {
    result: { candidate, forbiddenPaths: [] },
    summary: `candidate ${tree.slice(0, 12)} from ${fixer.name}: ${size}${tried ? `; ${tried}` : ""}`,
  };
}

/** The files that a fixer is known to write before it runs. */
async function filesBefore({ artifacts }: TaskContext, fixer: FixerSpec): Promise<string[]> {
  if (fixer.kind === "knobs") return knobFiles(fixer.parameters).written;
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
  result: { candidate: null, forbiddenPaths: paths },
  summary: `refused: it writes ${paths.join(", ")}, which this role may not`,
});

async function runFixer(context: TaskContext, fixer: FixerSpec): Promise<Made> {
  const { brief } = context;
  const ws = await context.workspace();
  const message = `candidate of ${brief.quest}, pass ${brief.pass}`;
  if (fixer.kind === "commit")
    return { change: await adoptCommit(ws, fixer.commit, brief.lastGood.commit, message) };
  const found = fixer.kind === "knobs" ? await searchKnobs(context, fixer) : null;
  if (found?.files === null) return { change: null, tried: found.tried };
  const { path, since } = await takeWorktree(context);
  if (fixer.kind === "patch")
    await applyPatch(ws, path, await context.artifacts.get(fixer.sha256), fixer.name);
  if (fixer.kind === "command") await runFixerCommand(context, fixer, ws.dir, path);
  for (const [file, text] of found?.files ?? []) await writeTreeFile(path, file, text);
  const change = await commitCandidate(ws, path, brief.lastGood.commit, message, since);
  return { change, ...(found ? { tried: found.tried } : {}) };
}
