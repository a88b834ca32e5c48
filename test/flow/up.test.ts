import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  makeTarget,
  openHolds,
  openPlace,
  type Place,
  pidOf,
  questbus,
  startQuestbus,
  type Target,
  until,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { expectClearError, faultsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** What an operator is told of a stack that runs, of its parts that die, and of one that is gone. */

let place: Place;
let stack: ReturnType<typeof startQuestbus>;
let target: Target;
let holds: ReturnType<typeof openHolds>;
const state = (): string => place.path("state");

beforeAll(async () => {
  place = openPlace("up");
  target = makeTarget(place);
  holds = openHolds(place);
  holds.set("bench");
  stack = startQuestbus(place, ["up", "--state", state()], { env: holds.env });
  await until("the stack to be up", () => stack.printed().stdout !== "");
});
afterAll(async () => {
  stack.signal("SIGKILL");
  await stack.ended;
  await place.close();
});

test("another one on its state is told which process has it, and how to end that", async () => {
  const { pid } = JSON.parse(readFileSync(place.path("state/stack.json"), "utf8")) as { pid: number };
  for (const args of [
    ["up", "--cluster", "3"],
    ["backup", "restore"],
  ]) {
    const done = await questbus(place, [...args, "--state", state(), "--json"]);
    expect(done.exit).toBe(5);
    expect(faultsOf(done)).toMatchObject([
      {
        code: "STATE_LOCKED",
        message: expect.stringContaining(`process ${pid}`),
        next: expect.stringContaining(`kill ${pid}`),
      },
    ]);
  }
});

test.each(["qa", "orchestrator", "broker"] as const)(
  "%s is killed: one line says so, and what follows",
  async (part) => {
    process.kill(pidOf(state(), part) ?? 0, "SIGKILL");
    const line = `${part} died (SIGKILL), and is started again\n`;
    await until("it to be told", () => stack.printed().stderr.includes(line));
    await until("it to be there again", () => pidOf(state(), part) !== null);
    expect(stack.printed().stderr.split(line)).toHaveLength(2);
  },
);

test("a quest that was handed over has its report, like one that was run", async () => {
  const cli = (...args: string[]) => questbus(place, [...args, "--state", state()]);
  const submitted = await cli("submit", writeQuest(place, { fixers: [{ patch: target.patch("gain") }] }));
  const quest = submitted.stdout.trim();
  await cli("cancel", quest, "--reason", "seen\u001b[2J enough");
  const { stdout, stderr, exit } = await cli("report", quest);
  expect(exit, stderr).toBe(0);
  expect(stdout).toMatch(new RegExp(`^# .+\n\n- Quest: \`${quest}\`, intent optimize\n`));
  expect(stdout).toContain("\n- Outcome: cancelled: seen\\u{1b}[2J enough\n");
  expect(JSON.parse((await cli("report", quest, "--json")).stdout)).toEqual({
    quest,
    report: stdout.trimEnd(),
  });
});

test("of a quest that ends while no agent works on it, by a breach, no trees stay", async () => {
  const turns = { leader: "performance", workers: ["qa"], turnWithin: "1s", onBreach: "cancel" };
  const file = writeQuest(place, { fixers: [{ turns }], guards: [], profile: "none" });
  const submitted = await questbus(place, ["submit", file, "--state", state()]);
  const journal = watchJournal(state());
  try {
    const { quest, body } = await journal.until(
      "quest.ended",
      (each) => each.reason.includes("breach") || each.reason.includes("broke"),
    );
    expect([quest, body.reason]).toEqual([
      submitted.stdout.trim(),
      expect.stringContaining("broke a rule of the conversation"),
    ]);
    const folder = place.path("state/quests", `${quest}`);
    await until(
      "its trees to be gone",
      () => !existsSync(`${folder}/trees`) && !existsSync(`${folder}/arms`),
    );
  } finally {
    journal.close();
  }
});

test("when it is gone, the list of quests says that nobody works on those that have not ended", async () => {
  const file = writeQuest(place, {
    fixers: [{ patch: target.patch("gain") }],
    measure: { command: `${holds.command("bench")} && sh bench.sh` },
  });
  const submitted = await questbus(place, ["submit", file, "--state", state()]);
  expect(submitted.exit, submitted.stderr).toBe(0);
  const list = () => questbus(place, ["list", "--state", state()]);
  expect((await list()).stderr).toBe("");
  stack.signal("SIGKILL");
  await stack.ended;
  expect((await list()).stderr).toMatch(
    /^nobody works on these now: .*questbus up --state \S+, and they go on\n$/,
  );
});

test("a scheduled backup that fails is told to who runs the stack, which goes on", async () => {
  const dir = place.path("untold");
  mkdirSync(dir);
  writeFileSync(place.path("no-folder"), "");
  writeFileSync(join(dir, "config.yaml"), "backup:\n  to: ../no-folder\n  every: 500ms\n");
  const up = startQuestbus(place, ["up", "--state", dir]);
  onTestFinished(async () => {
    up.signal("SIGTERM");
    await up.ended;
  });
  await until("it to be told", () => up.printed().stderr.includes("the backup that was due failed"));
  expect(readFileSync(join(dir, "log/backup.log"), "utf8")).toContain("FILE_UNUSABLE");
});

test.each([
  "backups/b-20261121T184330254Z/manifest.json",
  "backups/segments/000000000000001.jsonl",
  "questbus.db-wal",
])("a database that is gone: nothing is begun anew over %s", async (kept) => {
  const dir = place.path(`lost-${kept.length}`);
  mkdirSync(dirname(join(dir, kept)), { recursive: true });
  writeFileSync(join(dir, kept), "");
  const done = await questbus(place, ["up", "--state", dir]);
  expectClearError(done, "STATE_MISSING", 3);
  expect(readdirSync(dir)).not.toContain("questbus.db");
});
