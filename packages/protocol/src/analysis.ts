import { z } from "zod";
import { limit } from "./limit.ts";

/**
 * Where the time of last known-good goes, and what that says of the goal: the evidence of a quest's first two stages.
 * What was not measured is null, never a guess. Shares are fractions.
 */

const share = z.number().min(0).max(1);
const amount = z.number().min(0);

/** A function with the time spent in itself, not in what it calls. */
const hotFunction = z.strictObject({
  function: z.string().max(limit.nameCharsMax),
  /** path:line, relative to the worktree; `node:fs:440` inside Node; null for what is built into the engine. */
  where: z.string().max(limit.placeCharsMax).nullable(),
  origin: z.enum(["target", "dependency", "runtime"]),
  /** Where the target enters it, as path:line, for what is not the target's own; the place most of its time comes from. */
  from: z.string().max(limit.placeCharsMax).nullable(),
  share,
  /** The whole becomes at most this many times as fast without it: 1 / (1 - share); null where that has no bound. */
  amdahl: z.number().min(1).nullable(),
  /** Whether the goal could be reached by it alone; null without a goal, or where the metric is no time. */
  reachesGoal: z.boolean().nullable(),
});

/** One row of the USE table (utilization, saturation, errors). */
const useRow = z.strictObject({
  utilization: amount.nullable(),
  saturation: amount.nullable(),
  errors: amount.nullable(),
});

/** All processes of one run of the bench, from outside. */
const runUsage = z.strictObject({
  wallMs: amount,
  /** User and system. */
  cpuMs: amount.nullable(),
  /** Of its largest process. */
  peakRssBytes: amount.nullable(),
  /** From and to the disk. */
  readBytes: amount.nullable(),
  writtenBytes: amount.nullable(),
});

/** What the garbage collectors of all Node processes of the run did. */
const heapUse = z.strictObject({
  collections: z.int().min(0),
  totalMs: amount,
  longestMs: amount,
  /** Of the process with the largest heap. */
  peakBytes: amount,
  limitBytes: amount,
});

export const analysis = z.strictObject({
  /**
   * What the shares are of. `wall`: the whole run. `cpu`: its busy time. `program`: busy time with the target's own
   * code on the stack, which leaves out how Node starts. Null: no process wrote a CPU profile.
   */
  basis: z.enum(["wall", "cpu", "program"]).nullable(),
  /** That time, in milliseconds. */
  profiledMs: amount.nullable(),
  /** Hottest first. */
  hot: z.array(hotFunction).max(limit.hotFunctionsMax),
  /** Shares of the same time that no function has: garbage collection, native code, waiting. */
  apart: z.strictObject({ gc: share, native: share, idle: share }).nullable(),
  /**
   * CPU: of one processor. Memory: of the machine's. Disk: of the busiest. GC: share of the time, and of the heap's
   * limit as saturation. Saturation of the others: share of the time in which something waited for it, machine-wide.
   */
  use: z.strictObject({ cpu: useRow, memory: useRow, disk: useRow, gc: useRow }),
  usage: runUsage.nullable(),
  heap: heapUse.nullable(),
  /**
   * What the rest of the goal needs: this share of the time has to go, which the hottest `functions` functions have
   * together; null: not even all of them have it. Null without a goal, or where the metric is no time.
   */
  goalNeeds: z.strictObject({ share, functions: z.int().min(1).nullable() }).nullable(),
  /** What could not be measured, and why. */
  notes: z.array(z.string().max(limit.reasonCharsMax)).max(8),
});
export type Analysis = z.infer<typeof analysis>;

/** What one profiled run left behind, as it was read: profiles are as the target's processes wrote them. */
export type ProfiledRun = {
  /** The worktree's path, by each name it goes by. */
  roots: readonly string[];
  cpuProfiles: readonly unknown[];
  usage: Analysis["usage"];
  heap: Analysis["heap"];
  /** The machine during the run; stalls and `diskBusy` are shares of the run's time. */
  machine: {
    cpuStall: number | null;
    memoryStall: number | null;
    diskStall: number | null;
    diskBusy: number | null;
    memoryBytes: number | null;
    oomKills: number | null;
  };
  notes: readonly string[];
};
