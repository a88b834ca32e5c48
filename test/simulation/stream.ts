import type { JournalStream } from "@questbus/bus";
import type { JournalEvent } from "@questbus/protocol";
import type { Numbers } from "../faults/numbers.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * A journal stream that is worse than JetStream: it stores and says that it did not, stores a part, stores twice what is
 * sent twice. It holds what was published, in the order in which it came.
 */
export type SimulatedStream = {
  readonly rows: JournalEvent[];
  /** As one orchestrator sees it. */
  streamOf(isAlive: () => boolean): JournalStream;
  calm(): void;
};

export function openSimulatedStream(scheduler: Scheduler, numbers: Numbers): SimulatedStream {
  const rows: JournalEvent[] = [];
  let fails = numbers.one([0, 0.05, 0.3]);
  return {
    rows,
    streamOf: (isAlive) => ({
      async publish(given) {
        await scheduler.pause(numbers.below(20));
        if (!isAlive()) return await new Promise<never>(() => {});
        const failed = numbers.chance(fails);
        rows.push(...given.slice(0, failed ? numbers.below(given.length + 1) : given.length));
        await scheduler.pause(numbers.below(20));
        if (!isAlive()) return await new Promise<never>(() => {});
        if (failed) throw new Error("the simulated stream did not answer");
      },
      publishDead: async () => {},
    }),
    calm() {
      fails = 0;
    },
  };
}
