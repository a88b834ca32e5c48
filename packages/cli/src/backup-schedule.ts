import { pause, type Time } from "@questbus/bus";
import { backupTimesMs } from "@questbus/store/place";
import type { Settings } from "./setting.ts";

/** Longest that a timer of Node holds is 24 days; a clock that was set is noticed sooner. */
const timerMsMax = 60_000;
/** After a backup, made or failed: one that fails at once is no storm. */
const restMs = 5_000;

type Schedule = {
  backups: Settings["backups"];
  /** Makes one and forgets those beyond `keep`; false when it failed, and it is tried again. */
  create: () => Promise<boolean>;
  time: Time;
  signal: AbortSignal;
};

/** A backup whenever one is due, until the signal: an interval after the newest, and after the stack came up. */
export async function keepBackups({ backups, create, time, signal }: Schedule): Promise<void> {
  const { dir, everyMs } = backups;
  let sinceMs = time.nowMs();
  while (!signal.aborted) {
    const nowMs = time.nowMs();
    // When the clock was set back, what was made at times that are yet to come would hold up the next for as long.
    sinceMs = Math.min(sinceMs, nowMs);
    const madeMs = backupTimesMs(dir).filter((ms) => ms <= nowMs);
    const waitMs = Math.max(sinceMs, ...madeMs) + everyMs - nowMs;
    if (waitMs <= 0 && (await create())) sinceMs = time.nowMs();
    await pause(time, waitMs > 0 ? Math.min(waitMs, timerMsMax) : restMs, signal);
  }
}
