import { firstOfPair, workloadSeed } from "@questbus/core";
import type { Observation, Pair, QuestSpec } from "@questbus/protocol";
import {
  type Arms,
  layMovedTree,
  type MovedTree,
  observe,
  openArms,
  openWorkspace,
  removeWorkspace,
  runArm,
  runHomeOf,
  withRunHome,
} from "@questbus/workbench";
import { newWorkloadKey } from "./measurement.ts";

/**
 * One tree against itself. `same`: both arms run as the arms of every pass do (A/A). `moved`: the second one was rebuilt
 * in another place, and runs there (A/A′).
 */
export type Calibration = {
  /** The next pair, in the order that `seed` draws; the second arm stands as the candidate. */
  pair(kind: "same" | "moved", seed: string, index: number): Promise<Pair>;
  /** Removes all that was built; safe to repeat. */
  close(): Promise<void>;
};

export type CalibrationOptions = {
  /** A directory of its own, which is gone afterwards. */
  dir: string;
  spec: Pick<QuestSpec, "measure" | "guards" | "target">;
  /** Commit of the target that is measured. */
  commit: string;
  signal: AbortSignal;
};

/**
 * Builds the arms, and runs each once to warm the machine's caches.
 * @throws TARGET_REF_MISSING, PREPARE_FAILED, BENCH_*, METRIC_*, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function openCalibration({
  dir,
  spec,
  commit,
  signal,
}: CalibrationOptions): Promise<Calibration> {
  const { prepare, repo } = spec.target;
  const ws = await openWorkspace({ dir, targetRoot: repo, commit });
  const close = (): Promise<void> => removeWorkspace(ws);
  try {
    const arms = await openArms(ws, { base: commit, candidate: commit, prepare, signal });
    const moved = await layMovedTree(ws, { commit, prepare, signal });
    const run = runner(arms, moved, spec, signal);
    const key = newWorkloadKey();
    for (const name of ["base", "candidate", "moved"] as const)
      await run(name, workloadSeed(key, "warm-up", 0));
    const pair: Calibration["pair"] = async (kind, seed, index) => {
      const first = firstOfPair(seed, index);
      const second = kind === "same" ? "candidate" : "moved";
      const [one, two] = first === "base" ? (["base", second] as const) : ([second, "base"] as const);
      const workload = workloadSeed(key, seed, index);
      const runs: [Observation, Observation] = [await run(one, workload), await run(two, workload)];
      const [base, candidate] = first === "base" ? runs : [runs[1], runs[0]];
      return { first, base, candidate };
    };
    return { pair, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type Run = (name: "base" | "candidate" | "moved", seed: string) => Promise<Observation>;

function runner(
  arms: Arms,
  { path, env }: MovedTree,
  { measure, guards }: CalibrationOptions["spec"],
  signal: AbortSignal,
): Run {
  const once = (cwd: string, given: Readonly<Record<string, string>>, seed: string): Promise<Observation> =>
    observe({ ...measure, cwd, env: given, guards, seed, signal });
  return (name, seed) =>
    name === "moved"
      ? withRunHome(runHomeOf(path), (home) => once(path, { ...env, ...home }, seed))
      : runArm(arms, name, (cwd, home) => once(cwd, home, seed));
}
