import {
  makeTarget,
  openHolds,
  openPlace,
  type Place,
  processesOf,
  type Running,
  startQuestbus,
  type Target,
  until,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { summaryOf } from "./../flow/expectation.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

/** A `run` that found a stack goes on when that stack ends, however it ends. */
describe("a run that rides on the stack of another command", () => {
  let place: Place;
  let target: Target;
  const running: Running[] = [];
  const start = (args: string[], env: NodeJS.ProcessEnv): Running => {
    const one = startQuestbus(place, [...args, "--state", "state", "--json"], { env });
    running.push(one);
    return one;
  };

  beforeEach(() => {
    place = openPlace("ride");
    target = makeTarget(place);
  });
  afterEach(async () => {
    for (const each of running) each.signal("SIGTERM");
    await Promise.all(running.map((each) => each.ended));
    await place.close();
  });

  const quest = (name: string, wait: string, more: Record<string, unknown> = {}): string =>
    writeQuest(
      place,
      {
        title: name,
        fixers: [{ patch: target.patch("gain") }],
        measure: { command: `${wait} && sh bench.sh` },
        ...more,
      },
      `${name}.json`,
    );

  test.each(["SIGKILL", "SIGINT"] as const)(
    "`up` ends by %s: the run starts a stack of its own and finishes",
    async (signal) => {
      const holds = openHolds(place);
      holds.set("bench");
      const up = start(["up"], holds.env);
      await until("the stack to be up", () => up.printed().stdout !== "");
      const run = start(["run", quest("ridden", holds.command("bench"))], holds.env);
      await holds.reached("bench");
      up.signal(signal);
      await holds.reached("bench");
      holds.lift("bench");
      const { exit, stderr, stdout } = await run.ended;
      expect(exit, stderr).toBe(0);
      expect(summaryOf({ stdout, stderr, exit, signal: null }).status).toBe("accepted");
      expect(processesOf(place.dir)).toEqual([]);
    },
  );

  test("two runs at once: the one that came second finishes too", async () => {
    const holds = openHolds(place);
    holds.set("one");
    holds.set("two");
    const journal = watchJournal(place.path("state"));
    const first = start(
      ["run", quest("one", holds.command("one"), { fixers: [{ patch: target.patch("breaks-test") }] })],
      holds.env,
    );
    await holds.reached("one");
    const second = start(["run", quest("two", holds.command("two"))], holds.env);
    await until("both quests to be stored", () => journal.of("quest.submitted").length === 2);
    holds.lift("one");
    expect((await first.ended).exit).toBe(7);
    await holds.reached("two");
    holds.lift("two");
    const { exit, stderr } = await second.ended;
    expect(exit, stderr).toBe(0);
    expect(processesOf(place.dir)).toEqual([]);
    journal.close();
  });
});
