import { existsSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { CrashPoint } from "@questbus/protocol";

/** Ends processes of a stack with SIGKILL at named places, one order at a time. */
export type Crashes = {
  /** What the stack's processes must have in their environment. */
  readonly env: NodeJS.ProcessEnv;
  /** The first process that comes to `point` for the `count`-th time from now on is killed there. */
  order(point: CrashPoint, count: number): void;
  /** True when the last order was carried out. */
  isDone(): boolean;
  /** Takes an order back; true when it was carried out. */
  settle(): boolean;
};

const preload = fileURLToPath(new URL("./crash-preload.ts", import.meta.url));

export function openCrashes(file: string): Crashes {
  return {
    env: { QUESTBUS_CRASH_FILE: file, NODE_OPTIONS: `--import=${preload}` },
    order: (point, count) => writeFileSync(file, `${point} ${count} ${performance.now()}`),
    isDone: () => existsSync(`${file}.hit`),
    settle() {
      const hit = existsSync(`${file}.hit`);
      rmSync(file, { force: true });
      rmSync(`${file}.hit`, { force: true });
      return hit;
    },
  };
}
