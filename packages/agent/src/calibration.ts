import { join } from "node:path";
import { firstOfPair, workloadSeed } from "@questbus/core";
import type { Observation, Pair, QuestSpec } from "@questbus/protocol";
import {
  observe,
  openArms,
  openWorkspace,
  type ProcessGroups,
  removeWorkspace,
  runArm,
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
  /** Where what runs is recorded. */
  groups?: ProcessGroups | undefined;
};

/** Folders of this name lengthen the path by about 120 characters. */
const place = "another-place-".padEnd(60, "x");
/** Bytes by which the environment is larger there. */
const padding = { QUESTBUS_PADDING: "x".repeat(4_000) };

/**
 * Builds the arms, and runs each once to warm the machine's caches.
 * @throws TARGET_REF_MISSING, PREPARE_FAILED, BENCH_*, METRIC_*, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function openCalibration({
  dir,
  spec,
  commit,
  signal,
  groups,
}: CalibrationOptions): Promise<Calibration> {
  const { prepare, repo } = spec.target;
  const ws = await openWorkspace({ dir, targetRoot: repo, commit });
  const close = (): Promise<void> => removeWorkspace(ws);
  try {
    const usual = await openArms(ws, { base: commit, candidate: commit, prepare, signal, groups });
    const apart = await openArms(ws, {
      base: commit,
      prepare,
      signal,
      groups,
      apart: join(place, place),
      env: padding,
    });
    const arms = {
      base: { in: usual, name: "base", more: {} },
      same: { in: usual, name: "candidate", more: {} },
      moved: { in: apart, name: "base", more: padding },
    } as const;
    const once = (arm: keyof typeof arms, seed: string): Promise<Observation> =>
      runArm(arms[arm].in, arms[arm].name, (cwd, env) =>
        observe({
          ...spec.measure,
          cwd,
          env: { ...env, ...arms[arm].more },
          guards: spec.guards,
          seed,
          signal,
          groups,
        }),
      );
    const key = newWorkloadKey();
    for (const arm of ["base", "same", "moved"] as const) await once(arm, workloadSeed(key, "warm-up", 0));
    const pair: Calibration["pair"] = async (kind, seed, index) => {
      const first = firstOfPair(seed, index);
      const workload = workloadSeed(key, seed, index);
      const one = await once(first === "base" ? "base" : kind, workload);
      const two = await once(first === "base" ? kind : "base", workload);
      return first === "base" ? { first, base: one, candidate: two } : { first, base: two, candidate: one };
    };
    return { pair, close };
  } catch (error) {
    await close();
    throw error;
  }
}
