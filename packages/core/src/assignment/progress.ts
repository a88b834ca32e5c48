import { limit, type Progress, type QuestSpec, type Task } from "@questbus/protocol";

/**
 * Whether the work under a lease moves on. A heartbeat says that its holder is there; what counts is that it has done more
 * since. How long it may stand still is the orchestrator's word, from what the quest itself allows its commands.
 */

/** What was heard last of the holder of one lease. */
export type Heard = Progress & {
  epoch: number;
  /** When its work went on last. */
  movedMs: number;
  heardMs: number;
};

/** After a renewal with `given`, under `epoch`; another epoch is another piece of work. */
export function heardNow(before: Heard | null, epoch: number, given: Progress, nowMs: number): Heard {
  const known = before?.epoch === epoch ? before : null;
  const moved = known === null || given.count > known.count;
  return {
    epoch,
    step: given.step,
    count: moved ? given.count : known.count,
    movedMs: moved ? nowMs : known.movedMs,
    heardMs: nowMs,
  };
}

export const isStill = ({ movedMs }: Heard, stillMsMax: number, nowMs: number): boolean =>
  nowMs - movedMs > stillMsMax;

/** Tasks that run the suite, and those that run the benchmark. */
const suites: readonly Task[] = ["base-suite", "separate", "suite"];
const measures: readonly Task[] = ["base-measure", "gate", "produce"];

/** How long the holder of a task may stand still: its longest command may print nothing until it is ended. */
export function stillMsMax(spec: QuestSpec, task: Task, fixer: number | null): number {
  const prepares = spec.target.prepare !== null && [...suites, ...measures, "prepare"].includes(task);
  const longest = Math.max(
    prepares ? limit.prepareMs : 0,
    suites.includes(task) ? spec.tests.timeoutMs : 0,
    measures.includes(task) ? spec.measure.timeoutMs : 0,
    task === "produce" ? fixerMs(spec, fixer) : 0,
  );
  return longest + limit.stillMs;
}

/** A program that is asked for a candidate may also wait for its quota. */
function fixerMs({ fixers }: QuestSpec, fixer: number | null): number {
  const chosen = fixer === null ? undefined : fixers[fixer];
  if (chosen?.kind === "cli") return Math.max(chosen.timeoutMs, chosen.quotaWaitMs);
  return chosen?.kind === "command" ? chosen.timeoutMs : 0;
}

const minutes = (ms: number): string =>
  ms < 120_000 ? `${Math.round(ms / 1_000)} s` : `${Math.round(ms / 60_000)} min`;

/** Why a lease is over whose holder is there and does nothing, as far as it is still known. */
export const stillReason = (heard: Heard | null): string =>
  heard ? `no progress for ${minutes(heard.heardMs - heard.movedMs)}, at: ${heard.step}` : "no progress";
