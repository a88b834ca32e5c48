import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "@questbus/store";
import { improving } from "@questbus/testkit/scripted-report";
import Database from "better-sqlite3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Checked, checkReplay } from "../src/replay.ts";
import { auditReplay, soundShare } from "../src/replay-share.ts";
import { agent, close, freshDir, freshStore, openRig, play, send, submit, until } from "./rig.ts";

let lived: string;
let dir: string;

beforeAll(async () => {
  const rig = await openRig();
  await send(rig, agent("qa"), "hello", { incarnation: "first", pid: 1 });
  for (const passes of [
    [{}, { suite: "red" }, { gain: 0.12 }],
    [{ suite: "red" }, { gain: 0.12 }],
    null,
  ] as const) {
    const quest = await submit(rig, { ...improving, title: `With ${passes?.length ?? 0} passes` });
    if (passes) await play(rig, quest, passes);
    else await until(rig, quest, "fitness");
  }
  await close(rig);
  lived = mkdtempSync(join(tmpdir(), "questbus-shares-"));
  cpSync(rig.store.dir, lived, { recursive: true });
});
afterAll(() => rmSync(lived, { recursive: true, force: true }));

beforeEach(() => {
  dir = freshDir();
  cpSync(lived, dir, { recursive: true });
});

function aloneIn(where: string): Checked {
  const live = openStore({ dir: where, mode: "read" });
  try {
    return checkReplay(live, freshStore());
  } finally {
    live.close();
  }
}

/** Changes the database behind the store's back. */
function meddle(sql: string): void {
  const db = new Database(join(dir, "questbus.db"));
  db.pragma("foreign_keys = OFF");
  expect(db.prepare(sql).run().changes).toBeGreaterThan(0);
  db.close();
}

const outcomeOf = (work: () => unknown): unknown => {
  try {
    return work();
  } catch (error) {
    return error;
  }
};

/** What each share has, without threads. */
const sharesIn = (of: number): ReturnType<typeof soundShare>[] =>
  Array.from({ length: of }, (_, at) => soundShare({ dir, share: { at, of } }));

describe("a journal that is replayed in shares", () => {
  it("gives what one thread finds", async () => {
    const alone = aloneIn(dir);
    expect(await auditReplay(dir, 2)).toEqual(alone);
    expect(alone).toMatchObject({ difference: null, faults: [] });
    expect(alone.verdicts).toBeGreaterThan(3);
    expect(sharesIn(3).reduce((sum, found) => sum + (found?.events ?? 0), 0)).toBe(alone.events);
  });

  const damages: [string, string][] = [
    ["a quest's title", "UPDATE quest SET title = 'x' WHERE id = (SELECT max(id) FROM quest)"],
    ["an assignment that is gone", "DELETE FROM assignment WHERE id = (SELECT min(id) FROM assignment)"],
    [
      "an agent nobody knows",
      "INSERT INTO agent SELECT 'ops', 'zz', incarnation, pid, joined_ms, seq FROM agent",
    ],
    ["a pause that is not", "INSERT INTO cursor (name, seq) VALUES ('pauses', 1)"],
    [
      "a quest of no name",
      "INSERT INTO quest SELECT '', status, title, digest, 1, 1, state FROM quest LIMIT 1",
    ],
    [
      "a verdict that was changed",
      "UPDATE journal SET body = replace(body, '\"verdict\":\"TESTS_FAILED\"', '\"verdict\":\"KEEP\"') WHERE type = 'pass.judged' AND body LIKE '%TESTS_FAILED%'",
    ],
    [
      "a row that is given to another quest",
      "UPDATE journal SET quest = quest || 'x' WHERE type = 'quest.ended'",
    ],
    ["a row that cannot be read", "UPDATE journal SET body = '{' WHERE seq = (SELECT max(seq) FROM journal)"],
  ];

  it.each(damages)("has a share that is not in order where one thread finds a fault: %s", (_, sql) => {
    meddle(sql);
    expect(outcomeOf(() => aloneIn(dir))).not.toMatchObject({ faults: [], difference: null });
    expect(sharesIn(2)).toContain(null);
    expect(sharesIn(3)).toContain(null);
  });

  it("throws what one thread throws", async () => {
    meddle("UPDATE journal SET body = '{' WHERE seq = (SELECT max(seq) FROM journal)");
    const thrown = outcomeOf(() => aloneIn(dir));
    expect(thrown).toMatchObject({ code: "AUDIT_BROKEN" });
    await expect(auditReplay(dir, 2)).rejects.toEqual(thrown);
  });

  it("goes by one thread where a row names a quest that is none of its share", async () => {
    meddle("UPDATE journal SET quest = 'q-1' WHERE type = 'agent.joined'");
    expect(soundShare({ dir, share: { at: 1, of: 2 } })).toBeNull();
    expect(await auditReplay(dir, 2)).toEqual(aloneIn(dir));
  });
});
