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
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

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
  holds.set("measured");
  running = startQuestbus(place, ["run", file, "--state", "state", "--json"], { env: holds.env });
  const { quest } = await journal.until("quest.submitted");
  const id = quest ?? "";
  expect((await cli("resume", "--all")).exit).toBe(0);
  await Promise.race([holds.reached("measured"), running.ended.then(({ stderr }) => expect.fail(stderr))]);

  const paused = await cli("pause", id, "--why", "the machine is needed");
  expect(paused.stdout, paused.stderr).toContain(`questbus resume ${id}`);
  holds.lift("measured");
  const { seq } = await journal.until("task.reported", ({ report }) => report.task === "base-measure");
  const killed = pidOf(place.path("state"), "orchestrator");
  process.kill(killed ?? 0, "SIGKILL");
  const status = await cli("status", id, "--json");
  expect(summaryOf(status).withheld).toMatchObject({
    kind: "pause",
    scope: id,
    why: "the machine is needed",
  });
  const resumed = await cli("resume", id);
  expect(resumed.stdout, resumed.stderr).toContain(`quest ${id}: resumed`);
  const ended = await running.ended;
  expect(summaryOf(ended), ended.stderr).toMatchObject({ status: "accepted", withheld: null });
  expect(ended.stderr).toContain("operator paused everything: not yet");
  expect(ended.stderr).toContain(`paused: quest ${id}, by operator: the machine is needed`);
  const since = journal.rows().filter((row) => row.seq > seq && row.quest === id);
  const [next] = since.filter(({ type }) => type === "assignment.claimed");
  const [back] = since.filter(({ type }) => type === "quest.resumed");
  expect(next?.seq, "nothing was taken up before").toBeGreaterThan(back?.seq ?? Number.POSITIVE_INFINITY);
  const verified = await cli("audit", "verify", "--json");
  expect(verified.exit, verified.stderr).toBe(0);
});
