import { existsSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** Where what is kept lies. An entry of its own, so that who starts a stack loads no database for it. */
export const backupsDir = (stateDir: string): string => join(stateDir, "backups");
export const segmentsIn = (backups: string): string => join(backups, "segments");
export const stateArtifacts = (stateDir: string): string => join(stateDir, "artifacts");

/** When the backups of a folder were complete, whatever is in them; none where it cannot be read. */
export function backupTimesMs(backups: string): number[] {
  try {
    return readdirSync(backups)
      .filter((name) => name.startsWith("b-"))
      .map((name) => statSync(join(backups, name, "manifest.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0);
  } catch {
    return [];
  }
}

/** True when backups or segments of a journal are there. */
export const isKept = (backups: string): boolean =>
  backupTimesMs(backups).length > 0 ||
  (existsSync(segmentsIn(backups)) && readdirSync(segmentsIn(backups)).length > 0);

/** The file that stands where `dir`, or a folder above it, would be; null without one. */
export function fileInPlaceOf(dir: string): string | null {
  const found = statSync(dir, { throwIfNoEntry: false });
  if (found) return found.isDirectory() ? null : dir;
  return dirname(dir) === dir ? null : fileInPlaceOf(dirname(dir));
}

/**
 * Makes a folder and those above it, private to their owner; gives the topmost that was made, or null. Not `recursive`: in
 * Node 24 that never comes back from a path below /proc.
 */
export function makeDir(dir: string): string | null {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return null;
  const file = fileInPlaceOf(dir);
  if (file) throw new Error(`${file} is a file`);
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
