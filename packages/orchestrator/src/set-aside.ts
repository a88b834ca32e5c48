import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkpointsDir, type SetAside, setAsideCheckpoints, setAsideLater } from "@questbus/store";

/**
 * What a restore gives up is set aside behind its swap. Until that is done, the folder in which it built the state stays, with
 * a record of what is to do; that the database is no longer in it says that the swap was done. Whoever calls holds the lock.
 */
export type ToSetAside = { seq: number; folders: readonly string[] };
export const recordIn = (fresh: string): string => join(fresh, "set-aside.json");

/** True where the swap was done, and what it gave up may not be set aside yet. */
export const isSwapped = (fresh: string): boolean =>
  existsSync(recordIn(fresh)) && !existsSync(join(fresh, "questbus.db"));

/** Finishes the restores that were begun in a state directory; of one without its swap nothing is left. */
export function settleRestores(dir: string): SetAside[] {
  const begun = readdirSync(dir).filter((name) => /^\.before-restore-\d+$/.test(name));
  return begun.flatMap((name) => {
    const fresh = join(dir, name);
    const done = isSwapped(fresh) ? setAside(dir, fresh, name.slice(1)) : [];
    rmSync(fresh, { recursive: true, force: true });
    return done;
  });
}

function setAside(dir: string, fresh: string, mark: string): SetAside[] {
  const { seq, folders } = JSON.parse(readFileSync(recordIn(fresh), "utf8")) as ToSetAside;
  setAsideCheckpoints(checkpointsDir(dir), seq, mark);
  return folders.flatMap((folder) => setAsideLater(folder, seq, mark) ?? []);
}
