import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type JournalWatch,
  makeTarget,
  openPlace,
  type Place,
  questbus,
  type Running,
  startQuestbus,
  type Target,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { faultsOf, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Candidates from outside: a person's branch, and a program that has nothing but a NATS client. */

const root = join(import.meta.dirname, "..", "..");

let place: Place;
let target: Target;
let journal: JournalWatch;
let running: Running;

beforeAll(() => {
  place = openPlace("supply");
  target = makeTarget(place);
});
afterAll(() => place.close());
beforeEach(() => mkdirSync(place.path("state"), { recursive: true }));
afterEach(async () => {
  journal.close();
  running.signal("SIGINT");
  await running.ended;
});

const cli = (...args: string[]) => questbus(place, [...args, "--state", "state"]);

/** Runs a quest with one fixer, until it waits. */
async function untilWaiting(fixer: object): Promise<string> {
  const file = writeQuest(place, { fixers: [fixer], budget: { passes: 1 } });
  running = startQuestbus(place, ["run", file, "--state", "state", "--json"]);
  journal = watchJournal(place.path("state"));
  const seen = journal.of("candidate.awaited").at(-1)?.seq ?? 0;
  const { quest } = await journal.until("candidate.awaited", () => true, seen);
  return quest ?? "";
}

describe("a person", () => {
  test("is waited for; a bad candidate is refused and the wait goes on; a branch is accepted", async () => {
    target.branch("gain");
    target.branch("forbidden");
    const quest = await untilWaiting({ human: "Remember what was found" });

    const status = await cli("status", quest);
    expect(status.stdout).toContain(
      `waits for a candidate: questbus supply ${quest} --branch REF | --patch FILE`,
    );
    const both = await cli("supply", quest, "--json");
    expect(faultsOf(both)).toMatchObject([{ code: "USAGE" }]);
    const forbidden = await cli("supply", quest, "--branch", "forbidden", "--json");
    expect(faultsOf(forbidden)).toMatchObject([
      { code: "PATH_FORBIDDEN", message: expect.stringContaining("bench.sh") },
    ]);
    const link = await cli("supply", quest, "--patch", target.patch("symlink"), "--json");
    expect(faultsOf(link)).toMatchObject([{ code: "PATH_FORBIDDEN" }]);
    const none = await cli("supply", quest, "--branch", "nowhere", "--json");
    expect(faultsOf(none)).toMatchObject([{ code: "TARGET_REF_MISSING" }]);
    expect(journal.of("candidate.supplied")).toEqual([]);

    const given = await cli("supply", quest, "--branch", "gain", "--note", "three memos");
    expect(given.exit, given.stderr).toBe(0);
    const ended = await running.ended;
    expect(summaryOf(ended), ended.stderr).toMatchObject({
      status: "accepted",
      passes: [{ n: 1, fixer: "human", verdict: "ACCEPT" }],
      waits: null,
    });
    expect(ended.stderr).toContain("waits for a candidate: Remember what was found");
    expect(ended.stderr).toMatch(/from human: .*; supplied by operator: gain \([0-9a-f]{7,}\)/);
    const again = await cli("supply", quest, "--branch", "gain", "--json");
    expect(faultsOf(again)).toMatchObject([{ code: "NOT_RUNNING" }]);
    const verified = await cli("audit", "verify", "--json");
    expect(verified.exit, verified.stderr).toBe(0);
  });
});

describe("a program with a bare NATS client: the worker of docs/fixers.md", () => {
  /** Starts the example as it is printed, with a `makePatch` of the test's. */
  function startWorker(makePatch: string): ChildProcess {
    const [, example = ""] =
      /```js\n(.*?)```/s.exec(readFileSync(join(root, "docs/fixers.md"), "utf8")) ?? [];
    expect(example).toContain("requests");
    const dir = place.path("worker");
    mkdirSync(dir);
    symlinkSync(join(root, "node_modules"), join(dir, "node_modules"));
    writeFileSync(join(dir, "worker.mjs"), example);
    writeFileSync(join(dir, "make-patch.mjs"), makePatch);
    const env = { ...place.env, QUESTBUS_STATE: place.path("state") };
    // It ends with the stack, and says so: nobody answers any more.
    return spawn(process.execPath, [join(dir, "worker.mjs")], { env, stdio: "ignore" });
  }

  test("gets the request, supplies a patch that is not taken, then one that is accepted", async () => {
    const patch = place.path(target.patch("gain"));
    const quest = await untilWaiting({ worker: true });
    const worker = startWorker(`
import { readFileSync } from "node:fs";
export function makePatch({ refused, brief, base }) {
  if (!brief.authority.write.includes("src/**") || !base.commit) throw new Error("no brief");
  const good = readFileSync(${JSON.stringify(patch)}, "utf8");
  return refused ? good : good.replaceAll("steps++", "stops++");
}`);
    try {
      const ended = await running.ended;
      expect(summaryOf(ended), ended.stderr).toMatchObject({
        quest,
        status: "accepted",
        passes: [{ n: 1, fixer: "worker", verdict: "ACCEPT" }],
      });
      expect(ended.stderr).toContain("not taken: PATCH_DOES_NOT_APPLY");
      const rows = journal.rows().filter((row) => row.quest === quest);
      const supplied = rows.filter(({ type }) => type === "candidate.supplied");
      expect(supplied.map(({ actor }) => actor)).toEqual([
        { role: "worker", name: "worker" },
        { role: "worker", name: "worker" },
      ]);
    } finally {
      worker.kill();
      if (worker.exitCode === null && worker.signalCode === null) await once(worker, "exit");
    }
  });
});
