import { createHash } from "node:crypto";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openStore } from "@questbus/store";
import {
  type BareStack,
  openPlace,
  type Place,
  questbus,
  startBareStack,
  tamper,
  until,
} from "@questbus/testkit";
import { submission } from "@questbus/testkit/scripted-report";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { expectClearError, expectFault, faultsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** What is kept outside of the database brings it back, and shows what was done to it: real broker, orchestrator and files. */

let place: Place;
let lived: string;
/** Rows and time when the first backup was made, and when the stack ended. */
const moments = { backup: 0, between: "", betweenRows: 0, end: 0 };

const cli = (dir: string, ...args: string[]) => questbus(place, [...args, "--state", dir, "--json"]);
const json = async (dir: string, ...args: string[]) => {
  const done = await cli(dir, ...args);
  expect(done.exit, done.stderr).toBe(0);
  return JSON.parse(done.stdout);
};
const rowsOf = (dir: string): number => {
  const store = openStore({ dir, mode: "read" });
  try {
    return store.head().seq;
  } finally {
    store.close();
  }
};
const segmentText = (dir: string): string =>
  readdirSync(join(dir, "backups/segments"))
    .sort()
    .map((name) => readFileSync(join(dir, "backups/segments", name), "utf8"))
    .join("");

async function submitMany(stack: BareStack, count: number): Promise<void> {
  const operator = await stack.clientAs("operator");
  for (let at = 0; at < count; at += 1) {
    const title = `Quest ${process.hrtime.bigint()}`;
    const { quest } = (await operator.request("submit", submission({ title }))) as { quest: string };
    await operator.request("cancel", { quest, reason: "enough" });
  }
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

let copies = 0;
/** A copy of the state as it was when the stack ended. */
function copied(): string {
  copies += 1;
  const dir = place.path(`copy-${copies}`);
  cpSync(lived, dir, { recursive: true });
  return dir;
}

/** As if the rows up to the first backup had been forgotten. */
function dropFirstSegmentRows(backups: string): void {
  const [name = ""] = readdirSync(join(backups, "segments"));
  const path = join(backups, "segments", name);
  const lines = readFileSync(path, "utf8").split("\n").slice(moments.backup);
  rmSync(path);
  const first = String(moments.backup + 1).padStart(15, "0");
  writeFileSync(join(backups, "segments", `${first}.jsonl`), lines.join("\n"));
}

beforeAll(async () => {
  place = openPlace("backup");
  lived = place.path("state");
  mkdirSync(join(lived, "artifacts/ab"), { recursive: true });
  const stack = await startBareStack(lived);
  await submitMany(stack, 5);
  const made = await json(lived, "backup", "create");
  moments.backup = made.head.seq;
  await submitMany(stack, 5);
  moments.betweenRows = rowsOf(lived);
  moments.between = new Date().toISOString();
  await until("the clock to go on", () => new Date().toISOString() !== moments.between);
  await submitMany(stack, 5);
  await stack.stop();
  moments.end = rowsOf(lived);
});
afterAll(() => place.close());

test("the segments hold every row that was committed, and the journal is signed to its end", async () => {
  expect(segmentText(lived).trim().split("\n").length).toBe(moments.end);
  expect(await json(lived, "audit", "verify")).toMatchObject({
    length: moments.end,
    checkpoints: { upTo: moments.end },
  });
  expect(await json(lived, "backup", "list")).toMatchObject([{ head: { seq: moments.backup } }]);
});

test("a drill restores elsewhere, and says what would be lost", async () => {
  expect(await json(lived, "backup", "drill")).toMatchObject({
    ok: true,
    head: { seq: moments.end },
    replayed: moments.end - moments.backup,
    rowsLost: 0,
    rpoMs: 0,
  });
  expect(place.leftInTmp()).toEqual([]);
});

test("the orchestrator is killed: what was answered a second ago is in the segments", async () => {
  const dir = place.path("killed");
  mkdirSync(dir);
  const stack = await startBareStack(dir);
  // Nobody is served before the archive is at work: a thread takes seconds to start on a busy machine.
  expect(existsSync(join(dir, "backups/segments"))).toBe(true);
  await submitMany(stack, 20);
  const rows = rowsOf(dir);
  const answeredMs = performance.now();
  await until(
    "the segments to have them",
    () => existsSync(join(dir, "backups/segments")) && segmentText(dir).split("\n").length > rows,
  );
  expect(performance.now() - answeredMs).toBeLessThan(1_000);
  await stack.stop();
});

describe("restore", () => {
  test.each([
    ["all that was kept", [], () => moments.end],
    ["the state of a moment", ["--at", "MOMENT"], () => moments.betweenRows],
  ])("%s; it goes on from there, and verifies", async (_, args, rows) => {
    const dir = copied();
    for (const name of ["questbus.db", "questbus.db-wal", "questbus.db-shm"])
      rmSync(join(dir, name), { force: true });
    const given = args.map((each) => (each === "MOMENT" ? moments.between : each));
    expect(await json(dir, "backup", "restore", ...given)).toMatchObject({ head: { seq: rows() } });
    expect(await json(dir, "audit", "verify")).toMatchObject({ length: rows() });
    const stack = await startBareStack(dir);
    await submitMany(stack, 1);
    await stack.stop();
    expect(await json(dir, "audit", "verify")).toMatchObject({ length: rowsOf(dir) });
    expect(await json(dir, "backup", "drill")).toMatchObject({ head: { seq: rowsOf(dir) }, rowsLost: 0 });
  });

  test("one backup by its name, elsewhere; the one here stays as it is", async () => {
    const dir = copied();
    const [{ name }] = await json(dir, "backup", "list");
    const to = place.path(`to-${copies}`);
    expect(await json(dir, "backup", "restore", name, "--to", to)).toMatchObject({
      head: { seq: moments.backup },
      replayed: 0,
    });
    expect(rowsOf(to)).toBe(moments.backup);
    expect(rowsOf(dir)).toBe(moments.end);
    expectClearError(
      await questbus(place, ["backup", "restore", name, "--to", to, "--state", dir]),
      "FILE_EXISTS",
      5,
    );
    const own = place.path(`own-${copies}`);
    mkdirSync(own);
    writeFileSync(join(own, "notes.txt"), "mine");
    const beside = await questbus(place, ["backup", "restore", name, "--to", own, "--state", dir]);
    expectClearError(beside, "FILE_EXISTS", 5);
    expect(readdirSync(own)).toEqual(["notes.txt"]);
  });

  test("whatever the backup and the folder allowed others to read, what is restored is its owner's alone", async () => {
    const dir = copied();
    const [{ dir: backup }] = await json(dir, "backup", "list");
    expect(modeOf(join(backup, "questbus.db"))).toBe("600");
    chmodSync(join(backup, "questbus.db"), 0o644);
    const to = place.path(`private-${copies}`);
    mkdirSync(to);
    chmodSync(to, 0o755);
    await json(dir, "backup", "restore", "--to", to);
    expect([modeOf(to), modeOf(join(to, "questbus.db"))]).toEqual(["700", "600"]);
  });

  test("segments alone are enough where they begin with the first row", async () => {
    const dir = copied();
    const [{ dir: backup }] = await json(dir, "backup", "list");
    rmSync(backup, { recursive: true });
    rmSync(join(dir, "questbus.db"));
    expect(await json(dir, "backup", "restore")).toMatchObject({ backup: null, head: { seq: moments.end } });
    expect(await json(dir, "audit", "verify")).toMatchObject({ length: moments.end });
  });

  test("a torn page is found at the start, and the way out works", async () => {
    const dir = copied();
    const path = join(dir, "questbus.db");
    const bytes = readFileSync(path);
    const at = bytes.indexOf('"quest.submitted"') > 0 ? bytes.indexOf("quest.submitted") : 40_960;
    bytes.fill(0, at - (at % 4_096), at - (at % 4_096) + 1_024);
    writeFileSync(path, bytes);
    const up = await questbus(place, ["up", "--state", dir]);
    expect(up.exit).toBe(1);
    expect(up.stderr).toContain("questbus backup restore");
    writeFileSync(path, "X", { flag: "r+" });
    const doctor = await questbus(place, ["doctor", "--state", dir]);
    expect(doctor.exit).toBe(1);
    expect((await questbus(place, ["backup", "drill", "--state", dir])).stdout).toContain("RPO unknown");
    expect(doctor.stdout).toMatch(/✗ state +.*not a database.*questbus backup restore/);
    await json(dir, "backup", "restore");
    expect(await json(dir, "audit", "verify")).toMatchObject({ length: moments.end });
  });

  test.each([
    ["later backups and segments", true],
    ["segments alone, with the backup that stayed", false],
  ])("what was set aside can be verified and restored: %s", async (_, backsUp) => {
    const dir = copied();
    const sha256 = createHash("sha256").update("kept").digest("hex");
    mkdirSync(join(dir, "artifacts", sha256.slice(0, 2)), { recursive: true });
    writeFileSync(join(dir, "artifacts", sha256.slice(0, 2), sha256.slice(2)), "kept");
    const later = backsUp ? await json(dir, "backup", "create") : null;
    const { setAside } = await json(dir, "backup", "restore", "--at", moments.between);
    expect(setAside).toMatchObject({ backups: backsUp ? 1 : 0, segments: true });
    if (later) await json(dir, "backup", "verify", later.name, "--from", setAside.dir);
    else dropFirstSegmentRows(setAside.dir);
    const to = place.path(`again-${copies}`);
    const again = await json(dir, "backup", "restore", "--from", setAside.dir, "--to", to);
    expect(again.head.seq).toBe(moments.end);
    expect(await json(to, "audit", "verify")).toMatchObject({ length: moments.end });
  });

  test("what another state has is not moved when it is restored from, and a drill to a moment counts nothing as lost", async () => {
    const dir = copied();
    const to = place.path(`other-${copies}`);
    const from = join(dir, "backups");
    const before = readdirSync(from);
    const { setAside, head } = await json(to, "backup", "restore", "--from", from, "--at", moments.between);
    expect({ setAside, seq: head.seq }).toEqual({ setAside: null, seq: moments.betweenRows });
    expect(readdirSync(from)).toEqual(before);
    const args = ["backup", "drill", "--at", moments.between, "--state", dir];
    expect((await questbus(place, args)).stdout).toContain("committed after that moment");
  });

  test("in place to an earlier moment, and in place back again; it goes on from there", async () => {
    const dir = copied();
    const { setAside } = await json(dir, "backup", "restore", "--at", moments.between);
    expect(rowsOf(dir)).toBe(moments.betweenRows);
    await json(dir, "backup", "restore", "--from", setAside.dir);
    expect(await json(dir, "audit", "verify")).toMatchObject({ length: moments.end });
    const stack = await startBareStack(dir);
    await submitMany(stack, 1);
    await stack.stop();
    expect(segmentText(dir).trim().split("\n")).toHaveLength(rowsOf(dir));
    expect(await json(dir, "backup", "drill")).toMatchObject({ head: { seq: rowsOf(dir) }, rowsLost: 0 });
  });

  test("a moment before all that was kept is refused, with the earliest there is; nothing is touched", async () => {
    const dir = copied();
    const before = readdirSync(dir);
    const store = openStore({ dir, mode: "read" });
    const [first] = store.readJournal({ limit: 1 });
    store.close();
    const done = await cli(dir, "backup", "restore", "--at", "2020-01-01T00:00:00Z");
    expectFault(done, "BACKUP_MISSING", 3);
    expect(faultsOf(done)[0]?.next).toContain(new Date(first?.timeMs ?? 0).toISOString());
    expect(readdirSync(dir)).toEqual(before);
    expect(rowsOf(dir)).toBe(moments.end);
  });

  test.each(["2026-11-21", "2026-11-21T18:00:00", "2026-02-30T18:00:00Z", "1 2"])(
    "--at %s, which is no moment, is refused",
    async (at) => {
      const done = await cli(lived, "backup", "restore", "--at", at, "--to", place.path("never"));
      expectFault(done, "USAGE", 2);
      expect(existsSync(place.path("never"))).toBe(false);
    },
  );

  test("while a stack works on the state it is refused", async () => {
    const dir = copied();
    const stack = await startBareStack(dir);
    expectClearError(await questbus(place, ["backup", "restore", "--state", dir]), "STATE_LOCKED", 5);
    await stack.stop();
  });
});

describe("what was altered is not restored", () => {
  test.each([
    ["the database", "questbus.db"],
    ["the list of artifacts", "artifacts.txt"],
  ])("%s of a backup: BACKUP_BROKEN", async (_, file) => {
    const dir = copied();
    const [backup] = await json(dir, "backup", "list");
    writeFileSync(join(backup.dir, file), "x", { flag: "a" });
    expectClearError(
      await questbus(place, ["backup", "verify", backup.name, "--state", dir]),
      "BACKUP_BROKEN",
      1,
    );
    expectClearError(await questbus(place, ["backup", "restore", "--state", dir]), "BACKUP_BROKEN", 1);
    expect(rowsOf(dir)).toBe(moments.end);
  });

  test("a row of a segment: BACKUP_BROKEN, and the row is named", async () => {
    const dir = copied();
    const [name] = readdirSync(join(dir, "backups/segments"));
    const path = join(dir, "backups/segments", name ?? "");
    const lines = readFileSync(path, "utf8").split("\n");
    lines[moments.backup] = (lines[moments.backup] ?? "")
      .replace("enough", "Enough")
      .replace("Quest ", "QUEST ");
    writeFileSync(path, lines.join("\n"));
    const done = await cli(dir, "backup", "restore");
    expect(faultsOf(done)).toMatchObject([{ code: "BACKUP_BROKEN" }]);
    expect(faultsOf(done)[0]?.message).toContain(`row ${moments.backup + 1}`);
  });
});

describe("checkpoints show what a chain in order does not", () => {
  test("the last rows cut off, with the head moved", async () => {
    const dir = copied();
    tamper(dir, "DELETE FROM journal WHERE seq > ?", moments.end - 3);
    tamper(dir, "UPDATE head SET (seq, hash) = (SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1)");
    const done = await cli(dir, "audit", "verify");
    expect(done.exit).toBe(1);
    expect(faultsOf(done)[0]?.message).toContain(`rows ${moments.end - 2} to ${moments.end} are missing`);
  });

  test("the whole journal of another life under the same id", async () => {
    const dir = copied();
    const before = openStore({ dir, mode: "read" });
    const { installation } = before;
    const events = before.readJournal({ limit: 10_000 });
    before.close();
    rmSync(join(dir, "questbus.db"));
    rmSync(join(dir, "questbus.db-wal"), { force: true });
    const forged = openStore({ dir, mode: "write", installation });
    forged.transact((tx) => {
      for (const event of events) tx.append([event], { timeMs: event.timeMs + 1, command: event.command });
    });
    forged.close();
    const done = await cli(dir, "audit", "verify");
    expect(faultsOf(done)[0]?.message).toContain("written anew");
  });

  test("a named folder without any is no proof: CHECKPOINT_MISSING; else it says how many came from there", async () => {
    const own = join(lived, "checkpoints");
    const empty = place.path("no-checkpoints");
    mkdirSync(empty);
    for (const dir of [place.path("nowhere"), empty])
      expectFault(await cli(lived, "audit", "verify", "--checkpoints", dir), "CHECKPOINT_MISSING", 3);
    writeFileSync(join(empty, "verifier-key"), readFileSync(join(own, "verifier-key")));
    expectFault(await cli(lived, "audit", "verify", "--checkpoints", empty), "CHECKPOINT_MISSING", 3);
    const other = place.path("kept-checkpoints");
    cpSync(own, other, { recursive: true });
    const kept = readdirSync(other).filter((name) => name.endsWith(".checkpoint")).length;
    expect(await json(lived, "audit", "verify", "--checkpoints", other)).toMatchObject({
      checkpoints: { named: kept, count: 2 * kept },
    });
  });

  test("a checkpoint that somebody else signed", async () => {
    const dir = copied();
    const [name] = readdirSync(join(dir, "checkpoints")).filter((each) => each.endsWith(".checkpoint"));
    const path = join(dir, "checkpoints", name ?? "");
    writeFileSync(path, readFileSync(path, "utf8").replace(/[A-Za-z0-9+/]{8}==?\n$/, "AAAAAAAA=\n"));
    const done = await cli(dir, "audit", "verify");
    expect(faultsOf(done)[0]?.message).toContain("was not signed");
  });
});

describe("a folder that is none", () => {
  test.each(["/proc/nope", "FILE"])("backup create --to %s: FILE_UNUSABLE, at once", async (to) => {
    const file = place.path("plain-file");
    writeFileSync(file, "");
    expectFault(await cli(lived, "backup", "create", "--to", to.replace("FILE", file)), "FILE_UNUSABLE", 2);
  });

  test.each([
    ["list", []],
    ["verify", ["b-1"]],
    ["restore", ["--to", "never"]],
    ["drill", []],
  ])("backup %s --from one that is not there, or a file: what it is, and which", async (verb, args) => {
    const none = place.path("none");
    const file = place.path("plain-file");
    writeFileSync(file, "");
    const missing = await cli(lived, "backup", verb, ...args, "--from", none);
    expectFault(missing, "BACKUP_MISSING", 3);
    expect(faultsOf(missing)).toMatchObject([{ message: "there is no such folder of backups", where: none }]);
    for (const dir of [file, `${file}/below`]) {
      const wrong = await cli(lived, "backup", verb, ...args, "--from", dir);
      expectFault(wrong, "FILE_UNUSABLE", 2);
      expect(faultsOf(wrong)).toMatchObject([{ message: expect.stringContaining(`${file} is a file`) }]);
    }
    expect(existsSync(place.path("never"))).toBe(false);
  });

  test.each([
    ["backup", "create"],
    ["backup", "list"],
    ["backup", "restore"],
    ["backup", "drill"],
    ["up"],
    ["list"],
  ])("%s %s of a state that is a file, or below one: STATE_UNUSABLE", async (...args) => {
    const file = place.path("plain-file");
    writeFileSync(file, "");
    for (const dir of [file, `${file}/below`]) {
      const wrong = await cli(dir, ...args);
      expectFault(wrong, "STATE_UNUSABLE", 2);
      expect(faultsOf(wrong)).toMatchObject([{ message: expect.stringContaining(`${file} is a file`) }]);
    }
  });

  test("a state that is not there: create and drill say so, and leave nothing behind", async () => {
    const none = place.path("none");
    expectFault(await cli(none, "backup", "drill"), "STATE_MISSING", 3);
    expectFault(await cli(none, "backup", "create"), "STATE_MISSING", 3);
    expectFault(await cli(none, "backup", "create", "--to", place.path("none-kept")), "STATE_MISSING", 3);
    expect([existsSync(none), existsSync(place.path("none-kept"))]).toEqual([false, false]);
  });
});

test("one broken manifest: the others are listed, and this one as broken", async () => {
  const dir = copied();
  const [{ name }] = await json(dir, "backup", "list");
  for (const [other, text] of [
    ["b-1", "{"],
    ["b-2", '{"version":1}'],
  ] as const) {
    mkdirSync(join(dir, "backups", other));
    writeFileSync(join(dir, "backups", other, "manifest.json"), text);
  }
  expect(await json(dir, "backup", "list")).toMatchObject([
    { name },
    { name: "b-1", broken: expect.stringContaining("cannot be read") },
    { name: "b-2", broken: expect.stringContaining("cannot be read") },
  ]);
  expectFault(await cli(dir, "backup", "verify", "b-1"), "BACKUP_BROKEN", 1);
});

test("a restore that failed leaves nothing of the directory it made; one that did not hides it from git", async () => {
  const to = place.path("deep/er/state");
  const missing = await cli(lived, "backup", "restore", "b-none", "--to", to);
  expectFault(missing, "BACKUP_MISSING", 3);
  expect(faultsOf(missing)[0]?.next).toContain(`questbus backup list --state ${lived}`);
  expect(existsSync(place.path("deep"))).toBe(false);
  await json(lived, "backup", "restore", "--to", to);
  expect(readFileSync(join(to, ".gitignore"), "utf8")).toBe("*\n");
});

test("config.yaml names other folders; a mistake in it is told with its place", async () => {
  const dir = copied();
  writeFileSync(join(dir, "config.yaml"), "backup:\n  to: ../kept\n  keep: 2\n");
  for (let made = 0; made < 3; made += 1) await json(dir, "backup", "create", "--keep", "2");
  expect(await json(dir, "backup", "list")).toHaveLength(2);
  expect(readdirSync(place.path("kept")).filter((name) => name.startsWith("b-"))).toHaveLength(2);
  writeFileSync(join(dir, "config.yaml"), "backup:\n  evry: 1h\n");
  const wrong = await questbus(place, ["backup", "list", "--state", dir]);
  expectClearError(wrong, "CONFIG_INVALID", 2);
  expect(wrong.stderr).toContain("config.yaml:2:3");
});

test("a command that comes again after a restore is answered as before, and done once", async () => {
  const dir = place.path("again");
  mkdirSync(dir);
  const before = await startBareStack(dir);
  await json(dir, "backup", "create");
  const operator = await before.clientAs("operator");
  const given = submission({ title: "Once" });
  const submitted = await operator.request("submit", given, { id: "submit-once" });
  const { quest } = submitted as { quest: string };
  const cancelling = { quest, reason: "enough" };
  const cancelled = await operator.request("cancel", cancelling, { id: "cancel-once" });
  await before.stop();
  for (const name of ["questbus.db", "questbus.db-wal", "questbus.db-shm"])
    rmSync(join(dir, name), { force: true });
  const { head } = await json(dir, "backup", "restore");
  const after = await startBareStack(dir);
  onTestFinished(() => after.stop());
  const again = await after.clientAs("operator");
  expect(await again.request("submit", given, { id: "submit-once" })).toEqual(submitted);
  expect(await again.request("cancel", cancelling, { id: "cancel-once" })).toEqual(cancelled);
  expect(rowsOf(dir)).toBe(head.seq);
});
