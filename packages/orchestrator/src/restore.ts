import {
  chmodSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { type JournalEvent, limit, QuestbusError } from "@questbus/protocol";
import {
  assertCanSetAside,
  type Backup,
  copyArtifacts,
  findBackup,
  lockState,
  makeDir,
  openStore,
  type SetAside,
  type Store,
  type StoreReader,
  segmentRows,
  segmentsIn,
  setAsideName,
  stateArtifacts,
  usableBackups,
  verifyFiles,
  verifyJournal,
  writeDurably,
} from "@questbus/store";
import { rememberPast } from "./past-answer.ts";
import { openFollower } from "./replay.ts";
import { auditReplay } from "./replay-share.ts";
import { isSwapped, recordIn, settleRestores, type ToSetAside } from "./set-aside.ts";

/**
 * Restoring: a backup, then the rows of the segments behind it, carried out as they were committed. Every row has to
 * follow from the one before it, so what is restored is the chain that was, or nothing.
 *
 * - R1: the state is built beside, whole and checked; what was there is moved aside, and never removed.
 * - R2: without a backup, segments that begin with the first row are enough.
 * - R3: a state without a row is never put in the place of another.
 * - R4: a command whose rows were restored is answered when it is sent again, as far back as answers are kept.
 */
export type Wanted = {
  /** The folder of backups and segments. */
  from: string;
  /** That backup alone; without it the newest that fits, and the segments behind it. */
  backup?: string | undefined;
  /** Rows that were committed later are left out. */
  atMs?: number | undefined;
};

export type Restored = {
  backup: string | null;
  head: { seq: number; hash: string };
  lastRowMs: number;
  /** Rows that came out of the segments. */
  replayed: number;
};

const rowsPerTransaction = 10_000;

/** The first moment whose state a backup is. */
const momentOf = ({ timeMs, lastRowMs }: Backup): number => Math.max(timeMs, lastRowMs);

function chosen({ from, backup, atMs = Infinity }: Wanted): Backup | null {
  if (backup !== undefined) return findBackup(from, backup);
  return usableBackups(from).findLast((each) => momentOf(each) <= atMs) ?? null;
}

/** The id that stands before the number of a row. */
const installationOf = (row: JournalEvent): string => row.id.slice(0, row.id.lastIndexOf("-"));

/** The first row of the journal, when the segments begin with it. */
function firstRow(from: string): JournalEvent | null {
  const rows = segmentRows(segmentsIn(from), 0);
  const first = rows.next().value;
  rows.return();
  return first?.seq === 1 ? first : null;
}

/** There is no state to restore: nothing was kept, or nothing from that far back. */
function nothingKept({ from, atMs }: Wanted): QuestbusError {
  const first = firstRow(from);
  const moments = usableBackups(from)
    .filter(({ head }) => head.seq > 0)
    .map(momentOf);
  const earliestMs = Math.min(...moments, first?.timeMs ?? Infinity);
  return new QuestbusError({
    code: "BACKUP_MISSING",
    message:
      atMs === undefined
        ? "there is nothing to restore: no backup that holds a row, and no segments that begin with the first one"
        : `nothing that was kept reaches back to ${new Date(atMs).toISOString()}`,
    where: from,
    next: Number.isFinite(earliestMs)
      ? `the earliest moment that can be restored is ${new Date(earliestMs).toISOString()}`
      : "name the folder of the backups: --from DIR",
  });
}

/** Builds the state in the empty folder `to`. */
async function restoreInto(wanted: Wanted, to: string): Promise<Restored> {
  const backup = chosen(wanted);
  const first = backup ? null : firstRow(wanted.from);
  const installation = backup?.installation ?? (first && installationOf(first));
  if (!installation) throw nothingKept(wanted);
  mkdirSync(to, { recursive: true, mode: 0o700 });
  if (backup) {
    const { artifacts, paths } = await verifyFiles(backup);
    copyFileSync(join(backup.dir, "questbus.db"), join(to, "questbus.db"), constants.COPYFILE_FICLONE);
    chmodSync(join(to, "questbus.db"), 0o600);
    copyArtifacts(artifacts, stateArtifacts(to), paths);
  }
  const store = openStore({ dir: to, mode: "write", installation });
  try {
    const replayed = wanted.backup === undefined ? followSegments(store, wanted, backup) : 0;
    const head = store.head();
    if (head.seq === 0) throw nothingKept(wanted);
    const [last] = store.readJournal({ afterSeq: head.seq - 1, limit: 1 });
    return { backup: backup?.name ?? null, head, lastRowMs: last?.timeMs ?? 0, replayed };
  } finally {
    store.close();
  }
}

/** Carries out what stands in the segments behind the store's head, up to the time that is wanted. */
function followSegments(store: Store, { from, atMs = Infinity }: Wanted, backup: Backup | null): number {
  const rows = segmentRows(segmentsIn(from), store.head().seq);
  let done = 0;
  try {
    for (let more = true; more; ) {
      openFollower(store).transact((take, tx) => {
        for (let count = 0; count < rowsPerTransaction; count += 1) {
          const row = rows.next().value;
          more = row !== undefined && row.timeMs <= atMs;
          if (!row || !more) return;
          tx.appendCommitted(row);
          rememberPast(tx, row, take(row));
          done += 1;
        }
        tx.forgetAnswers(tx.head().seq - limit.answersKeptRows, rowsPerTransaction);
      });
    }
  } catch (error) {
    throw error instanceof QuestbusError && error.code === "AUDIT_BROKEN"
      ? segmentsBroken(from, error, backup)
      : error;
  } finally {
    rows.return();
  }
  return done;
}

const segmentsBroken = (from: string, error: QuestbusError, backup: Backup | null): QuestbusError =>
  new QuestbusError({
    code: "BACKUP_BROKEN",
    message: `the segments do not go on from ${backup ? "the backup" : "their first row"}: ${error.message}`,
    where: segmentsIn(from),
    next: backup
      ? `restore that backup alone: questbus backup restore ${backup.name}`
      : "restore to a time before that row: questbus backup restore --at TIME",
  });

/** `aside`: the folder of the database that was there; `setAside`: what was moved in folders of backups. */
export type RestoredState = Restored & { aside: string | null; setAside: readonly SetAside[] };

const replaced = ["questbus.db", "questbus.db-wal", "questbus.db-shm"];

/**
 * Puts a state into `stateDir`, which no orchestrator may be working on. It goes on from there: later checkpoints are set
 * aside, and later backups and segments in the folders `setsAside`. Where they cannot be, nothing is changed.
 */
export async function restoreState(
  wanted: Wanted,
  stateDir: string,
  { setsAside, isNew = false }: { setsAside: readonly string[]; isNew?: boolean },
  nowMs: () => number = Date.now,
): Promise<RestoredState> {
  const dir = resolve(stateDir);
  const made = madeDir(dir, isNew);
  try {
    return await replaceState(wanted, dir, { setsAside, nowMs });
  } catch (error) {
    if (made) rmSync(made, { recursive: true, force: true });
    throw error;
  }
}

/** The topmost folder that had to be made; a new state is its owner's alone. @throws QuestbusError STATE_UNUSABLE */
function madeDir(dir: string, isNew: boolean): string | null {
  try {
    const made = makeDir(dir);
    if (isNew) chmodSync(dir, 0o700);
    return made;
  } catch (error) {
    throw new QuestbusError({
      code: "STATE_UNUSABLE",
      message: `the state directory cannot be used: ${error instanceof Error ? error.message : error}`,
      where: dir,
      next: "name a directory that you may write",
    });
  }
}

async function replaceState(
  wanted: Wanted,
  dir: string,
  { setsAside, nowMs }: { setsAside: readonly string[]; nowMs: () => number },
): Promise<RestoredState> {
  const lock = lockState(dir);
  const mark = setAsideName(nowMs());
  const fresh = join(dir, `.${mark}`);
  const aside = join(dir, mark);
  try {
    settleRestores(dir);
    const restored = await restoreInto(wanted, fresh);
    const { seq } = restored.head;
    for (const folder of setsAside) assertCanSetAside(folder, seq, mark);
    const record: ToSetAside = { seq, folders: setsAside };
    writeDurably(recordIn(fresh), JSON.stringify(record));
    const old = replaced.filter((name) => existsSync(join(dir, name)));
    copyArtifacts(stateArtifacts(fresh), stateArtifacts(dir));
    if (old.length > 0) mkdirSync(aside, { mode: 0o700 });
    for (const name of old) renameSync(join(dir, name), join(aside, name));
    renameSync(join(fresh, "questbus.db"), join(dir, "questbus.db"));
    return { ...restored, aside: old.length > 0 ? aside : null, setAside: settleRestores(dir) };
  } finally {
    if (!isSwapped(fresh)) rmSync(fresh, { recursive: true, force: true });
    lock.release();
  }
}

export type Drill = Restored & {
  /** Rows that the live journal had when the drill began and the restored one has not, and how long the oldest is committed. */
  rowsLost: number;
  rpoMs: number;
  /** From nothing to a state that an orchestrator could open, and from there to one that was verified. */
  restoreMs: number;
  verifyMs: number;
  verdicts: number;
};

/**
 * Restores elsewhere, and checks what comes out: chain, verdicts, and the state that the journal gives, compared row by
 * row. Nothing is left of it.
 *
 * @throws QuestbusError AUDIT_BROKEN, REPLAY_DIFFERS, and what a restore throws
 */
export async function drill(
  wanted: Wanted,
  live: StoreReader | null,
  nowMs: () => number = Date.now,
): Promise<Drill> {
  const head = live?.head() ?? null;
  const startMs = nowMs();
  const tmp = mkdtempSync(join(tmpdir(), "questbus-drill-"));
  try {
    const fromMs = performance.now();
    const restored = await restoreInto(wanted, join(tmp, "state"));
    const restoredMs = performance.now();
    const { verdicts } = await verified(join(tmp, "state"));
    const rowsLost = Math.max(0, (head?.seq ?? 0) - restored.head.seq);
    const [lost] = rowsLost > 0 && live ? live.readJournal({ afterSeq: restored.head.seq, limit: 1 }) : [];
    return {
      ...restored,
      rowsLost,
      rpoMs: lost ? Math.max(0, startMs - lost.timeMs) : 0,
      restoreMs: Math.round(restoredMs - fromMs),
      verifyMs: Math.round(performance.now() - restoredMs),
      verdicts,
    };
  } finally {
    rmSync(tmp, { recursive: true, force: true });
  }
}

/** Checks the state in `dir` as `questbus audit verify` does. */
async function verified(dir: string): Promise<{ verdicts: number }> {
  const store = openStore({ dir, mode: "read" });
  try {
    const chain = verifyJournal(store);
    if (!chain.ok) throw notRestored(dir, chain.faults[0]?.what ?? "the chain does not hold");
  } finally {
    store.close();
  }
  const { verdicts, faults, difference } = await auditReplay(dir);
  const [fault] = faults;
  if (fault) throw notRestored(dir, `row ${fault.seq}: a verdict is not what its evidence gives`);
  if (difference) throw difference;
  return { verdicts };
}

const notRestored = (where: string, message: string): QuestbusError =>
  new QuestbusError({
    code: "AUDIT_BROKEN",
    message,
    where,
    next: "run questbus audit verify on the live state",
  });
