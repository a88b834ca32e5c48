import type { JournalEvent } from "@questbus/protocol";
import {
  makeTarget,
  openPlace,
  type Place,
  questbus,
  type Running,
  startQuestbus,
  until,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

/** A stack without the agents of two roles: any program does their work, and says its word on top. */

const roles = ["qa", "architect"] as const;
const says = `echo '{"summary":"a program has seen it","signOff":{"vote":"yes","reasons":["it looked"]}}'`;

let place: Place;
let up: Running;
let programs: Running[];

beforeAll(async () => {
  place = openPlace("agent-run");
  up = startQuestbus(place, ["up", "--state", "state", "--without", ...roles]);
  await until("the stack is up", () => up.printed().stdout !== "");
  programs = roles.map((role) =>
    startQuestbus(place, ["agent", "run", "--state", "state", "--role", role, "--", "sh", "-c", says]),
  );
});
afterAll(async () => {
  for (const program of programs ?? []) program.signal("SIGINT");
  up?.signal("SIGINT");
  await up?.ended;
  await place?.close();
});

const cli = (...args: string[]) => questbus(place, [...args, "--state", "state"]);

test("a quest is worked to acceptance, and each report of the two roles is a program's", async () => {
  const file = writeQuest(place, { fixers: [{ patch: makeTarget(place).patch("gain") }] });
  const { exit, stdout } = await cli("run", file, "--json");
  expect([exit, JSON.parse(stdout).status]).toEqual([0, "accepted"]);
  const { quest } = JSON.parse(stdout) as { quest: string };
  const rows = (await cli("audit", quest, "--json")).stdout.trim().split("\n");
  const reports = rows
    .map((line) => JSON.parse(line) as JournalEvent)
    .flatMap((row) => (row.type === "task.reported" ? [{ actor: row.actor, report: row.body.report }] : []));
  const ours = reports.filter(({ actor }) => roles.some((role) => role === actor.role));
  expect(ours.map(({ actor, report }) => `${actor.name} ${report.task}`)).toEqual([
    "command plan",
    "command base-suite",
    "command choose",
    "command separate",
    "command review",
    "command suite",
  ]);
  for (const { report } of ours) expect(report.summary).toMatch(/; a program has seen it$/);
  expect(ours.at(-1)?.report.signOff).toMatchObject({
    vote: "yes",
    reasons: [expect.stringContaining("green"), "it looked"],
  });
  for (const program of programs) program.signal("SIGINT");
  expect((await Promise.all(programs.map(({ ended }) => ended))).map((each) => each.exit)).toEqual([
    130, 130,
  ]);
  const { agents } = JSON.parse((await cli("agents", "--json")).stdout) as {
    agents: { name: string; presence: string }[];
  };
  expect(agents.map(({ name, presence }) => `${name} ${presence}`).sort()).toEqual([
    "command stopped",
    "command stopped",
    "ops connected",
    "performance connected",
  ]);
});
