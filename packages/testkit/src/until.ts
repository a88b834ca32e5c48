import { setTimeout as delay } from "node:timers/promises";

const everyMs = 10;
const withinMsDefault = 30_000;

/** Looks until `look` gives something other than null, undefined or false; fails after `withinMs`, naming `what`. */
export async function until<T>(
  what: string,
  look: () => T | null | undefined | false,
  withinMs: number = withinMsDefault,
): Promise<T> {
  const endMs = performance.now() + withinMs;
  for (;;) {
    const found = look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > endMs) throw new Error(`waited ${withinMs / 1000} s in vain for ${what}`);
    await delay(everyMs);
  }
}
