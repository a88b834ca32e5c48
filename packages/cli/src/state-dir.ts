import { accessSync, constants, existsSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import { fileInPlaceOf, isKept, makeDir } from "@questbus/store/place";

/**
 * Makes the state directory, invisible to git: it may lie inside the very repository that a quest is about, and must
 * not show up in its status.
 */
export function makeStateDir(stateDir: string): string {
  const dir = resolve(stateDir);
  refuseFile(dir);
  refuseReadOnly(dir);
  try {
    makeDir(dir);
    const ignore = join(dir, ".gitignore");
    if (!existsSync(ignore)) writeFileSync(ignore, "*\n");
  } catch (error) {
    throw unusable(dir, error instanceof Error ? error.message : String(error));
  }
  return dir;
}

const unusable = (dir: string, why: string): QuestbusError =>
  new QuestbusError({
    code: "STATE_UNUSABLE",
    message: `the state directory cannot be used: ${why}`,
    where: dir,
    next: "name a directory that you may write: --state DIR",
  });

/** A file in its place has no state, and never will. @throws QuestbusError STATE_UNUSABLE */
export function refuseFile(dir: string): void {
  const file = fileInPlaceOf(dir);
  if (file) throw unusable(dir, `${file} is a file`);
}

/** One that is there, and must not be written. @throws QuestbusError STATE_UNUSABLE */
export function refuseReadOnly(dir: string): void {
  try {
    if (existsSync(dir)) accessSync(dir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable(dir, error instanceof Error ? error.message : String(error));
  }
}

export const hasState = (dir: string): boolean => existsSync(join(dir, "questbus.db"));

/**
 * A state whose database is gone is not begun anew: its log would be thrown away, its segments be set aside, and its backups
 * taken for older ones of the new state. @throws QuestbusError STATE_MISSING
 */
export function refuseLost(dir: string, backups: string): void {
  if (hasState(dir) || !(isKept(backups) || existsSync(join(dir, "questbus.db-wal")))) return;
  throw new QuestbusError({
    code: "STATE_MISSING",
    message: "the database of this state is gone, and what was kept of it is here",
    where: backups,
    next: "bring it back: questbus backup restore; to begin anew, name another --state DIR, and another folder as backup.to if config.yaml names this one",
  });
}

export const reportsDir = (stateDir: string): string => join(resolve(stateDir), "reports");

/** One a credential: a token must not open another one's door. */
export const mcpTokenPath = (state: string, { role, name }: { role: string; name: string }): string =>
  join(resolve(state), "credentials", `${role}-${name}.mcp-token`);
