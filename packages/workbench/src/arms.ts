import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import { type CommandSetting, runCommand } from "./command.ts";
import { blamesDisk, diskFull } from "./disk.ts";
import { endOf, quote } from "./observe.ts";
import { removeTree } from "./removal.ts";
import { type SealGuard, underSeal } from "./seal.ts";
import { layTree } from "./tree.ts";
import type { Workspace } from "./workspace.ts";

/**
 * The trees that are measured against each other. Each is prepared and run at one and the same path, because the length
 * of a path, the place on the disk and what build tools write down about it can move a benchmark by several per cent.
 *
 * Invariants:
 * A1: every command of an arm runs at `<dir>/arms/current`; between runs the arm is parked at `<dir>/arms/<name>`.
 * A2: one arm stands at `current` at a time; a second caller is refused.
 * A3: opening builds all arms afresh, so what a crash left does not count.
 * A4: whatever runs in an arm finds its sealed files as they were.
 */
export type ArmName = "base" | "candidate" | "origin";

export type Arms = {
  readonly dir: string;
  /** The path at which every arm runs. */
  readonly current: string;
  readonly names: readonly ArmName[];
  readonly guards: Partial<Record<ArmName, SealGuard>>;
  busy: boolean;
};

export type ArmsOptions = CommandSetting & {
  /** Commit of last known-good. */
  base: string;
  candidate?: string | undefined;
  /** Commit the quest started from, where last known-good has moved on. */
  origin?: string | undefined;
  /** Run once in each arm; null for nothing to do. */
  prepare: string | null;
  /** For each `prepare`; 10 minutes by default. */
  prepareTimeoutMs?: number | undefined;
  /** What is sealed in a tree of that commit; nothing by default. */
  sealOf?: ((commit: string) => Promise<SealGuard>) | undefined;
};

const prepareTimeoutMsDefault = 600_000;

/**
 * Builds and prepares the arms of a measurement.
 * @throws PREPARE_FAILED, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function openArms(ws: Workspace, options: ArmsOptions): Promise<Arms> {
  const dir = join(ws.dir, "arms");
  const { base, candidate, origin, prepare, prepareTimeoutMs, sealOf, ...setting } = options;
  const commits = Object.entries({ base, candidate, origin }).filter(([, commit]) => commit !== undefined);
  const names = commits.map(([name]) => name as ArmName);
  const arms: Arms = { dir, current: join(dir, "current"), names, guards: {}, busy: false };
  await removeTree(dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const [name, commit] of commits) {
    await layTree(ws, join(dir, name), commit as string);
    if (sealOf) arms.guards[name as ArmName] = await sealOf(commit as string);
    if (prepare !== null)
      await runArm(arms, name as ArmName, (cwd) =>
        prepareTree(cwd, prepare, { ...setting, timeoutMs: prepareTimeoutMs }),
      );
  }
  return arms;
}

/** Puts an arm at the common path, runs `work` there, and parks it again, whatever comes of `work`. */
export async function runArm<T>(arms: Arms, name: ArmName, work: (cwd: string) => Promise<T>): Promise<T> {
  if (arms.busy) throw new Error("another arm is running");
  arms.busy = true;
  try {
    await rename(join(arms.dir, name), arms.current);
    try {
      return await underSeal(arms.guards[name], arms.current, () => work(arms.current));
    } finally {
      await rename(arms.current, join(arms.dir, name));
    }
  } finally {
    arms.busy = false;
  }
}

/** Sealed paths that runs of the candidate changed, and no run of the trees it is held against. */
export function rewrittenByCandidate({ guards }: Arms): string[] {
  const { candidate, ...others } = guards;
  const usual = new Set(Object.values(others).flatMap((guard) => [...guard.rewritten]));
  return [...(candidate?.rewritten ?? [])].filter((path) => !usual.has(path)).sort();
}

/** Removes the arms; safe to repeat. */
export const closeArms = (arms: Arms): Promise<void> => removeTree(arms.dir);

/**
 * Runs the target's `prepare` in a fresh tree.
 * @param options.timeoutMs 10 minutes by default
 * @throws PREPARE_FAILED with the end of its output, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function prepareTree(
  path: string,
  command: string,
  options: CommandSetting & { timeoutMs?: number | undefined } = {},
): Promise<void> {
  const timeoutMs = options.timeoutMs ?? prepareTimeoutMsDefault;
  const run = await runCommand({ ...options, command, cwd: path, timeoutMs });
  if (run.aborted) throw options.signal?.reason ?? new Error("aborted");
  if (run.exit === 0 && !run.timedOut) return;
  if (blamesDisk(run.output)) throw diskFull(path);
  const end = run.timedOut ? `did not end within ${timeoutMs / 1000} s` : `failed with ${endOf(run)}`;
  throw new QuestbusError({
    code: "PREPARE_FAILED",
    message: `preparing the tree ${end}${quote(run)}`,
    where: "target.prepare",
    next: `see that it works in a fresh clone of the target: ${command.slice(0, 300)}`,
  });
}
