import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type Fault, QuestbusError } from "@questbus/protocol";
import { copyDatabase, statePath } from "./database.ts";
import { syncPath, writeDurably } from "./durable.ts";
import { makeDir, segmentsIn, stateArtifacts } from "./place.ts";
import { forgetSegments, lastOfSegments } from "./segment.ts";
import { verifyDatabase } from "./store.ts";

/**
 * Backups: a folder of them, each a copy of the database and its manifest, beside them the artifacts (content by its hash,
 * shared by all) and the segments of the journal.
 *
 * - B1: a backup has its name only when all of it is on the disk, and was opened and checked.
 * - B2: it is made beside a writer, and is the state of one moment.
 * - B3: a manifest says what each file must be; nothing is restored that is not.
 */
export type Manifest = {
  version: 1;
  name: string;
  timeMs: number;
  installation: string;
  schema: number;
  /** The last row of the journal in it, and when that was committed. */
  head: { seq: number; hash: string };
  lastRowMs: number;
  database: { sizeBytes: number; sha256: string };
  /** The artifacts that it needs are the lines of `artifacts.txt`. */
  artifacts: { count: number; sha256: string };
};

/** `dir`: the backup's own folder. */
export type Backup = Manifest & { dir: string };

const artifactsIn = (backups: string): string => join(backups, "artifacts");

const broken = (
  where: string,
  message: string,
  next = "take another one: questbus backup list",
): QuestbusError => new QuestbusError({ code: "BACKUP_BROKEN", message, where, next });

async function hashOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 })) hash.update(chunk);
  return hash.digest("hex");
}

/** Paths of artifacts below `dir`, as `ab/cd…`, in order. */
function artifactPaths(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((folder) => /^[0-9a-f]{2}$/.test(folder))
    .sort()
    .flatMap((folder) =>
      readdirSync(join(dir, folder))
        .filter((name) => /^[0-9a-f]{62}$/.test(name))
        .sort()
        .map((name) => join(folder, name)),
    );
}

/** Copies what `to` lacks; content never changes under its name. */
export function copyArtifacts(
  from: string,
  to: string,
  paths: readonly string[] = artifactPaths(from),
): void {
  const folders = new Set<string>();
  for (const path of paths) {
    const target = join(to, path);
    if (existsSync(target)) continue;
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    // Another backup that is made meanwhile may copy the same one.
    const fresh = `${target}.${process.pid}.new`;
    copyFileSync(join(from, path), fresh, constants.COPYFILE_FICLONE);
    syncPath(fresh);
    renameSync(fresh, target);
    folders.add(dirname(target));
  }
  for (const folder of folders) syncPath(folder);
}

const nameAt = (timeMs: number): string => `b-${new Date(timeMs).toISOString().replace(/[-:.]/g, "")}`;

/** What a process that was killed has begun; a day later nobody works on it any more. */
function removeLeftovers(backups: string, nowMs: number): void {
  for (const name of readdirSync(backups)) {
    const path = join(backups, name);
    if (!/^\.b-.*\.partial$/.test(name) || nowMs - statSync(path).mtimeMs < 86_400_000) continue;
    rmSync(path, { recursive: true, force: true });
  }
}

/** Runs what needs the folder of backups. @throws QuestbusError FILE_UNUSABLE */
function usingFolder<T>(backups: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new QuestbusError({
      code: "FILE_UNUSABLE",
      message: `the folder of backups cannot be used: ${error instanceof Error ? error.message : error}`,
      where: backups,
      next: "name a folder that you may read and write, or one that can be made",
    });
  }
}

/** Makes the folder of one that is being made. */
function beginBackup(backups: string, timeMs: number): string {
  makeDir(backups);
  removeLeftovers(backups, timeMs);
  const partial = join(backups, `.${nameAt(timeMs)}.partial`);
  mkdirSync(partial, { mode: 0o700 });
  return partial;
}

/** A copy that fills the disk takes the room of whoever writes there, again at each try. @throws QuestbusError DISK_FULL */
function assertRoom(backups: string, sizeBytes: number): void {
  const { blocks, bavail, bfree, bsize } = statfsSync(backups);
  // The superuser may use what is reserved; some file systems do not say what they have.
  const freeBytes = (process.getuid?.() === 0 ? bfree : bavail) * bsize;
  if (blocks === 0 || freeBytes > sizeBytes) return;
  const mib = (bytes: number): string => `${Math.ceil(bytes / 1_048_576)} MiB`;
  throw new QuestbusError({
    code: "DISK_FULL",
    message: `there is no room for a backup: it takes ${mib(sizeBytes)}, and ${mib(freeBytes)} are free`,
    where: backups,
    next: "free some space, or keep fewer of them: backup.keep in config.yaml",
  });
}

/**
 * Makes a backup of a state, also while an orchestrator writes it. One that is aborted leaves nothing.
 *
 * @throws QuestbusError STATE_MISSING, FILE_UNUSABLE, DISK_FULL, and what the copy throws
 */
export async function createBackup(
  stateDir: string,
  backups: string,
  { signal, nowMs = Date.now }: { signal?: AbortSignal | undefined; nowMs?: () => number } = {},
): Promise<Backup> {
  const timeMs = nowMs();
  const name = nameAt(timeMs);
  const path = statePath(stateDir);
  const partial = usingFolder(backups, () => beginBackup(backups, timeMs));
  try {
    assertRoom(backups, statSync(path).size);
    const database = join(partial, "questbus.db");
    const copied = await copyDatabase(stateDir, database, signal);
    assertChainHolds(partial);
    syncPath(database);
    // Whoever commits a reference to an artifact has stored it before: the copy comes second.
    const paths = artifactPaths(stateArtifacts(stateDir));
    copyArtifacts(stateArtifacts(stateDir), artifactsIn(backups), paths);
    const list = paths.map((path) => `${path}\n`).join("");
    writeDurably(join(partial, "artifacts.txt"), list);
    const manifest: Manifest = {
      version: 1,
      name,
      timeMs,
      ...copied,
      database: { sizeBytes: statSync(database).size, sha256: await hashOfFile(database) },
      artifacts: { count: paths.length, sha256: createHash("sha256").update(list).digest("hex") },
    };
    writeDurably(join(partial, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    signal?.throwIfAborted();
    const dir = join(backups, name);
    renameSync(partial, dir);
    syncPath(backups);
    return { ...manifest, dir };
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw ofState(error, partial, stateDir);
  }
}

/** What is wrong with the copy is wrong with the state, and the copy is gone. */
function ofState(error: unknown, copy: string, stateDir: string): unknown {
  if (!(error instanceof QuestbusError)) return error;
  const placed = error.faults.map((fault) => ({ ...fault, where: fault.where?.replace(copy, stateDir) }));
  return new QuestbusError(...(placed as [Fault, ...Fault[]]));
}

/** Where the chain ends. @throws QuestbusError AUDIT_BROKEN */
function assertChainHolds(dir: string): Manifest["head"] {
  const chain = verifyDatabase(dir);
  if (chain.ok) return { seq: chain.length, hash: chain.head };
  const [fault] = chain.faults;
  throw new QuestbusError({
    code: "AUDIT_BROKEN",
    message: fault?.what ?? "the journal does not hold",
    where: dir,
    next: "run questbus audit verify, and restore from an earlier one: questbus backup list",
  });
}

/** @throws QuestbusError BACKUP_MISSING, BACKUP_BROKEN */
function readManifest(dir: string): Backup {
  const path = join(dir, "manifest.json");
  if (!existsSync(path)) {
    throw new QuestbusError({
      code: "BACKUP_MISSING",
      message: existsSync(dir)
        ? `${basename(dir)} is no backup: it has no manifest.json`
        : `there is no backup ${basename(dir)}`,
      where: dir,
      next: "list them: questbus backup list",
    });
  }
  try {
    const manifest = JSON.parse(readFileSync(path, "utf8")) as Manifest;
    if (manifest.version !== 1) throw new Error(`its version is ${manifest.version}, and this one reads 1`);
    const { timeMs, lastRowMs, head, database, artifacts } = manifest;
    if (![timeMs, lastRowMs, head?.seq, database?.sizeBytes, artifacts?.count].every(Number.isFinite))
      throw new Error("a part of it is missing");
    return { ...manifest, dir };
  } catch (error) {
    throw broken(path, `the manifest cannot be read: ${error instanceof Error ? error.message : error}`);
  }
}

/** A backup whose manifest is missing or cannot be read. */
export type BrokenBackup = { name: string; dir: string; broken: string };

/** The backups of a folder, oldest first, and those that are none any more. @throws QuestbusError FILE_UNUSABLE */
export function surveyBackups(backups: string): { whole: Backup[]; broken: BrokenBackup[] } {
  const whole: Backup[] = [];
  const broken: BrokenBackup[] = [];
  if (!existsSync(backups)) return { whole, broken };
  for (const name of usingFolder(backups, () => readdirSync(backups)).filter((each) =>
    each.startsWith("b-"),
  )) {
    const dir = join(backups, name);
    try {
      whole.push(readManifest(dir));
    } catch (error) {
      if (!(error instanceof QuestbusError)) throw error;
      broken.push({ name, dir, broken: error.message });
    }
  }
  return { whole: whole.sort((a, b) => a.timeMs - b.timeMs), broken };
}

/** In the order of their rows: a clock may have been set back between two of them. */
const inOrder = (all: readonly Backup[]): Backup[] =>
  all.toSorted((a, b) => a.head.seq - b.head.seq || a.timeMs - b.timeMs);

/** The backups of a folder that can be used. */
const listBackups = (backups: string): Backup[] => surveyBackups(backups).whole;

/**
 * A backup by its name, its folder, or its manifest. A name is one of `backups` before it is a folder here; a path is never
 * taken for one of that name elsewhere.
 */
export function findBackup(backups: string, named: string): Backup {
  const path = basename(named) === "manifest.json" ? dirname(named) : named;
  const own = join(backups, path);
  const isName = path !== "." && path === basename(path);
  return readManifest(isName && (existsSync(own) || !existsSync(path)) ? own : resolve(path));
}

/** What a restore set aside is in a folder below, whose name says when. */
export const setAsideName = (timeMs: number): string => `before-restore-${timeMs}`;
const setAsideMs = (backups: string): number | null => {
  const [, timeMs] = /^before-restore-(\d+)$/.exec(basename(backups)) ?? [];
  return timeMs === undefined ? null : Number(timeMs);
};

/**
 * The backups that the segments of a folder may go on from, oldest first: of one that was set aside, also those that stayed
 * above. Where several installations were kept, those of the one that was kept last.
 */
export function usableBackups(backups: string): Backup[] {
  const untilMs = setAsideMs(backups);
  const stayed =
    untilMs === null ? [] : listBackups(dirname(backups)).filter(({ timeMs }) => timeMs <= untilMs);
  const all = [...stayed, ...listBackups(backups)];
  const last = all.toSorted((a, b) => a.timeMs - b.timeMs).at(-1);
  return inOrder(all.filter(({ installation }) => installation === last?.installation));
}

/** Where the artifacts of a backup are: beside it, or, when it was set aside, where they stayed for all. */
function artifactsOf({ dir }: Backup): string {
  const folder = dirname(dir);
  const own = artifactsIn(folder);
  return setAsideMs(folder) === null || existsSync(own) ? own : artifactsIn(dirname(folder));
}

/**
 * The artifacts of a backup, after every file of it was compared with its manifest, and every artifact with its name.
 *
 * @throws QuestbusError BACKUP_BROKEN
 */
export async function verifyFiles(backup: Backup): Promise<{ artifacts: string; paths: string[] }> {
  const database = join(backup.dir, "questbus.db");
  const found = existsSync(database) ? await hashOfFile(database) : null;
  const next = `move ${backup.dir} away and restore again: an older one and the segments give the same rows; or name one of questbus backup list`;
  if (found !== backup.database.sha256)
    throw broken(
      database,
      found ? "the database is not what its manifest says" : "the database is missing",
      next,
    );
  const listFile = join(backup.dir, "artifacts.txt");
  const list = existsSync(listFile) ? readFileSync(listFile, "utf8") : "";
  if (createHash("sha256").update(list).digest("hex") !== backup.artifacts.sha256)
    throw broken(listFile, "the list of artifacts is not what the manifest says", next);
  const artifacts = artifactsOf(backup);
  const paths = list.split("\n").filter((line) => line !== "");
  for (const path of paths) {
    const file = join(artifacts, path);
    const again = `put it there again, from artifacts/${path} of the state directory if it is whole there; or ${next}`;
    if (!existsSync(file)) throw broken(file, "an artifact is missing", again);
    if ((await hashOfFile(file)) !== path.replace("/", ""))
      throw broken(file, "an artifact was altered", again);
  }
  return { artifacts, paths };
}

/**
 * Every file of a backup as its manifest says, and the chain of its journal with the end that it names.
 *
 * @throws QuestbusError BACKUP_BROKEN, AUDIT_BROKEN
 */
export async function verifyBackup(backup: Backup): Promise<void> {
  await verifyFiles(backup);
  const { seq, hash } = assertChainHolds(backup.dir);
  if (seq === backup.head.seq && hash === backup.head.hash) return;
  const message = `the manifest says row ${backup.head.seq} is the last, and the journal ends otherwise, at row ${seq}`;
  throw broken(join(backup.dir, "manifest.json"), message);
}

/** The backups that segments which a restore set aside go on from: without them nobody could have that state again. */
function neededAside(backups: string): ReadonlySet<string> {
  const asides = readdirSync(backups).filter((name) => setAsideMs(name) !== null);
  const dirs = asides.map((name) => join(backups, name)).filter((dir) => existsSync(segmentsIn(dir)));
  return new Set(dirs.flatMap((dir) => usableBackups(dir).at(-1)?.dir ?? []));
}

/**
 * Removes all but the newest `keep` backups of the installation that `made` is of, and the segments that the oldest one left
 * does not need. What another installation has in the folder is not its to remove, and what was set aside stays whole.
 */
export function forgetBackups({ dir, installation }: Backup, keep: number): string[] {
  const backups = dirname(dir);
  const all = listBackups(backups);
  const own = inOrder(all.filter((each) => each.installation === installation));
  const beyond = Math.max(0, own.length - keep);
  const needed = neededAside(backups);
  const old = own.slice(0, beyond).filter((each) => !needed.has(each.dir));
  for (const each of old) rmSync(each.dir, { recursive: true, force: true });
  const oldest = own[beyond];
  const isAlone = own.length === all.length;
  if (oldest && old.length > 0 && isAlone) forgetSegments(segmentsIn(backups), oldest.head.seq);
  return old.map(({ name }) => name);
}

/** Segments whose end is damaged go on with nothing. */
function lastSeqIn(segments: string): number {
  try {
    return lastOfSegments(segments)?.seq ?? 0;
  } catch (error) {
    if (error instanceof SyntaxError) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

function laterIn(backups: string, seq: number): { later: Backup[]; isPast: boolean } {
  const segments = segmentsIn(backups);
  return {
    later: listBackups(backups).filter(({ head }) => head.seq > seq),
    isPast: existsSync(segments) && lastSeqIn(segments) > seq,
  };
}

/** Tries whether `setAsideLater` will be able to; nothing is changed. @throws QuestbusError FILE_UNUSABLE */
export function assertCanSetAside(backups: string, seq: number, name: string): void {
  const { later, isPast } = laterIn(backups, seq);
  if (later.length === 0 && !isPast) return;
  try {
    const moved = [...later.map(({ dir }) => dir), ...(isPast ? [segmentsIn(backups)] : [])];
    for (const each of moved) accessSync(each, constants.W_OK);
    mkdirSync(join(backups, name), { mode: 0o700 });
    rmdirSync(join(backups, name));
  } catch (error) {
    throw new QuestbusError({
      code: "FILE_UNUSABLE",
      message: `what is later than row ${seq} cannot be set aside in the folder of backups: ${error instanceof Error ? error.message : error}; nothing was changed`,
      where: backups,
      next: "make the folder one that you may write, or name a copy of it with --from, or restore elsewhere with --to",
    });
  }
}

/** What a restore moved out of the way of the journal that goes on: how many backups, and whether segments. */
export type SetAside = { dir: string; backups: number; segments: boolean };

/**
 * After a restore to row `seq`: segments and backups that hold later rows are of a journal that does not go on. They are
 * moved to a folder of their own, so that nobody takes them for this one's; what is in it can be restored from there.
 */
export function setAsideLater(backups: string, seq: number, name: string): SetAside | null {
  const dir = join(backups, name);
  const segments = segmentsIn(backups);
  const { later, isPast } = laterIn(backups, seq);
  if (later.length === 0 && !isPast) return null;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  for (const backup of later) renameSync(backup.dir, join(dir, basename(backup.dir)));
  if (isPast) renameSync(segments, join(dir, "segments"));
  return { dir, backups: later.length, segments: isPast };
}
