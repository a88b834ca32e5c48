import {
  authorityOf,
  chosenFixer,
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
} from "@questbus/workbench";
import { runFixerCommand } from "./fixer-command.ts";

/** Produces the candidate in the worktree; what the fixer changed outside the authority ends here. */
export async function produce(context: TaskContext): Promise<Outcome<"produce">> {
  const { brief, artifacts } = context;
  const fixer = chosenFixer(brief);
  if (fixer.kind === "patch") {
    const { files } = inspectPatch(await artifacts.get(fixer.sha256), { name: fixer.name });
    const outside = forbiddenPaths(files, authorityOf(context));
    if (outside.length > 0) return refused(outside);
  }
  const made = await runFixer(context, fixer);
  if (!made) throw changedNothing(fixer);
  const outside = forbiddenPaths(made.files, authorityOf(context));
  if (outside.length > 0) return refused(outside);
  const diff = await artifacts.put("diff", made.diffText);
  const { commit, tree, files, linesAdded, linesRemoved } = made;
  const candidate: Candidate = { commit, tree, files, linesAdded, linesRemoved, diff };
  return {
    result: { candidate, forbiddenPaths: [] },
    summary: `candidate ${tree.slice(0, 12)} from ${fixer.name}: ${plural(files.length, "file")}, +${linesAdded} -${linesRemoved} lines`,
  };
}

const changedNothing = ({ name }: FixerSpec): QuestbusError =>
  new QuestbusError({
    code: "FIXER_CHANGED_NOTHING",
    message: `${name} left the worktree as it was`,
    next: "let it edit the files of the worktree it is started in; what .gitignore names does not count",
  });

const refused = (paths: string[]): Outcome<"produce"> => ({
  result: { candidate: null, forbiddenPaths: paths },
  summary: `refused: it writes ${paths.join(", ")}, which this role may not`,
});

async function runFixer(context: TaskContext, fixer: FixerSpec): Promise<CommittedCandidate | null> {
  const { brief } = context;
  const ws = await context.workspace();
  const message = `candidate of ${brief.quest}, pass ${brief.pass}`;
  if (fixer.kind === "commit") return adoptCommit(ws, fixer.commit, brief.lastGood.commit, message);
  const { path, since } = await takeWorktree(context);
  if (fixer.kind === "patch")
    await applyPatch(ws, path, await context.artifacts.get(fixer.sha256), fixer.name);
  else await runFixerCommand(context, fixer, ws.dir, path);
  return commitCandidate(ws, path, brief.lastGood.commit, message, since);
}
