import { type Analysis, limit, type MetricSpec, type ProfiledRun, percent } from "@questbus/protocol";
import { amdahlBound, restOfGoal, shareForGain, timeBasis } from "./bound.ts";
import { readCpuProfile } from "./cpu-profile.ts";
import { type SelfTime, splitTime, type TimeSplit } from "./hot.ts";
import { useTable } from "./use.ts";

/** `goal`: relative gain against the quest's base, or null; `kept`: what of it is gained already. */
type Aim = { metric: MetricSpec; goal: number | null; kept: number };

/** Rounded down, so that shares add up to no more than the whole. */
const roundDown = (share: number): number => Math.floor(Math.min(1, Math.max(0, share)) * 10_000) / 10_000;
const short = (text: string, chars: number): string =>
  (text.length > chars ? `${text.slice(0, chars - 3)}...` : text).toWellFormed();

/**
 * Where the time of a profiled run went, and whether what is hot could carry the goal. Total: whatever the profiles
 * hold, it answers, and what cannot be said is null.
 */
export function analyse(run: ProfiledRun, aim: Aim): Analysis {
  const profiles = run.cpuProfiles.flatMap((each) => readCpuProfile(each) ?? []);
  const bounded = timeBasis(aim.metric);
  const split = splitTime(profiles, run.roots, bounded ?? "program");
  const waits = split ? waitingOf(split) : null;
  const needed = split && bounded && waits === null ? neededShare(aim) : null;
  const gc = split ? roundDown(split.gcUs / split.totalUs) : null;
  return {
    basis: split?.basis ?? null,
    profiledMs: split ? split.totalUs / 1000 : null,
    hot: split ? hotOf(split, needed) : [],
    apart: split && apartOf(split),
    use: useTable(run, gc),
    usage: run.usage,
    heap: run.heap,
    goalNeeds: split && needed !== null ? { share: needed, functions: together(split, needed) } : null,
    notes: [...(waits === null ? [] : [waits]), ...run.notes]
      .slice(0, 8)
      .map((each) => short(each, limit.reasonCharsMax)),
  };
}

/** Beyond this share of waiting, shares of busy time say too little of a figure that may count the waiting. */
const waitShareMax = 0.2;

function waitingOf({ waitUs, totalUs }: TimeSplit): string | null {
  const share = waitUs / (waitUs + totalUs);
  if (!(share > waitShareMax)) return null;
  return `the program waits ${percent(share)} of its time, which these shares leave out: what a function can yield of the goal is not known`;
}

/** Null when nothing is left to gain, or no share of the time would do. */
function neededShare({ metric, goal, kept }: Aim): number | null {
  if (goal === null) return null;
  const share = shareForGain(restOfGoal(goal, kept, metric.better), metric.better);
  return Number.isFinite(share) && share > 0 && share < 1 ? share : null;
}

function hotOf({ functions, totalUs }: TimeSplit, needed: number | null): Analysis["hot"] {
  return functions.slice(0, limit.hotFunctionsMax).map((each) => {
    const share = each.us / totalUs;
    return {
      function: short(each.name, limit.nameCharsMax),
      where: placed(each.where),
      origin: each.origin,
      from: placed(each.from),
      share: roundDown(share),
      amdahl: amdahlBound(roundDown(share)),
      reachesGoal: needed === null ? null : share >= needed,
    };
  });
}

const placed = (where: SelfTime["where"]): string | null =>
  where === null ? null : short(where, limit.placeCharsMax);

const apartOf = ({ gcUs, nativeUs, idleUs, totalUs }: TimeSplit): Analysis["apart"] => ({
  gc: roundDown(gcUs / totalUs),
  native: roundDown(nativeUs / totalUs),
  idle: roundDown(idleUs / totalUs),
});

/** How many of the hottest functions have the needed share together: as they are sorted, no smaller set does. */
function together({ functions, totalUs }: TimeSplit, needed: number): number | null {
  let share = 0;
  for (const [at, each] of functions.entries()) {
    share += each.us / totalUs;
    if (share >= needed) return at + 1;
  }
  return null;
}
