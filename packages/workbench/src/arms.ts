import { mkdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { limit, QuestbusError } from "@questbus/protocol";
import { type CommandSetting, runCommand } from "./command.ts";
import { blamesDisk, diskFull } from "./disk.ts";
import { confirmLease } from "./lease.ts";
import { endOf, quote } from "./observe.ts";
import { removeTree } from "./removal.ts";
import { runHomeOf, withRunHome } from "./run-home.ts";
import { changedOnlyUnder, enforceSeal, openSealGuard, type SealGuard, underSeal } from "./seal.ts";
import { listFiles } from "./sealed-tree.ts";
import { layTree } from "./tree.ts";
import { lookAt, putBack, recordTree, type TreeRecord } from "./tree-record.ts";
import type { Workspace } from "./workspace.ts";

/**
 * The trees that are measured against each other. Each is prepared and run at one and the same path, because the length
 * of a path, the place on the disk and what build tools write down about it can move a benchmark by several per cent.
 *
 * Invariants:
 * A1: every command of an arm runs at `<dir>/arms/current`; between runs the arm is parked at `<dir>/arms/<name>`.
 * A2: one arm stands at `current` at a time; a second caller is refused.
 * A3: opening builds all arms afresh, so what a crash left does not count.
 * A4: whatever runs in an arm finds its sealed files as they were; and an arm that a candidate is held against finds all
 *     files of its commit so, and none that is new: the candidate could reach it where it is parked. What it changed there
 *     of what `prepare` made cannot be put back, and is told (see {@link changedWhileParked}).
 * A5: each run begins with an empty HOME and TMPDIR, and in the tree that `prepare` left; what cannot be put back there
 *     is told (see {@link carriedBy}).
 */
export type ArmName = "base" | "candidate" | "origin";

export type Arms = {
  readonly dir: string;
  /** The path at which every arm runs. */
  readonly current: string;
  readonly names: readonly ArmName[];
  readonly guards: Partial<Record<ArmName, SealGuard>>;
  /** Every file of the commit, for arms that a candidate is held against: what changes it between their runs is noted. */
  readonly parked: Partial<Record<ArmName, SealGuard>>;
  readonly ws: Workspace;
  readonly records: Map<ArmName, TreeRecord>;
  /** Prepared files of arms with a parked guard that were changed between their runs. */
  readonly reached: Set<string>;
  /** Prepared files that an arm's runs changed. */
  readonly carried: Map<ArmName, Set<string>>;
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
  /** A folder of their own below the usual place, for arms at another path. */
  apart?: string | undefined;
};

/**
 * Builds and prepares the arms of a measurement.
 * @throws PREPARE_FAILED, DISK_FULL; the reason of `signal` when it was aborted
 */
export async function openArms(ws: Workspace, options: ArmsOptions): Promise<Arms> {
  const { base, candidate, origin, prepare, prepareTimeoutMs, sealOf, apart = "", ...setting } = options;
  const dir = join(ws.dir, "arms", apart);
  const commits = Object.entries({ base, candidate, origin }).filter(([, commit]) => commit !== undefined);
  const names = commits.map(([name]) => name as ArmName);
  const kept = { guards: {}, parked: {}, records: new Map(), reached: new Set<string>(), carried: new Map() };
  const arms: Arms = { dir, current: join(dir, "current"), names, ws, ...kept, busy: false };
  await confirmLease();
  await removeTree(dir);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const [each, commit] of commits) {
    const name = each as ArmName;
    await layTree(ws, join(dir, name), commit as string);
    if (sealOf) arms.guards[name] = await sealOf(commit as string);
    await atCurrent(arms, name, async (cwd) => {
      const laidOut = lookAt(cwd);
      if (prepare !== null)
        await underSeal(arms.guards[name], cwd, () =>
          prepareTree(cwd, prepare, { ...setting, timeoutMs: prepareTimeoutMs }),
        );
      const record = await recordTree(ws, cwd, commit as string, laidOut);
      arms.records.set(name, record);
      if (sealOf && name !== "candidate") arms.parked[name] = await parkedGuard(ws, commit as string, record);
    });
  }
  return arms;
}

async function parkedGuard(ws: Workspace, commit: string, { restorable }: TreeRecord): Promise<SealGuard> {
  const files = await listFiles(ws, commit);
  return openSealGuard(
    ws,
    files.filter(({ path }) => restorable.has(Buffer.from(path).toString("latin1"))),
  );
}

/**
 * Puts an arm at the common path, does one run there, and parks it again, whatever comes of `work`, which gets the
 * environment of its run. Then the tree is as `prepare` left it (A5).
 */
export const runArm = <T>(
  arms: Arms,
  name: ArmName,
  work: (cwd: string, env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> =>
  atCurrent(arms, name, async (cwd) => {
    const parked = arms.parked[name];
    if (parked) await enforceSeal(parked, cwd);
    // What came in meanwhile goes, and what cannot be put back is not this arm's doing. Every arm is looked at: one alone
    // would find its files warmer.
    if (arms.guards[name]) {
      const changed = await putBack(arms.ws, cwd, arms.records.get(name) as TreeRecord);
      if (parked) for (const path of changed) arms.reached.add(path);
    }
    try {
      return await underSeal(arms.guards[name], cwd, () =>
        withRunHome(runHomeOf(arms.dir), (env) => work(cwd, env)),
      );
    } finally {
      const carried = await putBack(arms.ws, cwd, arms.records.get(name) as TreeRecord);
      arms.carried.set(name, new Set([...(arms.carried.get(name) ?? []), ...carried]));
    }
  });

async function atCurrent<T>(arms: Arms, name: ArmName, work: (cwd: string) => Promise<T>): Promise<T> {
  if (arms.busy) throw new Error("another arm is running");
  arms.busy = true;
  try {
    await rename(join(arms.dir, name), arms.current);
    try {
      return await work(arms.current);
    } finally {
      await rename(arms.current, join(arms.dir, name));
    }
  } finally {
    arms.busy = false;
  }
}

/**
 * Files that runs of `name` changed and left changed for the next of its runs, in folders where no other arm's runs do
 * so. A cache that a build tool keeps in every arm is no sign of anything.
 */
export function carriedBy(arms: Arms, name: ArmName): string[] {
  const others = arms.names.filter((each) => each !== name);
  const usual = new Set(others.flatMap((each) => [...(arms.carried.get(each) ?? [])].map(dirname)));
  return [...(arms.carried.get(name) ?? [])].filter((path) => !usual.has(dirname(path))).sort();
}

/** Sealed paths that runs of the candidate changed or added, and no run of the trees it is held against. */
export function rewrittenByCandidate({ guards }: Arms): string[] {
  const { candidate, ...others } = guards;
  return candidate ? changedOnlyUnder(candidate, Object.values(others)) : [];
}

/** Files of the trees that the candidate is held against, changed while none of their own runs was on. */
export function changedWhileParked({ parked, reached }: Arms): string[] {
  return [...new Set([...reached, ...Object.values(parked).flatMap((guard) => [...guard.rewritten])])].sort();
}

/** Removes the arms; safe to repeat. */
export const closeArms = (arms: Arms): Promise<void> => removeTree(arms.dir);

/** How programs say that there is no network. */
const unreachable =
  /EAI_AGAIN|ENOTFOUND|ENETUNREACH|Network is unreachable|Could not resolve|Temporary failure in name resolution/i;

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
  const timeoutMs = options.timeoutMs ?? limit.prepareMs;
  const run = await runCommand({ ...options, command, cwd: path, timeoutMs, user: "prepare" });
  if (run.aborted) throw options.signal?.reason ?? new Error("aborted");
  if (run.exit === 0 && !run.timedOut) return;
  if (blamesDisk(run.output)) throw diskFull(path);
  const end = run.timedOut ? `did not end within ${timeoutMs / 1000} s` : `failed with ${endOf(run)}`;
  throw new QuestbusError({
    code: "PREPARE_FAILED",
    message: `preparing the tree ${end}${quote(run)}`,
    where: "target.prepare",
    next: unreachable.test(run.output)
      ? "it reaches no network unless the quest says allow: { network: [prepare] }"
      : `see that it works in a fresh clone of the target: ${command.slice(0, 300)}`,
  });
}
