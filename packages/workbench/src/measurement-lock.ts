import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onDisk } from "./disk.ts";
import { startTimeOf } from "./process-group.ts";

/** Held: measuring is this caller's until `release`. Or who holds it. */
export type MeasurementLock = { release(): Promise<void> } | { holder: string };

type Claim = { id: string; owner: string; pid: number; start: string };

const attemptsMax = 5;

/**
 * Takes the machine's one right to measure, for `owner`; does not wait. It is a file, and stale once the process that
 * made it is gone.
 * @param dir where the file is; the system's temporary directory by default, so all state directories share it.
 */
export async function takeMeasurementLock(owner: string, dir: string = tmpdir()): Promise<MeasurementLock> {
  const path = join(dir, "questbus-measurement.lock");
  const mine: Claim = { id: randomUUID(), owner, pid: process.pid, start: startTimeOf(process.pid) ?? "" };
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    if (await onDisk(path, () => place(path, mine))) return { release: () => release(path, mine) };
    const held = await readFile(path, "utf8").catch(absentAsNull);
    if (held === null) continue;
    if (held === unreadable) return { holder: "another user of this machine" };
    const claim = parseClaim(held);
    if (claim && startTimeOf(claim.pid) === claim.start) return { holder: claim.owner };
    await removeStale(path, held);
  }
  return { holder: "another process, which is taking it now" };
}

/** Puts the file there whole, or not at all: linking fails where a file already is. */
async function place(path: string, claim: Claim): Promise<boolean> {
  const fresh = `${path}.${claim.id}`;
  try {
    await writeFile(fresh, JSON.stringify(claim), { flag: "wx", mode: 0o600 });
    await link(fresh, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await rm(fresh, { force: true });
  }
}

/** Moves a stale file away, and back again when another caller has replaced it meanwhile. */
async function removeStale(path: string, seen: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  if ((await readFile(path, "utf8").catch(absentAsNull)) !== seen) return;
  await rename(path, aside).catch(absentAsNull);
  const moved = await readFile(aside, "utf8").catch(absentAsNull);
  if (moved !== null && moved !== seen) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function release(path: string, mine: Claim): Promise<void> {
  const held = await readFile(path, "utf8").catch(absentAsNull);
  if (held !== null && parseClaim(held)?.id === mine.id) await rm(path, { force: true });
}

function parseClaim(text: string): Claim | null {
  try {
    const { id, owner, pid, start } = JSON.parse(text) as Partial<Claim>;
    return id && owner && pid && start ? { id, owner, pid, start } : null;
  } catch {
    return null;
  }
}

/** Stands for the content of a file that belongs to another user. */
const unreadable = "\0";

function absentAsNull(error: unknown): null | typeof unreadable {
  if (codeOf(error) === "ENOENT") return null;
  if (codeOf(error) === "EACCES" || codeOf(error) === "EPERM") return unreadable;
  throw error;
}

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : null);
