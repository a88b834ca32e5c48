import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Calibration, openCalibration } from "@questbus/agent";
import { estimateBias, gatePolicyOf, nextGateStep, planBudget } from "@questbus/core";
import { type Pair, percent } from "@questbus/protocol";
import { git, root } from "../process.ts";
import type { Promised, ProveOptions } from "../promise.ts";

/**
 * The gate over real runs: fresh processes of the Node program in examples/, one core of the machine kept busy. The same
 * tree in both arms (A/A), or the second one rebuilt at a longer path with a larger environment (A/A′), as candidate and as
 * base in turn.
 */

/** Pairs of a quest at most; a hundred quests then take about a quarter of an hour. */
const pairsMax = 40;
/** Lines of the program's data: one run takes about 80 ms on a quiet machine. */
const lines = 1_500;
/** Pairs that the reported bias is computed from, at most: its cost grows with their square. */
const biasPairsMax = 600;

const spec = {
  target: { repo: "", ref: "HEAD", prepare: "node tools/make-data.mjs" },
  measure: {
    command: "node bench.mjs",
    metric: { name: "wall", from: "wall-time", unit: "s", better: "lower" },
    timeoutMs: 30_000,
  },
  guards: [],
} as const;

async function makeTarget(dir: string): Promise<{ repo: string; commit: string }> {
  const repo = join(dir, "access-report");
  cpSync(join(root, "examples/access-report"), repo, { recursive: true });
  rmSync(join(repo, "data"), { recursive: true, force: true });
  const tool = join(repo, "tools/make-data.mjs");
  const text = readFileSync(tool, "utf8");
  const smaller = text.replace(/^const lines = .*$/m, `const lines = ${lines};`);
  if (smaller === text) throw new Error("the size of the example's data was not found");
  writeFileSync(tool, smaller);
  await git(repo, "init", "--quiet", "--initial-branch=main");
  await git(repo, "add", "--all");
  await git(repo, "commit", "--quiet", "-m", "access report");
  return { repo, commit: await git(repo, "rev-parse", "HEAD") };
}

/** Keeps one core busy until it is killed: the first one, where the system can say so; else it wanders. */
const loadOneCore = (): ChildProcess =>
  spawn(
    "sh",
    [
      "-c",
      'command -v taskset >/dev/null && exec taskset -c 0 "$0" "$@" || exec "$0" "$@"',
      process.execPath,
      "-e",
      "for (;;);",
    ],
    { stdio: "ignore" },
  );

const kinds = ["same", "moved", "moved-base"] as const;
type Kind = (typeof kinds)[number];
type Series = { same: Pair[]; moved: Pair[] };

const policy = gatePolicyOf({
  metric: spec.measure.metric,
  goal: { improveBy: null, margin: 0.01, minEffect: null },
  alpha: 0.05,
  pairsMax,
});

/** One quest; its pairs also go to `series`. */
async function playReal(
  calibration: Calibration,
  kind: Kind,
  seed: string,
  series: Series,
): Promise<boolean> {
  const of = kind === "same" ? "same" : "moved";
  const pairs: Pair[] = [];
  for (;;) {
    const pair = await calibration.pair(of, seed, pairs.length);
    series[of].push(pair);
    pairs.push(kind === "moved-base" ? { ...pair, base: pair.candidate, candidate: pair.base } : pair);
    const step = nextGateStep(pairs, [], policy);
    if (step.state === "broken") throw new Error(step.reason);
    if (step.state !== "more") return step.state === "gain";
  }
}

function foundText(accepts: Record<Kind, number>, quests: number, series: Series, seed: string): string {
  const total = accepts.same + accepts.moved + accepts["moved-base"];
  const values = series.same.map(({ base }) => base.value);
  const noise =
    planBudget({ values, margin: 0.01, goal: null, alpha: 0.05, pairsMax, better: "lower" }).cv ?? Number.NaN;
  const first = { same: series.same.slice(0, biasPairsMax), moved: series.moved.slice(0, biasPairsMax) };
  const bias = estimateBias(first, "lower", 0.01);
  const text = bias
    ? `the moved arm ${percent(bias.moved.estimate)} faster (${percent(bias.moved.low)} to ${percent(bias.moved.high)})`
    : "too few pairs for the bias";
  const runs = 2 * (series.same.length + series.moved.length);
  return `${total} of ${quests} (A/A ${accepts.same}, A/A′ ${accepts.moved + accepts["moved-base"]}; ${runs} runs, noise ${percent(noise)}; ${text}; seed ${seed})`;
}

export async function* proveReal({ full, note }: ProveOptions): AsyncGenerator<Promised> {
  const dir = mkdtempSync(join(tmpdir(), "questbus-prove-gate-"));
  const load = loadOneCore();
  try {
    const { repo, commit } = await makeTarget(dir);
    mkdirSync(join(dir, "work"));
    const at = { ...spec, guards: [], target: { ...spec.target, repo } };
    const calibration = await openCalibration({
      dir: join(dir, "work"),
      spec: at,
      commit,
      signal: new AbortController().signal,
    });
    const quests = full ? 100 : 6;
    const accepts: Record<Kind, number> = { same: 0, moved: 0, "moved-base": 0 };
    const series: Series = { same: [], moved: [] };
    for (let quest = 0; quest < quests; quest++) {
      if (quest % 10 === 0) note(`real quest ${quest + 1} of ${quests} ...`);
      const kind = kinds[quest % kinds.length] as Kind;
      if (await playReal(calibration, kind, `real/${quest}`, series)) accepts[kind] += 1;
    }
    const accepted = accepts.same + accepts.moved + accepts["moved-base"];
    yield {
      id: "gate.real",
      what: `real Node processes, one core loaded: A/A and A/A′ accepted at alpha .05, ${pairsMax} pairs at most`,
      goal: "≤ 1",
      value: foundText(accepts, quests, series, "real"),
      ok: accepted <= 1,
    };
  } finally {
    load.kill("SIGKILL");
    await once(load, "exit");
    rmSync(dir, { recursive: true, force: true });
  }
}
