import { readFileSync, renameSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import { armCrashPoints } from "@questbus/protocol";

/**
 * Loaded by `node --import` into the processes of a stack: ends one with SIGKILL at the crash point that the file
 * QUESTBUS_CRASH_FILE names, as `<point> <n>`, when it gets there for the n-th time. The file is renamed to `….hit` first,
 * so that each order is carried out once.
 */
const file = process.env.QUESTBUS_CRASH_FILE;

function orderIn(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

if (file) {
  // A busy machine would be called unfit, and quests would end before they come by.
  os.loadavg = () => [0, 0, 0];
  syncBuiltinESMExports();
  let order: string | null = null;
  let left = 0;
  armCrashPoints((point) => {
    const now = orderIn(file);
    const [wanted, count] = now?.split(" ") ?? [];
    if (now !== order) {
      order = now;
      left = Number(count);
    }
    if (point !== wanted) return;
    left -= 1;
    if (left > 0) return;
    renameSync(file, `${file}.hit`);
    process.kill(process.pid, "SIGKILL");
  });
}
