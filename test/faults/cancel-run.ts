import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { groupsDir } from "@questbus/agent";
import {
  fingerprint,
  type JournalWatch,
  makeTarget,
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
import { openProcessGroups } from "@questbus/workbench";
import { questbus } from "../bench/process.ts";
import { numbersOf } from "./numbers.ts";
import { openStubborn, runningOf, type Stubborn } from "./stubborn.ts";

/**
 * Cancels on a whole stack as it is shipped: a quest is under way, one of its commands does not want to end, and the
 * operator cancels the quest at some moment of it.
 */
export type CancelRig = { run(seed: number): Promise<CancelRun>; close(): Promise<void> };

export type CancelRun = {
  task: string;
  /** From the start of `questbus cancel` until none of the quest's processes runs. */
  goneMs: number;
  /** The same, from the moment at which the cancel was committed. */
  reachedMs: number;
  problems: string[];
};

/** Where a quest can be held: which of its commands stays, from which task on. */
const stations = [
  { task: "base-suite", name: "tests", after: null },
  { task: "base-measure", name: "bench", after: null },
  { task: "produce", name: "fixer", after: null },
  { task: "suite", name: "tests", after: "produce" },
  { task: "gate", name: "bench", after: "review" },
] as const;

/** A command that stays is cancelled at some moment of this time. */
const stayMsMax = 1_000;

export async function openCancelRig(name: string): Promise<CancelRig> {
  const place = openPlace(name);
  const target = makeTarget(place);
  const state = place.path("state");
  const stubborn = openStubborn(place);
  const up = startQuestbus(place, ["up", "--state", state, "--json"]);
  await until("the stack to be up", () => up.printed().stdout !== "");
  // As if an agent that works for another quest ran a command all the while.
  const stranger = openProcessGroups(join(groupsDir(state), "stranger"));
  writeFileSync(join(stranger.dir, `${process.pid}`), "");
  return new Rig({ place, target, state, stubborn, up, journal: watchJournal(state) });
}

type Parts = {
  place: Place;
  target: Target;
  state: string;
  stubborn: Stubborn;
  up: Running;
  journal: JournalWatch;
};

class Rig implements CancelRig {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async run(seed: number): Promise<CancelRun> {
    const { place, target, stubborn } = this.#parts;
    const next = numbersOf(seed);
    const station = next.one(stations);
    const before = fingerprint(target.dir);
    if (station.after === null) stubborn.stay(station.name);
    const quest = await this.#submit(seed);
    if (station.after !== null) {
      await this.#reported(quest, station.after);
      stubborn.stay(station.name);
    }
    const pids = await stubborn.staying();
    await delay(next.below(stayMsMax));
    const sinceMs = Date.now();
    const cancelling = this.#questbus("cancel", quest);
    const answered = cancelling.then((ended) => ({ ...ended, left: runningOf(pids) }));
    await until("the quest's processes to be gone", () => runningOf(pids).length === 0, 30_000);
    const goneAtMs = Date.now();
    const { exit, stdout, stderr, left } = await answered;
    const ended = this.#parts.journal.of("quest.ended").find((row) => row.quest === quest);
    const problems: string[] = [];
    if (stderr.includes("still run")) problems.push(`it waited for what is not the quest's: ${stderr}`);
    if (exit !== 0) problems.push(`cancel ended with ${exit}: ${stderr}`);
    else if (JSON.parse(stdout).status !== "cancelled")
      problems.push(`its status is not cancelled: ${stdout}`);
    if (left.length > 0) problems.push(`${left.length} of its processes ran on when cancel had answered`);
    if (fingerprint(target.dir) !== before) problems.push("the target changed");
    const strays = processesOf(place.path("stubborn"));
    if (strays.length > 0) problems.push(`these run on: ${strays.map(({ command }) => command).join("; ")}`);
    return {
      task: station.task,
      goneMs: goneAtMs - sinceMs,
      reachedMs: goneAtMs - (ended?.timeMs ?? sinceMs),
      problems,
    };
  }

  async #submit(seed: number): Promise<string> {
    const { place, target, stubborn } = this.#parts;
    const edit = `git -c core.fsync=none apply ${place.path(target.patch("gain"))}`;
    const file = writeQuest(place, {
      title: `To be cancelled, ${seed}`,
      tests: { command: `${stubborn.command("tests")} && sh test.sh`, timeout: "10m" },
      measure: { command: `${stubborn.command("bench")} && sh bench.sh`, timeout: "10m" },
      fixers: [{ command: `${stubborn.command("fixer")} && ${edit}`, timeout: "10m" }],
      budget: { passes: 1 },
    });
    const { stdout, stderr } = await this.#questbus("submit", file);
    if (stdout === "") throw new Error(`run ${seed}: the quest was not taken: ${stderr}`);
    return JSON.parse(stdout).quest as string;
  }

  /** As an operator runs it. */
  #questbus(command: string, what: string): ReturnType<typeof questbus> {
    const { place, state } = this.#parts;
    return questbus([command, what, "--state", state, "--json"], place.dir, place.env);
  }

  async #reported(quest: string, task: string): Promise<void> {
    const { journal } = this.#parts;
    await journal.until(
      "task.reported",
      ({ report }) => report.task === task && report.assignment.startsWith(`${quest}.`),
    );
  }

  async close(): Promise<void> {
    const { place, up, journal } = this.#parts;
    up.signal("SIGTERM");
    await up.ended;
    journal.close();
    await place.close();
  }
}
