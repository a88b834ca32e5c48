import { openCrashRig } from "../faults/crash-run.ts";
import type { Area, Promised } from "./promise.ts";

/** The promises of faults: whatever is killed or lost at whatever moment, nothing is lost and nothing happens twice. */

/** Runs after which the whole journal is checked: its chain, its projections, its verdicts. */
const settleEvery = 50;

export const proveCrashes: Area = async function* ({ full, note }) {
  const rig = await openCrashRig("prove-crash");
  try {
    const runs = full ? 2_000 : 100;
    const problems: string[] = [];
    const points = new Map<string, number>();
    let hits = 0;
    for (let seed = 1; hits < runs; seed += 1) {
      const run = await rig.run(seed);
      if (run.hit) {
        hits += 1;
        points.set(run.point, (points.get(run.point) ?? 0) + 1);
      }
      problems.push(...run.problems.map((each) => `seed ${seed} (${run.point} ${run.count}): ${each}`));
      if (seed % settleEvery === 0) {
        problems.push(...rig.settle());
        note(`  ${hits} of ${runs} crashes, ${problems.length} problems`);
      }
    }
    problems.push(...rig.settle());
    yield brokenRow({
      id: "faults.crash",
      what: "quests whose orchestrator was killed (SIGKILL) at a named point and started again: invariants broken",
      problems,
      detail: `${hits} crashes: ${[...points].map(([point, count]) => `${point} ${count}`).join(", ")}; seeds from 1`,
    });
  } finally {
    await rig.close();
  }
};

export const proveWipes: Area = async function* () {
  const rig = await openCrashRig("prove-wipe");
  try {
    const problems: string[] = [];
    const wipes = 20;
    for (let seed = 1; seed <= wipes; seed += 1)
      problems.push(...(await rig.wipe(seed)).problems.map((each) => `seed ${seed}: ${each}`));
    problems.push(...rig.settle());
    yield brokenRow({
      id: "faults.broker",
      what: "the broker killed and its data folder deleted while a quest runs: quests lost or repeated",
      problems,
      detail: `${wipes} times`,
    });
  } finally {
    await rig.close();
  }
};

type Found = { id: string; what: string; problems: readonly string[]; detail: string };

const brokenRow = ({ id, what, problems, detail }: Found): Promised => ({
  id,
  what,
  goal: "0",
  value: `${problems.length} (${detail})${problems.length > 0 ? `: ${problems.slice(0, 5).join("; ")}` : ""}`,
  ok: problems.length === 0,
});
