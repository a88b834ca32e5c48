import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder and those above it, private to their owner; gives the topmost that was made, or null. Not `recursive`: in
 * Node 24 that never comes back from a path below /proc.
 */
export function makeDir(dir: string): string | null {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return null;
  const above = dirname(dir) === dir ? null : makeDir(dirname(dir));
  try {
    mkdirSync(dir, { mode: 0o700 });
  } catch (error) {
    // Another command may have been quicker.
    if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) throw error;
    return above;
  }
  return above ?? dir;
}

/** Makes what was done to a file or a folder survive a loss of power. */
export function syncPath(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Written beside, synced, renamed: a name never stands for half a content. */
export function writeDurably(path: string, text: string): void {
  const fresh = `${path}.${process.pid}.new`;
  const file = openSync(fresh, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
  syncPath(dirname(path));
}
