import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { authorityOf, sealedPaths, type TaskContext } from "@questbus/agent";
import { type FixerSpec, limit, QuestbusError } from "@questbus/protocol";
import { runCommand } from "@questbus/workbench";

/** Runs a command fixer in the worktree; what it should know stands in the file that QUESTBUS_BRIEF names. */
export async function runFixerCommand(
  context: TaskContext,
  fixer: Extract<FixerSpec, { kind: "command" }>,
  dir: string,
  cwd: string,
): Promise<void> {
  const { brief, signal, groups } = context;
  const { spec, pass, history, guidance, questDir } = brief;
  const file = join(dir, `brief-${pass}.json`);
  const { title, goal, measure } = spec;
  const known = {
    quest: brief.quest,
    pass,
    title,
    goal,
    measure,
    authority: authorityOf(context),
    sealed: { policy: spec.seal.policy, paths: await sealedPaths(context) },
    history,
    guidance,
    analysis: brief.analysis,
    context: brief.context,
    memories: brief.memories,
  };
  await writeFile(file, `${JSON.stringify(known, null, 2)}\n`, { mode: 0o600 });
  const env = { QUESTBUS_BRIEF: file, QUESTBUS_QUEST_DIR: questDir };
  const run = await runCommand({
    command: fixer.command,
    cwd,
    env,
    timeoutMs: fixer.timeoutMs,
    user: "fixers",
    grant: { reads: [questDir, file] },
    signal,
    groups,
  });
  signal.throwIfAborted();
  await context.artifacts.put("fixer-output", run.output);
  if (run.exit === 0 && !run.timedOut) return;
  const end = run.timedOut
    ? `did not end within ${fixer.timeoutMs / 1000} s`
    : `ended with exit code ${run.exit}`;
  const last = run.output.trim().split("\n").at(-1) ?? "";
  // What the shell says of a program that is not there, or is none.
  const missing = run.exit === 127 || run.exit === 126;
  throw new QuestbusError({
    code: run.timedOut ? "FIXER_TIMEOUT" : missing ? "FIXER_MISSING" : "FIXER_FAILED",
    message: `the fixer ${end}: ${last.slice(0, limit.excerptCharsMax / 4)}`,
    where: fixer.command,
    next: missing
      ? "it starts in the worktree of the target: a program beside the quest file is $QUESTBUS_QUEST_DIR/NAME"
      : "run it by hand in a clone of the target, or give it more time",
  });
}
