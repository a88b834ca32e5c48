import { availableParallelism } from "node:os";
import { openCrashRig } from "../faults/crash-run.ts";
import { mutations } from "../simulation/mutations.ts";
import { playWorlds } from "../simulation/played.ts";
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

/** Worlds of one process; each process also pays for its start. */
const worldsAtOnce = 250;

export const proveSimulation: Area = async function* ({ full, note }) {
  const worlds = full ? 200_000 : 5_000;
  const sum = { worlds: 0, crashes: 0, rows: 0 };
  const problems: string[] = [];
  let next = 1;
  const lane = async (): Promise<void> => {
    while (next <= worlds) {
      const first = next;
      next += worldsAtOnce;
      // One that is broken ends its process; the worlds behind it are played all the same.
      for (let at = first; at < first + worldsAtOnce; ) {
        const played = await playWorlds(at, first + worldsAtOnce - at);
        for (const key of ["worlds", "crashes", "rows"] as const) sum[key] += played[key];
        problems.push(...played.problems.map((each) => `seed ${played.broken}: ${each}`));
        at = played.broken === null ? first + worldsAtOnce : played.broken + 1;
      }
      if (sum.worlds % (20 * worldsAtOnce) < worldsAtOnce)
        note(`  ${sum.worlds} of ${worlds} worlds, ${problems.length} problems`);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  yield brokenRow({
    id: "faults.simulation",
    what: "simulated worlds on a bus that is worse than NATS: invariants broken",
    problems,
    detail: `${sum.worlds} worlds, ${sum.crashes} crashes, ${sum.rows} rows; seeds from 1`,
  });
};

/** In how many worlds a planted bug has to show. */
const worldsForBug = 800;

export const proveMutations: Area = async function* ({ note }) {
  const missed: string[] = [];
  const found: number[] = [];
  const left = [...mutations];
  const lane = async (): Promise<void> => {
    for (let mutation = left.shift(); mutation; mutation = left.shift()) {
      const { broken, problems } = await playWorlds(1, worldsForBug, mutation);
      note(`  ${mutation.name}: ${broken === null ? "NOT FOUND" : `seed ${broken}, ${problems[0]}`}`);
      if (broken === null) missed.push(mutation.name);
      else found.push(broken);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, lane));
  yield {
    id: "faults.mutations",
    what: "bugs planted on purpose that the simulation finds",
    goal: `all of ${mutations.length} (12 or more)`,
    value: `${found.length} of ${mutations.length}, in ${Math.max(...found)} worlds at most${missed.length > 0 ? `; missed: ${missed.join(", ")}` : ""}`,
    ok: missed.length === 0 && mutations.length >= 12,
  };
};
