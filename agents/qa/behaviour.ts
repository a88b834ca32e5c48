import { type Behaviour, no, type Outcome, plural, type TaskContext, yes } from "@questbus/agent";
import { QuestbusError, type SuiteRun } from "@questbus/protocol";
import { checkout, prepareTree, runSuite } from "@questbus/workbench";

/** QA keeps the suite the judge of correctness: green on the base, green on the candidate. */
export const behaviour: Behaviour = { test: baseSuite, fix: separate, validate: candidateSuite };

/** How often a red suite is run again before it is called failing. */
const repetitions = 2;

const seconds = (run: SuiteRun): string => `${(run.durationMs / 1000).toFixed(1)} s`;
const outcome = (run: SuiteRun): string =>
  run.passed ? "green" : run.timedOut ? "timed out" : `red, exit ${run.exit}`;

async function layOut(context: TaskContext, name: string, commit: string): Promise<string> {
  const { brief, signal, groups } = context;
  const path = await checkout(await context.workspace(), name, commit);
  if (brief.spec.target.prepare) await prepareTree(path, brief.spec.target.prepare, { signal, groups });
  return path;
}

function suiteIn({ brief, artifacts, signal, groups }: TaskContext, cwd: string): Promise<SuiteRun> {
  const { command, timeoutMs } = brief.spec.tests;
  return runSuite({ command, cwd, timeoutMs, artifacts, signal, groups });
}

async function baseSuite(context: TaskContext): Promise<Outcome<"base-suite">> {
  const path = await layOut(context, "qa-base", context.brief.lastGood.commit);
  const run = await suiteIn(context, path);
  return {
    result: run,
    summary: `suite on last known-good: ${outcome(run)} in ${seconds(run)}${run.passed ? "" : "; it is run again"}`,
  };
}

/** A red base is run again: always red is failing, sometimes red is flaky. */
async function separate(context: TaskContext): Promise<Outcome<"separate">> {
  if (!context.brief.suiteRed)
    return { result: { runs: [], flaky: false }, summary: "the suite was green: no flaky tests to separate" };
  const path = await layOut(context, "qa-base", context.brief.lastGood.commit);
  const runs = await repeat(() => suiteIn(context, path));
  const last = runs.at(-1) as SuiteRun;
  if (!runs.some((run) => run.passed)) {
    throw new QuestbusError({
      code: last.timedOut ? "SUITE_TIMEOUT" : "SUITE_FAILED",
      message: `the suite fails on the base itself, ${repetitions + 1} times out of ${repetitions + 1}: ${failing(last)}`,
      where: context.brief.spec.tests.command,
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
  const path = await layOut(context, "qa-candidate", candidate.commit);
  const first = await suiteIn(context, path);
  const more = first.passed ? [] : await repeat(() => suiteIn(context, path));
  const runs = [first, ...more];
  const greenLater = more.some((run) => run.passed);
  const passed = first.passed || (flaky && greenLater);
  if (passed) {
    const how = first.passed ? `green in ${seconds(first)}` : `green on repetition; the base is flaky too`;
    return {
      result: { runs, passed },
      summary: `suite on the candidate: ${how}`,
      signOff: yes(`the suite is ${how}`),
    };
  }
  const why = greenLater
    ? `red, then green on repetition, while the base never was: the change makes tests flaky`
    : `${outcome(first)} in ${plural(runs.length, "run")}: ${failing(first)}`;
  return {
    result: { runs, passed },
    summary: `suite on the candidate: ${why}`,
    signOff: no(`the suite is ${why}`),
  };
}

/** The line of the output that most likely names what failed. */
function failing(run: SuiteRun): string {
  const lines = run.excerpt
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const named = lines.find(
    (line) => /^(not ok|✖|FAIL|×|AssertionError|Error:)/.test(line) && !line.endsWith(":"),
  );
  return (named ?? lines.at(-1) ?? "no output").slice(0, 200);
}
