import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { connectBus, createClient, credentialPath } from "@questbus/bus";
import type { QuestState } from "@questbus/core";

/**
 * The trees of quests that have ended. Who works on a quest when it ends removes them; but one ends while nobody does, by a
 * breach or at its deadline, or while no stack runs. The stack of a state directory owns what is left there then.
 *
 * What does it is loaded when there is something to do: a stack that starts has no time for it.
 */

const questDir = (stateDir: string, quest: string): string => join(resolve(stateDir), "quests", quest);

/** An ended quest needs no checked-out trees; its candidates and artifacts stay. */
export async function sweep(stateDir: string, quest: string): Promise<void> {
  const { removeTrees } = await import("@questbus/workbench");
  await removeTrees({ dir: questDir(stateDir, quest) });
}

/** How long the agents on this machine have to end what they run for a quest that has ended: half a second is usual. */
export const endedMsMax = 5_000;

/** Sweeps once what agents on this machine run now has ended. */
async function sweepIdle(stateDir: string, quest: string): Promise<void> {
  const [{ groupsDir }, { recordedGroupsEnd }] = await Promise.all([
    import("@questbus/agent"),
    import("@questbus/workbench"),
  ]);
  const dir = groupsDir(stateDir);
  await recordedGroupsEnd(dir, await readdir(dir).catch(() => []), endedMsMax);
  await sweep(stateDir, quest);
}

/** Quests that ended and still have trees. */
async function leftBehind(stateDir: string): Promise<string[]> {
  const all = await readdir(join(stateDir, "quests")).catch(() => []);
  const laid = all.filter((quest) =>
    ["trees", "arms"].some((each) => existsSync(join(questDir(stateDir, quest), each))),
  );
  if (laid.length === 0) return [];
  const [{ openStore }, { storeDirOf }] = await Promise.all([
    import("@questbus/store"),
    import("./cluster-state.ts"),
  ]);
  const store = openStore({ dir: storeDirOf(stateDir), mode: "read" });
  try {
    return laid.filter((quest) => (store.getQuestState(quest) as QuestState | null)?.ending);
  } finally {
    store.close();
  }
}

/**
 * Removes the trees of quests that ended, and of each that ends from now on. What cannot be removed stays until the next stack
 * starts.
 * @returns stops it, once what was begun is done
 */
export async function watchEnded(
  dir: string,
  address: { url: string; space: string },
): Promise<() => Promise<void>> {
  // An agent hears the ends of quests, and not all the rest.
  const connection = await connectBus({ ...address, credential: credentialPath(dir, "qa", "qa") });
  let last = Promise.resolve();
  const clear = (quest: string): void => {
    last = last.then(() => sweepIdle(dir, quest)).catch(() => {});
  };
  const begin = async (): Promise<void> => {
    await createClient(connection).watchEvents({}, ({ type, quest }) => {
      if (type === "quest.ended" && quest) clear(quest);
    });
    for (const quest of await leftBehind(dir)) await sweep(dir, quest);
  };
  await begin().catch(() => {});
  return async () => {
    await connection.close();
    await last;
  };
}
