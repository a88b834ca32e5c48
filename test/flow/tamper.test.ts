import { cpSync } from "node:fs";
import {
  makeTarget,
  openPlace,
  type Place,
  questbus,
  readValue,
  tamper,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { expectClearError, expectNoTrace, faultsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Must show 5 and 6: `audit verify` names what was changed in the journal, whichever byte it is. */

let place: Place;
let length: number;
let copies = 0;

beforeAll(async () => {
  place = openPlace("tamper");
  const target = makeTarget(place);
  const file = writeQuest(place, {
    fixers: [{ patch: target.patch("gain") }],
    onAccept: { changelog: null },
  });
  const run = await questbus(place, ["run", file, "--state", "state", "--json"]);
  expect(run.exit, run.stderr).toBe(0);
  length = JSON.parse(run.stdout).audit.length;
});
afterAll(() => place.close());

/** A copy of the state, changed by hand. */
function changed(sql: string, ...values: (string | number)[]): string {
  copies += 1;
  const dir = place.path(`copy-${copies}`);
  cpSync(place.path("state"), dir, { recursive: true });
  if (sql !== "") tamper(dir, sql, ...values);
  return dir;
}

const audit = (dir: string, what: string, ...more: string[]) =>
  questbus(place, ["audit", what, "--state", dir, ...more]);

test("the untouched state is green, both ways", async () => {
  const dir = changed("");
  const [verify, replay] = await Promise.all([
    audit(dir, "verify", "--json"),
    audit(dir, "replay", "--json"),
  ]);
  expect(JSON.parse(verify.stdout)).toMatchObject({ ok: true, length });
  expect(JSON.parse(replay.stdout)).toEqual({ ok: true, events: length });
});

describe("audit verify exits 1 and names the row", () => {
  const flip = (column: string): string =>
    `UPDATE journal SET ${column} = substr(${column}, 1, length(${column}) - 2) || CASE substr(${column}, -2, 1) WHEN '0' THEN '1' ELSE '0' END || substr(${column}, -1) WHERE seq = ?`;
  const middle = (): number => Math.floor(length / 2);

  test.each<[string, () => [string, number], RegExp]>([
    ["one byte of a body", () => [flip("body"), middle()], /row N\b/],
    ["one byte of a hash", () => [flip("hash"), middle()], /row N\b/],
    ["one byte of the first row", () => [flip("body"), 1], /row N\b/],
    ["one byte of the last row", () => [flip("body"), length], /row N\b/],
    [
      "a time by one millisecond",
      () => ["UPDATE journal SET time_ms = time_ms + 1 WHERE seq = ?", middle()],
      /row N\b/,
    ],
    ["who did it", () => ["UPDATE journal SET actor_role = 'arbiter' WHERE seq = ?", middle()], /row N\b/],
    [
      "a row removed from the middle",
      () => ["DELETE FROM journal WHERE seq = ?", middle()],
      /row N is missing/,
    ],
    ["the first row removed", () => ["DELETE FROM journal WHERE seq = ?", 1], /row N is missing/],
    ["the last row removed", () => ["DELETE FROM journal WHERE seq = ?", length], /row N is missing/],
  ])("%s", async (_, change, names) => {
    const [sql, seq] = change();
    const dir = changed(sql, seq);
    const done = await audit(dir, "verify", "--json");
    expect(done.exit).toBe(1);
    expect(done.stdout).toBe("");
    expectNoTrace(done);
    const faults = faultsOf(done);
    const expected = new RegExp(names.source.replace("N", String(seq)));
    expect(faults.map(({ code }) => code)).toEqual(["AUDIT_BROKEN"]);
    expect(faults[0]?.message).toMatch(expected);
  });

  test("people are told in one line, with the next step", async () => {
    expectClearError(await audit(changed(flip("body"), 7), "verify"), "AUDIT_BROKEN", 1);
  });
});

test("a journal whose end was cut off is not written to: run refuses it", async () => {
  const dir = changed("DELETE FROM journal WHERE seq = ?", length);
  const run = await questbus(place, ["run", place.path("quest.json"), "--state", dir]);
  expectClearError(run, "AUDIT_BROKEN", 1);
});

test("audit replay finds a projection that the journal does not give", async () => {
  const column = readValue(
    place.path("state"),
    "SELECT name FROM pragma_table_info('quest') WHERE name = 'title'",
  );
  expect(column).toBe("title");
  const done = await audit(changed("UPDATE quest SET title = 'Another title'"), "replay");
  expectClearError(done, "REPLAY_DIFFERS", 1);
});
