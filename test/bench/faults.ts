import { availableParallelism } from "node:os";
import { crashPoints } from "@questbus/protocol";
import { openAgentRig } from "../faults/agent-run.ts";
import { openCancelRig } from "../faults/cancel-run.ts";
import { openCrashRig } from "../faults/crash-run.ts";
import { type LeaderFault, openLeaderRig } from "../faults/leader-run.ts";
import { mutations } from "../simulation/mutations.ts";
import { playWorlds } from "../simulation/played.ts";
import type { Area, Promised } from "./promise.ts";

/** The promises of faults: whatever is killed or lost at whatever moment, nothing is lost and nothing happens twice. */

/** Runs after which the whole journal is checked: its chain, its projections, its verdicts. */
const settleEvery = 50;

type CrashingRig = {
  run(seed: number): Promise<{ point: string; count: number; hit: boolean; problems: string[] }>;
  settle(): string[];
  close(): Promise<void>;
};
type Crashed = { hits: number; points: Map<string, number>; problems: string[] };

type Wanted = { hits: number; points: readonly string[]; note: (text: string) => void };

/** Runs of one rig, from seed 1 on, until so many processes were killed, and one at each of its points. */
async function crashesOf(rig: CrashingRig, { hits, points: all, note }: Wanted): Promise<Crashed> {
  const crashed: Crashed = { hits: 0, points: new Map(), problems: [] };
  const { points, problems } = crashed;
  const isOver = (seed: number): boolean =>
    crashed.hits >= hits && (all.every((point) => points.has(point)) || seed > 4 * hits);
  try {
    for (let seed = 1; !isOver(seed); seed += 1) {
      const { point, count, hit, problems: found } = await rig.run(seed);
      if (hit) {
        crashed.hits += 1;
        points.set(point, (points.get(point) ?? 0) + 1);
      }
      problems.push(...found.map((each) => `seed ${seed} (${point} ${count}): ${each}`));
      if (seed % settleEvery === 0) {
        problems.push(...rig.settle());
        note(`  ${crashed.hits} of ${hits} crashes, ${problems.length} problems`);
      }
    }
    problems.push(...rig.settle());
    return crashed;
  } finally {
    await rig.close();
  }
}

/** A quest of real agents takes some seconds, one of scripted agents half of one. */
const crashesWanted = {
  short: { scripted: 80, agents: 24 },
  // One of real agents in its sandbox takes as long as six scripted ones.
  full: { scripted: 1_850, agents: 150 },
} as const;

export const proveCrashes: Area = async function* ({ full, note }) {
  const wanted = crashesWanted[full ? "full" : "short"];
  const [scripted, agents] = await Promise.all([
    crashesOf(await openCrashRig("prove-crash"), {
      hits: wanted.scripted,
      points: crashPoints.orchestrator,
      note,
    }),
    crashesOf(await openAgentRig("prove-agents"), {
      hits: wanted.agents,
      points: crashPoints.agent,
      note: (text) => note(`${text}, real agents`),
    }),
  ]);
  const hitsAt = (point: string): number =>
    (scripted.points.get(point) ?? 0) + (agents.points.get(point) ?? 0);
  const points = [...crashPoints.orchestrator, ...crashPoints.agent];
  const never = points.filter((point) => hitsAt(point) === 0).map((point) => `${point} was never met`);
  yield brokenRow({
    id: "faults.crash",
    what: "quests in which a process was killed (SIGKILL) at a named point and started again: invariants broken",
    problems: [...scripted.problems, ...agents.problems, ...never],
    detail: `${scripted.hits + agents.hits} crashes, ${agents.hits} of them with real agents on a repository: ${points.map((point) => `${point} ${hitsAt(point)}`).join(", ")}; seeds from 1`,
  });
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

export const proveLeader: Area = async function* ({ full, note }) {
  const rig = await openLeaderRig("prove-leader");
  try {
    const problems: string[] = [];
    const takeovers: number[] = [];
    const faults: LeaderFault[] = Array.from({ length: full ? 50 : 10 }, (_, at) =>
      at % 2 ? "pause" : "kill",
    );
    for (let round = 0; round < (full ? 10 : 2); round += 1) faults.push(...crashPoints.leader);
    const runs = faults.length;
    for (const [at, how] of faults.entries()) {
      const seed = at + 1;
      const run = await rig.run(seed, how);
      if (how === "kill" || how === "pause") takeovers.push(run.takeoverMs);
      problems.push(...run.problems.map((each) => `seed ${seed} (${run.how}): ${each}`));
      note(`  ${seed} of ${runs}: ${run.how}, answered again after ${Math.round(run.takeoverMs)} ms`);
    }
    problems.push(...(await rig.settle()));
    const { answered, rows, cuts } = rig.figures();
    yield brokenRow({
      id: "faults.leader",
      what: "the leader of a cluster killed, also at its points, or stopped past its lease under load: answers lost, or stale writes",
      problems,
      detail: `${runs} times; ${answered} commands answered, ${rows} rows the same on 3 nodes, ${cuts} stale tails taken away`,
    });
    const sorted = takeovers.sort((a, b) => a - b);
    const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1] as number;
    yield {
      id: "faults.takeover",
      what: "from the signal to the first answer to a command that was sent after it, p95",
      goal: "≤ 5 s",
      value: `${(p95 / 1_000).toFixed(2)} s (p50 ${((sorted[sorted.length >> 1] as number) / 1_000).toFixed(2)} s, longest ${((sorted.at(-1) as number) / 1_000).toFixed(2)} s)`,
      ok: p95 <= 5_000,
    };
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

export const proveSimulation: Area = async function* ({ full, note }) {
  const worlds = full ? 200_000 : 5_000;
  // Each process pays for its start, and its first worlds take twice as long as those after a few hundred.
  const worldsAtOnce = full ? 1_000 : 500;
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
        const found = played.problems.map((each) => `seed ${played.broken}: ${each}`);
        problems.push(...found);
        for (const each of found) note(`  ${each}`);
        at = played.broken === null ? first + worldsAtOnce : played.broken + 1;
      }
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

/** The product's promise: from the operator's Enter until no process of the quest runs. */
const cancelMsMax = 2_000;

export const proveCancels: Area = async function* ({ full, note }) {
  const rig = await openCancelRig("prove-cancel");
  try {
    const goneMs: number[] = [];
    const reachedMs: number[] = [];
    const problems: string[] = [];
    for (let seed = 1; seed <= (full ? 20 : 5); seed += 1) {
      const run = await rig.run(seed);
      goneMs.push(run.goneMs);
      reachedMs.push(run.reachedMs);
      problems.push(...run.problems.map((each) => `seed ${seed} (${run.task}): ${each}`));
      note(`  cancelled in ${run.task}: ${run.goneMs} ms, ${run.reachedMs} ms of them after the commit`);
    }
    const of = (values: readonly number[]): string => {
      const sorted = [...values].sort((a, b) => a - b);
      return `p50 ${sorted[Math.floor(sorted.length / 2)]} ms, max ${sorted.at(-1)} ms`;
    };
    const broken = problems.length > 0 ? `; ${problems.join("; ")}` : "";
    yield {
      id: "faults.cancel",
      what: "from `questbus cancel` until the last process of the quest is gone, daemons and what ignores SIGTERM too",
      goal: `max < ${cancelMsMax} ms, the target as it was`,
      value: `${of(goneMs)} in ${goneMs.length} cancels; after the commit ${of(reachedMs)}${broken}`,
      ok: problems.length === 0 && Math.max(...goneMs) < cancelMsMax,
    };
  } finally {
    await rig.close();
  }
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
