import { existsSync, readdirSync, statSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname, resolve } from "node:path";
import { nodeDir } from "@questbus/bus";
import { drill, type Restored, restoreState } from "@questbus/orchestrator";
import { exitCode, type Fault, plural, QuestbusError } from "@questbus/protocol";
import {
  type Backup,
  createBackup,
  fileInPlaceOf,
  findBackup,
  forgetBackups,
  openStore,
  type SetAside,
  type StoreReader,
  surveyBackups,
  verifyBackup,
} from "@questbus/store";
import { findCluster } from "./cluster.ts";
import type { Common } from "./command-run.ts";
import { stateOption } from "./explain/words.ts";
import { ago, paint, printData, printJson, table } from "./output.ts";
import { readSettings } from "./setting.ts";
import { refuseRunning } from "./stack-record.ts";
import { hasState, makeStateDir, refuseFile, refuseReadOnly } from "./state-dir.ts";

/** The folder that was named, or the one of the settings. */
async function folderOf(common: Common, named: string | undefined): Promise<string> {
  refuseFile(resolve(common.state));
  const cluster = findCluster(common.state);
  if (cluster) {
    const node = nodeDir(common.state, cluster.nodes[0] as string);
    throw new QuestbusError({
      code: "USAGE",
      message: "in a cluster each node has a database and backups of its own",
      where: resolve(common.state),
      next: `name a node, as --state ${node}`,
    });
  }
  return named === undefined ? (await readSettings(common.state)).backups.dir : resolve(named);
}

/** The folder to read backups from; one that was named has to be there. @throws QuestbusError */
async function givenFolder(common: Common, from: string | undefined): Promise<string> {
  const dir = await folderOf(common, from);
  if (from === undefined) return dir;
  const file = fileInPlaceOf(dir);
  if (file === null && existsSync(dir)) return dir;
  throw new QuestbusError({
    code: file ? "FILE_UNUSABLE" : "BACKUP_MISSING",
    message: file ? `${file} is a file, and no folder of backups` : "there is no such folder of backups",
    where: dir,
    next: "check --from DIR, or leave it out for the folder of the settings",
  });
}

const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(1)} MiB`;
const timeText = (ms: number): string => new Date(ms).toISOString();

const shown = ({
  name,
  dir,
  timeMs,
  head,
  lastRowMs,
  database,
  artifacts,
  installation,
  schema,
}: Backup) => ({
  name,
  dir,
  time: timeText(timeMs),
  installation,
  schema,
  head,
  lastRow: timeText(lastRowMs),
  sizeBytes: database.sizeBytes,
  artifacts: artifacts.count,
});

/** `questbus backup create`: beside a running stack or without one. */
export async function makeBackup(
  { to, keep }: { to?: string | undefined; keep?: number | undefined },
  common: Common,
): Promise<number> {
  // One that a stack has started ends with it, and gives way to what is measured.
  process.once("disconnect", () => process.exit(exitCode.failure));
  // Who listens to its parent is kept alive by it, and the next backup would wait for the end of this one for ever.
  process.channel?.unref();
  setPriority(19);
  const folder = await folderOf(common, to);
  const backup = await inGiven(to, common, () =>
    createBackup(resolve(common.state), folder, { signal: common.signal }),
  );
  const removed = keep === undefined ? [] : forgetBackups(backup, keep);
  if (common.json) printJson({ ...shown(backup), removed });
  else {
    const { name, head, database, artifacts } = backup;
    printData(
      `backup ${name}: ${plural(head.seq, "row")}, ${mib(database.sizeBytes)}, ${artifacts.count} artifacts, checked; in ${backup.dir}`,
      ...(removed.length > 0 ? [`removed, older than the newest ${keep}: ${removed.join(", ")}`] : []),
    );
  }
  return exitCode.ok;
}

/** `questbus backup list` */
export async function showBackups({ from }: { from?: string | undefined }, common: Common): Promise<number> {
  const { whole, broken } = surveyBackups(await givenFolder(common, from));
  const backups = whole.toReversed();
  if (common.json) printJson([...backups.map(shown), ...broken]);
  else if (backups.length + broken.length === 0)
    printData(
      from === undefined
        ? `there is no backup yet: questbus backup create${stateOption(common.state)}`
        : "there is no backup in this folder",
    );
  else {
    const rows = backups.map(({ name, timeMs, head, database }) => [
      name,
      ago(timeMs, Date.now()),
      `${head.seq}`,
      mib(database.sizeBytes),
    ]);
    const marked = broken.map((each) => [each.name, "-", "-", `broken: ${each.broken}`]);
    printData(...table(["backup", "made", "rows", "size"], [...rows, ...marked]));
  }
  return exitCode.ok;
}

/** Runs `work`; the list that its errors name is that of the folder and the state that were given. */
async function inGiven<T>(
  from: string | undefined,
  common: Common,
  work: () => T | Promise<T>,
): Promise<Awaited<T>> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    const list = "questbus backup list";
    const given = `${list}${from === undefined ? "" : ` --from ${from}`}${stateOption(common.state)}`;
    const [first = error.faults[0] as Fault, ...rest] = error.faults.map((fault) => ({
      ...fault,
      next: fault.next?.replace(list, given),
    }));
    throw new QuestbusError(first, ...rest);
  }
}

/** `questbus backup verify BACKUP` */
export async function checkBackup(
  named: string,
  { from }: { from?: string | undefined },
  common: Common,
): Promise<number> {
  const backup = await inGiven(from, common, async () => {
    const found = findBackup(await givenFolder(common, from), named);
    await verifyBackup(found);
    return found;
  });
  if (common.json) printJson({ ok: true, ...shown(backup) });
  else
    printData(paint("green", `backup ${backup.name} is whole: ${backup.head.seq} rows, every file and hash`));
  return exitCode.ok;
}

export type RestoreOptions = { at?: string | undefined; from?: string | undefined; to?: string | undefined };

const momentForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/;

/** A moment with its time and zone; without them it could mean several. @throws QuestbusError USAGE */
function momentOf(text: string): number {
  const ms = momentForm.test(text) ? Date.parse(text) : Number.NaN;
  // Of a day that its month has not, JavaScript makes one of the next month.
  const [day = ""] = text.split("T");
  if (Number.isFinite(ms) && new Date(Date.parse(day)).toISOString().startsWith(day)) return ms;
  throw new QuestbusError({
    code: "USAGE",
    message: `--at ${text} is no moment: a date, a time and a zone are`,
    next: "write it as 2026-11-21T18:00:00Z, or 2026-11-21T18:00:00+01:00",
  });
}

async function wantedOf(named: string | undefined, { at, from }: RestoreOptions, common: Common) {
  if (named !== undefined && at !== undefined) {
    throw new QuestbusError({
      code: "USAGE",
      message: "name a backup or a time, not both",
      next: "leave one of them out; with neither, all that was kept is restored",
    });
  }
  return {
    from: await givenFolder(common, from),
    backup: named,
    atMs: at === undefined ? undefined : momentOf(at),
  };
}

const restoredText = ({ backup, replayed, head, lastRowMs }: Restored): string =>
  `${head.seq} rows, the last of ${timeText(lastRowMs)}: ${backup ?? "no backup"}, and ${plural(replayed, "row")} from the segments`;

function setAsideLines({ dir, backups, segments }: SetAside): string[] {
  const moved = [
    ...(backups > 0 ? [plural(backups, "later backup")] : []),
    ...(segments ? ["the segments"] : []),
  ];
  return [
    `moved aside, with all that was given up: ${moved.join(" and ")}, in ${dir}`,
    `to have that state again: questbus backup restore --from ${dir} --to OTHER-STATE`,
  ];
}

/** A state is brought back to where nothing is: beside other files it would hide them from git, and mix with them. */
function assertEmpty(dir: string): void {
  if (!existsSync(dir) || (statSync(dir).isDirectory() && readdirSync(dir).length === 0)) return;
  throw new QuestbusError({
    code: "FILE_EXISTS",
    message: hasState(dir) ? "there is a state in this directory already" : "there is something else already",
    where: dir,
    next: "name an empty directory, or leave --to out to put the state that is there aside",
  });
}

/** The folder is another state's, which goes on with it: none of it may be moved. */
function isOfOther(backups: string, stateDir: string): boolean {
  if (backups === stateDir) return false;
  return hasState(backups) || (dirname(backups) !== backups && isOfOther(dirname(backups), stateDir));
}

/** `questbus backup restore [BACKUP]`: into the state directory, or into another one that has no state yet. */
export async function restoreBackup(
  named: string | undefined,
  options: RestoreOptions,
  common: Common,
): Promise<number> {
  const to = options.to === undefined ? common.state : options.to;
  if (options.to !== undefined) assertEmpty(resolve(to));
  refuseFile(resolve(to));
  refuseReadOnly(resolve(to));
  refuseRunning(resolve(to));
  const wanted = await wantedOf(named, options, common);
  // Restored from another folder: the state's own has later rows, too, and is the one that is restored from next.
  const folders = options.to !== undefined ? [] : [wanted.from, await folderOf(common, undefined)];
  const setsAside = [...new Set(folders)].filter((each) => !isOfOther(each, resolve(to)));
  const isNew = !setsAside.includes(wanted.from);
  const restored = await inGiven(options.from, common, () => restoreState(wanted, to, { setsAside, isNew }));
  makeStateDir(to);
  const { aside, setAside: moved } = restored;
  const [setAside = null] = moved;
  if (common.json)
    printJson({ ...restored, setAside, lastRow: timeText(restored.lastRowMs), to: resolve(to) });
  else {
    printData(paint("green", `restored ${restoredText(restored)}`));
    if (aside) printData(`the database that was there before: ${aside}`);
    printData(...moved.flatMap(setAsideLines));
  }
  return exitCode.ok;
}

/** The live state, where it can be read. */
function liveOf(common: Common): StoreReader | null {
  try {
    return openStore({ dir: resolve(common.state), mode: "read" });
  } catch (error) {
    if (error instanceof QuestbusError) return null;
    throw error;
  }
}

/** `questbus backup drill`: what a disaster now would cost, found out without one. */
export async function drillBackup(options: RestoreOptions, common: Common): Promise<number> {
  refuseFile(resolve(common.state));
  if (options.from === undefined && !existsSync(resolve(common.state)))
    throw new QuestbusError({
      code: "STATE_MISSING",
      message: "there is no state directory here",
      where: resolve(common.state),
      next: "check --state DIR, or name the folder of the backups: --from DIR",
    });
  const live = liveOf(common);
  try {
    const done = await inGiven(options.from, common, async () =>
      drill(await wantedOf(undefined, options, common), live),
    );
    const unknown = live ? {} : { rowsLost: null, rpoMs: null };
    if (common.json) printJson({ ok: true, ...done, ...unknown, lastRow: timeText(done.lastRowMs) });
    else {
      const rows = `${plural(done.rowsLost, "row")} ${options.at === undefined ? "committed and not kept yet" : "committed after that moment"}`;
      const lost = live
        ? `RPO ${(done.rpoMs / 1_000).toFixed(2)} s (${rows})`
        : "RPO unknown (no live state that can be read)";
      printData(paint("green", `restored elsewhere and verified: ${restoredText(done)}`));
      printData(
        `${lost}, RTO ${(done.restoreMs / 1_000).toFixed(2)} s, verified in ${(done.verifyMs / 1_000).toFixed(2)} s (${plural(done.verdicts, "verdict")})`,
      );
    }
    return exitCode.ok;
  } finally {
    live?.close();
  }
}
