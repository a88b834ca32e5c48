import {
  type KnobFiles,
  knobFiles,
  newWorkloadKey,
  renderKnobs,
  type TaskContext,
  whileMeasuring,
} from "@questbus/agent";
import {
  drawSettings,
  type KnobTrial,
  knobRunsMax,
  nextKnobStep,
  settingText,
  workloadSeed,
} from "@questbus/core";
import { type ErrorCode, type FixerSpec, QuestbusError } from "@questbus/protocol";
import {
  type Arms,
  closeArms,
  observe,
  openArms,
  readTreeFile,
  runArm,
  type Workspace,
  writeTreeFile,
} from "@questbus/workbench";

type KnobsFixer = Extract<FixerSpec, { kind: "knobs" }>;
type Texts = ReadonlyMap<string, string | null>;

/** Ways in which a setting shows that it is no good; anything else is no word on the setting. */
const lost: readonly ErrorCode[] = ["BENCH_FAILED", "BENCH_TIMEOUT", "METRIC_MISSING", "METRIC_NOT_A_NUMBER"];

/**
 * Searches for a better setting, on runs of the quest's own bench under the measurement lease. What the runs leave
 * behind stays in the tree they ran in: the candidate is the setting alone.
 * @returns the files of the setting that won, with what was tried, for people; `files` null: none is better than the
 * present one
 * @throws KNOB_PLACE_MISSING, and BENCH_FAILED and the like when the present setting cannot be run
 */
export async function searchKnobs(
  context: TaskContext,
  fixer: KnobsFixer,
): Promise<{ files: Texts | null; tried: string }> {
  const { brief } = context;
  const ws = await context.workspace();
  const { written, read } = knobFiles(fixer.parameters);
  const present = await textsAt(ws, brief.lastGood.commit, read);
  const seed = `${fixer.seed ?? brief.seed}:knobs:${brief.pass}`;
  const judged = await judgedBefore(context, ws, fixer, written);
  judged.add(signature(present, written));
  const settings = drawSettings(fixer.parameters, {
    seed,
    count: fixer.trials,
    isExcluded: (each) => judged.has(signature(renderKnobs(fixer.parameters, each, present), written)),
  });
  const trials: KnobTrial[] = [null, ...settings].map((setting) => ({ setting, values: [], failure: null }));
  if (settings.length === 0) return { files: null, tried: "every setting was tried before" };
  await context.note(`tries ${settings.length} settings, in ${knobRunsMax(settings.length)} runs at most`);
  const best = await measured(context, trials, seed, (at) => {
    const { setting } = trials[at] as KnobTrial;
    return setting ? renderKnobs(fixer.parameters, setting, present) : pick(present, written);
  });
  await context.artifacts.put("trials", JSON.stringify({ seed, trials, best }, null, 2));
  const setting = best === null ? null : (trials[best] as KnobTrial).setting;
  const files = setting ? renderKnobs(fixer.parameters, setting, present) : null;
  return { files, tried: triedText(trials, best, brief.spec.measure.metric.name) };
}

/** Runs settings until one is left; gives its place among the trials. */
async function measured(
  context: TaskContext,
  trials: KnobTrial[],
  seed: string,
  textsOf: (at: number) => Texts,
): Promise<number | null> {
  const { brief, signal, groups } = context;
  const { better } = brief.spec.measure.metric;
  const arms = await openArms(await context.workspace(), {
    base: brief.lastGood.commit,
    prepare: brief.spec.target.prepare,
    signal,
    groups,
  });
  try {
    return await whileMeasuring(context, async () => {
      // Warms the machine's caches; and a bench that fails as it is would fail every setting.
      const key = newWorkloadKey();
      await runSetting(context, arms, textsOf(0), workloadSeed(key, "warm-up", 0));
      for (;;) {
        const step = nextKnobStep(trials, { better, seed });
        if (step.state === "done") return step.best;
        for (const at of step.trials)
          await runTrial(context, arms, { trial: trials[at] as KnobTrial, texts: textsOf(at), key });
      }
    });
  } finally {
    await closeArms(arms);
  }
}

/** Run n of every setting has the same workload, so that none is favoured. */
async function runTrial(
  context: TaskContext,
  arms: Arms,
  { trial, texts, key }: { trial: KnobTrial; texts: Texts; key: string },
): Promise<void> {
  try {
    const seed = workloadSeed(key, "knobs", trial.values.length);
    trial.values.push(await runSetting(context, arms, texts, seed));
  } catch (error) {
    if (!(error instanceof QuestbusError) || !lost.includes(error.code)) throw error;
    trial.failure = `${error.code}: ${error.message.split("\n", 1)[0]}`;
  }
}

async function runSetting(
  { brief, signal, groups }: TaskContext,
  arms: Arms,
  texts: Texts,
  seed: string,
): Promise<number> {
  signal.throwIfAborted();
  return runArm(arms, "base", async (cwd, env) => {
    for (const [path, text] of texts) await writeTreeFile(cwd, path, text);
    const { value } = await observe({ ...brief.spec.measure, cwd, env, guards: [], seed, signal, groups });
    return value;
  });
}

async function textsAt(ws: Workspace, commit: string, paths: readonly string[]): Promise<KnobFiles> {
  const texts = new Map<string, string | null>();
  for (const path of paths) texts.set(path, await readTreeFile(ws, commit, path));
  return texts;
}

/** What earlier passes of this fixer came to was judged; a pass that the machine spoiled was not. */
async function judgedBefore(
  { brief }: TaskContext,
  ws: Workspace,
  fixer: KnobsFixer,
  written: readonly string[],
): Promise<Set<string>> {
  const found = new Set<string>();
  for (const { fixer: name, tree, verdict } of brief.history) {
    if (name !== fixer.name || tree === null || verdict === "ENV_UNFIT") continue;
    found.add(signature(await textsAt(ws, tree, written), written));
  }
  return found;
}

const pick = (texts: Texts, paths: readonly string[]): Texts =>
  new Map(paths.map((path) => [path, texts.get(path) ?? null]));
const signature = (texts: Texts, paths: readonly string[]): string =>
  JSON.stringify(paths.map((path) => texts.get(path) ?? null));

const figure = (values: readonly number[]): string => {
  const middle = [...values].sort((a, b) => a - b)[values.length >> 1];
  return middle === undefined ? "no value" : String(Number(middle.toPrecision(4)));
};

/** `16 settings in 64 runs, 1 failed; best pool=8: steps 120, now 240`. */
function triedText(trials: readonly KnobTrial[], best: number | null, metric: string): string {
  const runs = trials.reduce((sum, { values }) => sum + values.length, 0);
  const failed = trials.filter(({ failure }) => failure !== null).length;
  const now = `now ${figure(trials[0]?.values ?? [])}`;
  const winner = best === null ? null : (trials[best] as KnobTrial);
  const found = winner?.setting
    ? `best ${settingText(winner.setting)}: ${metric} ${figure(winner.values)}, ${now}`
    : `none is better than the present one (${metric} ${now})`;
  return `${trials.length - 1} settings in ${runs} runs${failed > 0 ? `, ${failed} failed` : ""}; ${found}`;
}
