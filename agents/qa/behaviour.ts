import {
  type Behaviour,
  guardOf,
  isWatch,
  no,
  type Outcome,
  reviewDifference,
  rewrittenSeal,
  type TaskContext,
  yes,
} from "@questbus/agent";
import { limit, plural, QuestbusError, type SuiteRun, type Suspicion } from "@questbus/protocol";
import {
  adoptCommit,
  changedOnlyUnder,
  checkout,
  firstFailure,
  prepareTree,
  putBack,
  runSuite,
  type SealGuard,
  underSeal,
} from "@questbus/workbench";

/** QA keeps the suite the judge of correctness: green on the base, green on the candidate. */
export const behaviour: Behaviour = { test: baseSuite, fix: separate, validate: candidateSuite };

/** How often a red suite is run again before it is called failing. */
const repetitions = 2;

/** A watch accepts nothing, so the suite that its quest names does nothing. */
const notRun = "the suite is not run in a recheck";

const seconds = (run: SuiteRun): string => `${(run.durationMs / 1000).toFixed(1)} s`;
const outcome = (run: SuiteRun): string =>
  run.passed ? "green" : run.timedOut ? "timed out" : `red, exit ${run.exit}`;

/** A prepared tree for the suite; what is sealed in it stays as it was. */
type Laid = { path: string; guard: SealGuard };

async function layOut(context: TaskContext, name: string, commit: string): Promise<Laid> {
  const { signal, groups } = context;
  const prepare = isWatch(context) ? null : context.brief.spec.target.prepare;
  const path = await checkout(await context.workspace(), name, commit);
  const guard = await guardOf(context, commit);
  if (prepare) await underSeal(guard, path, () => prepareTree(path, prepare, { signal, groups }));
  return { path, guard };
}

function suiteIn(
  { brief, artifacts, signal, groups }: TaskContext,
  { path, guard }: Laid,
): Promise<SuiteRun> {
  const { command, timeoutMs } = brief.spec.tests;
  return underSeal(guard, path, () => runSuite({ command, cwd: path, timeoutMs, artifacts, signal, groups }));
}

async function baseSuite(context: TaskContext): Promise<Outcome<"base-suite">> {
  const laid = await layOut(context, "qa-base", context.brief.lastGood.commit);
  const run = await suiteIn(context, laid);
  if (isWatch(context)) return { result: run, summary: notRun };
  return {
    result: run,
    summary: `suite on last known-good: ${outcome(run)} in ${seconds(run)}${run.passed ? "" : "; it is run again"}`,
  };
}

/** A red base is run again: always red is failing, sometimes red is flaky. */
async function separate(context: TaskContext): Promise<Outcome<"separate">> {
  if (!context.brief.suiteRed) {
    const summary = isWatch(context) ? notRun : "the suite was green: no flaky tests to separate";
    return { result: { runs: [], flaky: false }, summary };
  }
  const laid = await layOut(context, "qa-base", context.brief.lastGood.commit);
  const runs = await repeat(() => suiteIn(context, laid));
  const last = runs.at(-1) as SuiteRun;
  if (!runs.some((run) => run.passed)) {
    throw new QuestbusError({
      code: last.timedOut ? "SUITE_TIMEOUT" : "SUITE_FAILED",
      message: `the suite fails on the base itself, ${repetitions + 1} times out of ${repetitions + 1}: ${failing(last)}`,
      where: "tests.command",
      next: "make the suite green on the target's ref, then run the quest again",
    });
  }
  return {
    result: { runs, flaky: true },
    summary: `flaky, not failing: ${runs.filter((run) => run.passed).length} of ${repetitions} repetitions are green`,
  };
}

/** Runs the suite until it is green, `repetitions` times at most. */
async function repeat(run: () => Promise<SuiteRun>): Promise<SuiteRun[]> {
  const runs: SuiteRun[] = [];
  while (runs.length < repetitions && !runs.some((each) => each.passed)) runs.push(await run());
  return runs;
}

/** A red run of the candidate counts, unless the base is known to be flaky and a repetition is green. */
async function candidateSuite(context: TaskContext): Promise<Outcome<"suite">> {
  const { candidate, flaky } = context.brief;
  if (!candidate) throw new RangeError(`${context.brief.quest}: no candidate to test`);
  const laid = await layOut(context, "qa-candidate", candidate.commit);
  const first = await suiteIn(context, laid);
  if (isWatch(context) && first.passed)
    return { result: { runs: [first], passed: true }, summary: notRun, signOff: yes(notRun) };
  const more = first.passed ? [] : await repeat(() => suiteIn(context, laid));
  const runs = [first, ...more];
  const greenLater = more.some((run) => run.passed);
  const passed = first.passed || (flaky && greenLater);
  const suspicions = [...(await rewritten(context, laid)), ...(await ownTestsOnly(context, runs))];
  if (passed) {
    const how = first.passed ? `green in ${seconds(first)}` : `green on repetition; the base is flaky too`;
    return {
      result: { runs, passed },
      summary: `suite on the candidate: ${how}`,
      signOff: yes(`the suite is ${how}`),
      suspicions,
    };
  }
  const why = greenLater
    ? `red, then green on repetition, while the base never was: the change makes tests flaky`
    : `${outcome(first)} in ${plural(runs.length, "run")}: ${failing(first)}`;
  return {
    result: { runs, passed },
    summary: `suite on the candidate: ${why}`,
    signOff: no(`the suite is ${why}`),
    suspicions,
  };
}

/** Sealed files that the candidate's runs changed or added; where the base's own runs do so too they do not count. */
async function rewritten(context: TaskContext, { guard }: Laid): Promise<Suspicion[]> {
  if (changedOnlyUnder(guard, []).length === 0) return [];
  const base = await layOut(context, "qa-base", context.brief.lastGood.commit);
  if (changedOnlyUnder(guard, [base.guard]).length > 0) await suiteIn(context, base);
  return rewrittenSeal(changedOnlyUnder(guard, [base.guard]));
}

/**
 * Whether the suite passes only with what the candidate did to it: it is red with the sealed tests and green with the
 * candidate's own, or green with tests that the candidate adds and red without them.
 */
async function ownTestsOnly(context: TaskContext, runs: readonly SuiteRun[]): Promise<Suspicion[]> {
  const { original, candidate } = context.brief;
  const isGreen = runs.some((run) => run.passed);
  if (!isGreen && original) {
    const own = await suiteOf(context, original);
    const told = `The suite fails with the sealed tests (${failing(runs[0] as SuiteRun)}) and passes with the candidate's own edits of them`;
    return own?.passed ? [{ kind: "own-tests-only", message: told, where: null }] : [];
  }
  const { addedTests } = await reviewDifference(context, candidate?.commit ?? "");
  if (!isGreen || addedTests.length === 0) return [];
  return withoutAdded(context, addedTests);
}

/** The suite on the candidate as its fixer made it; null when that tree cannot be prepared. */
async function suiteOf(context: TaskContext, original: string): Promise<SuiteRun | null> {
  try {
    return await suiteIn(context, await layOut(context, "qa-original", original));
  } catch (error) {
    if (error instanceof QuestbusError && error.code === "PREPARE_FAILED") return null;
    throw error;
  }
}

async function withoutAdded(context: TaskContext, added: readonly string[]): Promise<Suspicion[]> {
  const { candidate, lastGood } = context.brief;
  const ws = await context.workspace();
  const replacements = added.map((path) => ({ path, as: "absent" as const }));
  const tree = await putBack(ws, { tree: candidate?.tree ?? "", from: lastGood.commit, replacements });
  const bare = await adoptCommit(ws, tree, lastGood.commit, "without the tests that the candidate adds");
  const laid = await layOut(context, "qa-sealed", bare?.commit ?? lastGood.commit);
  const first = await suiteIn(context, laid);
  const runs = first.passed ? [first] : [first, ...(await repeat(() => suiteIn(context, laid)))];
  if (runs.some((run) => run.passed)) return [];
  const message = `The suite passes only with test files that the candidate adds; without them it fails: ${failing(first)}`;
  return [{ kind: "own-tests-only", message, where: added[0]?.slice(0, limit.placeCharsMax) ?? null }];
}

/** The line of the output that most likely names what failed. */
const failing = (run: SuiteRun): string =>
  firstFailure(run.excerpt) ??
  (run.excerpt.trim().split("\n").at(-1)?.trim().slice(0, 200) ||
    `no output${run.exit === null ? "" : `, exit code ${run.exit}`}`);
