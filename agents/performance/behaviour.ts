import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  authorityOf,
  type Behaviour,
  chosenFixer,
  measurePairs,
  no,
  type Outcome,
  percent,
  plural,
  type TaskContext,
  takeWorktree,
  whileMeasuring,
  yes,
} from "@questbus/agent";
import { type BudgetPlan, planBudget } from "@questbus/core";
import {
  type Candidate,
  type FixerSpec,
  forbiddenPaths,
  limit,
  type Observation,
  QuestbusError,
} from "@questbus/protocol";
import {
  type Arms,
  adoptCommit,
  applyPatch,
  type CommittedCandidate,
  closeArms,
  commitCandidate,
  inspectPatch,
  observe,
  openArms,
  runArm,
  runCommand,
} from "@questbus/workbench";

/** Performance measures; whether what it measured is a gain, the orchestrator computes. */
export const behaviour: Behaviour = { test: measureBase, fix: produce, validate: gate };

/** Base-only runs that measure the noise, after one that warms the machine's caches. */
const baseRuns = 8;
/** In later passes nothing is refused for noise: these only show how the machine stands now. */
const baseRunsLater = 4;
/** Runs more, where those said that the bench is too noisy: a passing disturbance must not refuse a quest. */
const baseRunsMore = 16;

/**
 * Measures last known-good, and refuses a bench that cannot show the goal within the budget. That is decided before
 * anything was tried, in the first pass; later the gate itself copes with a noisier hour.
 */
async function measureBase(context: TaskContext): Promise<Outcome<"base-measure">> {
  const { pass, spec, lastGood } = context.brief;
  const { signal, groups } = context;
  const arms = await openArms(await context.workspace(), {
    base: lastGood.commit,
    prepare: spec.target.prepare,
    signal,
    groups,
  });
  const runs = await whileMeasuring(context, async () => {
    await observeBase(context, arms, 1);
    const first = await observeBase(context, arms, pass === 1 ? baseRuns : baseRunsLater);
    return pass > 1 || planOf(context, first).fit
      ? first
      : [...first, ...(await observeBase(context, arms, baseRunsMore))];
  });
  await closeArms(arms);
  const plan = planOf(context, runs);
  if (plan.cv === null || (!plan.fit && pass === 1)) throw tooNoisy(context, plan);
  const { cv, detectable, pairsNeeded } = plan;
  const values = runs.map((run) => run.value);
  const wallMs = runs.reduce((sum, run) => sum + run.wallMs, 0) / runs.length;
  return {
    result: { values, cv, detectable, pairsNeeded, wallMs },
    summary: `base ${baseText(context, values)}, noise ${percent(cv)}; the budget can show ${detectable === null ? "no gain" : percent(detectable)}${neededText(pairsNeeded)}`,
  };
}

async function observeBase(
  { brief, signal, groups }: TaskContext,
  arms: Arms,
  count: number,
): Promise<Observation[]> {
  const { command, metric, timeoutMs } = brief.spec.measure;
  const { guards } = brief.spec;
  const runs: Observation[] = [];
  while (runs.length < count) {
    runs.push(
      await runArm(arms, "base", (cwd) =>
        observe({ command, cwd, metric, guards, timeoutMs, signal, groups }),
      ),
    );
  }
  return runs;
}

function planOf({ brief }: TaskContext, runs: readonly Observation[]): BudgetPlan {
  const { goal, budget, measure } = brief.spec;
  return planBudget({
    values: runs.map((run) => run.value),
    margin: goal.margin,
    goal: goal.improveBy,
    alpha: brief.alpha,
    pairsMax: budget.pairs,
    better: measure.metric.better,
  });
}

function baseText({ brief }: TaskContext, values: readonly number[]): string {
  const { name, unit } = brief.spec.measure.metric;
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  return `${name} ${figure(middle, unit)}`;
}

const neededText = (pairs: number | null): string =>
  pairs === null ? "" : `, about ${plural(Math.ceil(pairs), "pair")} for the goal`;
const figure = (value: number, unit: string): string =>
  `${Number(value.toPrecision(4))}${unit ? ` ${unit}` : ""}`;

function tooNoisy({ brief }: TaskContext, budget: BudgetPlan): QuestbusError {
  const { goal, budget: allowed } = brief.spec;
  const noise =
    budget.cv === null ? "the base runs cannot be used" : `the noise of one run is ${percent(budget.cv)}`;
  const least = budget.detectable === null ? "no gain" : `no gain below ${percent(budget.detectable)}`;
  return new QuestbusError({
    code: "BENCH_TOO_NOISY",
    message: `${noise}: with ${allowed.pairs} pairs this bench can show ${least}; the goal is ${percent(goal.improveBy ?? goal.margin)}`,
    where: "measure.command",
    next: "allow more pairs, make the bench longer or its metric quieter, or ask for more",
  });
}

/** Produces the candidate in the worktree; what the fixer changed outside the authority ends here. */
async function produce(context: TaskContext): Promise<Outcome<"produce">> {
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

/** Runs a command fixer in the worktree; what it should know stands in the file that QUESTBUS_BRIEF names. */
async function runFixerCommand(
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
    history,
    guidance,
  };
  await writeFile(file, `${JSON.stringify(known, null, 2)}\n`, { mode: 0o600 });
  const env = { QUESTBUS_BRIEF: file, QUESTBUS_QUEST_DIR: questDir };
  const run = await runCommand({
    command: fixer.command,
    cwd,
    env,
    timeoutMs: fixer.timeoutMs,
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
  throw new QuestbusError({
    code: run.timedOut ? "FIXER_TIMEOUT" : "FIXER_FAILED",
    message: `the fixer ${end}: ${last.slice(0, limit.excerptCharsMax / 4)}`,
    where: fixer.command,
    next:
      run.exit === 127
        ? "it starts in the worktree of the target: a program beside the quest file is $QUESTBUS_QUEST_DIR/NAME"
        : "run it by hand in a clone of the target, or give it more time",
  });
}

/** Candidate against last known-good, in pairs, until the evidence decides; then fresh pairs for the effect. */
async function gate(context: TaskContext): Promise<Outcome<"gate">> {
  const { brief, artifacts } = context;
  const { samples, step } = await measurePairs(context);
  await artifacts.put("samples", JSON.stringify(samples));
  const proven = step.state === "gain";
  const summary = `${plural(samples.pairs.length, "pair")}: ${step.reason}`;
  return {
    result: { samples },
    summary,
    signOff: proven
      ? yes(`a gain above ${percent(brief.spec.goal.margin)} is proven (${step.reason})`)
      : no(step.reason),
  };
}
