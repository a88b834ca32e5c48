import { mkdirSync } from "node:fs";
import {
  type Holds,
  type JournalWatch,
  makeTarget,
  openHolds,
  openPlace,
  type Place,
  pidOf,
  questbus,
  type Running,
  startQuestbus,
  until,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { faultsOf, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** A quest that is paused while an agent measures, over the end of the orchestrator, and goes on. */

let place: Place;
let holds: Holds;
let journal: JournalWatch;
let running: Running | null = null;

beforeAll(() => {
  place = openPlace("pause");
  holds = openHolds(place);
  mkdirSync(place.path("state"), { recursive: true });
  journal = watchJournal(place.path("state"));
});
afterAll(async () => {
  journal.close();
  running?.signal("SIGINT");
  await running?.ended;
  await place.close();
});

const cli = (...args: string[]) => questbus(place, [...args, "--state", "state"]);

test("what is held is finished and kept, nothing more is begun, and the orchestrator's end changes nothing of it", async () => {
  const target = makeTarget(place);
  const file = writeQuest(place, {
    measure: { command: `${holds.command("measured")} && sh bench.sh` },
    fixers: [{ patch: target.patch("gain") }],
    budget: { passes: 1 },
  });
  // Before anything runs: the next stack finds it paused.
  const early = await cli("pause", "--all", "--why", "not yet");
  expect(early.stdout, early.stderr).toContain("everything: paused; go on: questbus resume --all");
  running = startQuestbus(place, ["run", file, "--state", "state", "--json"], { env: holds.env });
  const { quest } = await journal.until("quest.submitted");
  const id = quest ?? "";
  expect((await cli("list")).stdout).toContain("paused: not yet");
  holds.set("measured");
  expect((await cli("resume", "--all")).exit).toBe(0);
  await holds.reached("measured");

  const paused = await cli("pause", id, "--why", "the machine is needed");
  expect(paused.stdout, paused.stderr).toContain(`questbus resume ${id}`);
  expect((await cli("pause", id, "--why", "again")).stdout).toContain("was paused already");
  holds.lift("measured");
  const { seq } = await journal.until("task.reported", ({ report }) => report.task === "base-measure");
  const killed = pidOf(place.path("state"), "orchestrator");
  process.kill(killed ?? 0, "SIGKILL");
  await until("another orchestrator", () => {
    const pid = pidOf(place.path("state"), "orchestrator");
    return pid !== null && pid !== killed;
  });
  const status = await cli("status", id, "--json");
  expect(summaryOf(status).withheld).toMatchObject({
    kind: "pause",
    scope: id,
    why: "the machine is needed",
  });
  expect((await cli("pause", "--role", "qa", "--why", "x")).exit, "it serves again").toBe(0);
  expect(journal.of("assignment.claimed").filter((row) => row.seq > seq)).toEqual([]);

  const back = await cli("resume", id, "--json");
  expect(JSON.parse(back.stdout)).toMatchObject({ paused: false, changed: true });
  await journal.until("quest.halted", ({ scope }) => scope === "qa");
  expect((await cli("status", id)).stdout).toContain("does not go on: operator paused role qa: x");
  expect((await cli("resume", "--role", "qa")).exit).toBe(0);
  const ended = await running.ended;
  expect(summaryOf(ended), ended.stderr).toMatchObject({ status: "accepted", withheld: null });
  expect(ended.stderr).toContain(`paused: quest ${id}, by operator: the machine is needed`);
  expect(faultsOf(await cli("pause", id, "--why", "late", "--json"))).toMatchObject([
    { code: "QUEST_ENDED" },
  ]);
  expect(faultsOf(await cli("pause", id, "--all", "--why", "both", "--json"))).toMatchObject([
    { code: "USAGE" },
  ]);
  const verified = await cli("audit", "verify", "--json");
  expect(verified.exit, verified.stderr).toBe(0);
});
