import type { BusClient } from "@questbus/bus";
import { type PauseScope, stackScopes } from "@questbus/protocol";
import { insist } from "../faults/agents.ts";
import type { Numbers } from "../faults/numbers.ts";
import type { Scheduler } from "./scheduler.ts";

/** An operator who pauses and resumes at random while the storm lasts, and resumes all of it in the calm after it. */
export type SimulatedPauses = { calm(): void };

type Parts = {
  scheduler: Scheduler;
  numbers: Numbers;
  client: BusClient;
  newId: () => string;
  /** The quests that there are by now. */
  quests: () => string[];
  /** Safe mode refuses asks: only where nobody asks. */
  withSafeMode: boolean;
};

export function openPauses({
  scheduler,
  numbers,
  client,
  newId,
  quests,
  withSafeMode,
}: Parts): SimulatedPauses {
  let stormy = numbers.chance(0.4);
  const scopes = stackScopes.filter((scope) => withSafeMode || scope !== "safe-mode");
  const everyMs = numbers.one([500, 5_000, 20_000]);
  const resume = (scope: PauseScope): Promise<unknown> =>
    insist(client, "resume", { scope }, { id: newId() });
  const paused = new Set<PauseScope>();
  const act = async (): Promise<void> => {
    const scope = numbers.one([...scopes, ...quests(), ...quests()]);
    paused.add(scope);
    await insist(client, "pause", { scope, why: "now" }, { id: newId() });
    await scheduler.pause(numbers.below(2 * everyMs));
    // Now and then it is forgotten until the calm.
    if (numbers.chance(0.8)) await resume(scope);
    if (stormy) scheduler.after(1 + numbers.below(everyMs), () => void act());
    else await resumeAll();
  };
  const resumeAll = async (): Promise<void> => {
    for (const scope of paused) await resume(scope);
  };
  if (stormy) scheduler.after(numbers.below(everyMs), () => void act());
  return {
    calm() {
      stormy = false;
      void resumeAll();
    },
  };
}
