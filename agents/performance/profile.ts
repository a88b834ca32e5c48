import { join } from "node:path";
import { newWorkloadKey, type TaskContext, whileMeasuring } from "@questbus/agent";
import { analyse, workloadSeed } from "@questbus/core";
import { type Analysis, faultsOf } from "@questbus/protocol";
import { type Arms, type Profiled, profileRun, runArm, unprofiled } from "@questbus/workbench";

/**
 * One run more of the bench, under a profiler and outside of what is measured; null where the quest wants none, or
 * where last known-good was looked at before. A profile that cannot be made is a note of the analysis, never a fault.
 *
 * @param goal the relative gain that the quest asks for, or null
 * @param wallMs how long one run takes
 */
export async function profileBase(
  context: TaskContext,
  arms: Arms,
  goal: number | null,
  wallMs: number,
): Promise<Analysis | null> {
  const { brief, artifacts } = context;
  if (brief.spec.profile === "none" || brief.analysis !== null) return null;
  const { run, kept } = await whileMeasuring(context, () => profiled(context, arms, wallMs));
  for (const profile of kept) await artifacts.put("profile", profile);
  const analysis = analyse(run, { metric: brief.spec.measure.metric, goal, kept: brief.kept });
  await artifacts.put("analysis", JSON.stringify(analysis));
  return analysis;
}

async function profiled(
  { brief, signal, groups }: TaskContext,
  arms: Arms,
  wallMs: number,
): Promise<Profiled> {
  const { command, timeoutMs, http } = brief.spec.measure;
  const scratch = join(arms.dir, "profile");
  try {
    return await runArm(arms, "base", (cwd, env) =>
      profileRun({
        command,
        http,
        cwd,
        env: { ...env, QUESTBUS_SEED: workloadSeed(newWorkloadKey(), "profile", 0) },
        timeoutMs,
        signal,
        groups,
        scratch,
        wallMs,
      }),
    );
  } catch (error) {
    signal.throwIfAborted();
    const why = faultsOf(error)[0]?.message ?? "it failed";
    return { run: unprofiled(`the bench could not be profiled: ${why}`), kept: [] };
  }
}
