import type { BusClient } from "@questbus/bus";
import { type CommandData, type CrashPoint, crashPoints } from "@questbus/protocol";
import { openStore, type StoreReader } from "@questbus/store";
import {
  type BareStack,
  type Crashes,
  openCrashes,
  openPlace,
  type Place,
  startBareStack,
  until,
} from "@questbus/testkit";
import { submission } from "@questbus/testkit/scripted-report";
import { type Agents, insist, startAgents } from "./agents.ts";
import { auditProblems, openRunCheck, type RunCheck } from "./audit.ts";
import { numbersOf } from "./numbers.ts";
import { endingScenarios, type ScenarioName } from "./scenario.ts";

/**
 * Fault runs on real processes: broker and orchestrator as they are shipped, a quest a run, and in the middle of it the
 * orchestrator is killed with SIGKILL at a named point and started again. After each run the invariants are checked.
 */
export type CrashRig = {
  /** One run; `seed` decides all of it. */
  run(seed: number): Promise<CrashRun>;
  /** Replaces the broker by an empty one while a quest runs. */
  wipe(seed: number): Promise<CrashRun>;
  /** What is wrong with the whole journal: its chain, its projections, its verdicts. */
  settle(): string[];
  close(): Promise<void>;
};
export type CrashRun = {
  point: CrashPoint | "broker";
  count: number;
  scenario: ScenarioName;
  hit: boolean;
  problems: string[];
};

const endMsMax = 60_000;
/** Turns of the orchestrator in one quest, about; a point is met at any of them. */
const turnsMax = 40;
/** Rows that the shortest quest leaves. */
const rowsMin = 40;

export async function openCrashRig(name: string): Promise<CrashRig> {
  const place = openPlace(name);
  const state = place.path("state");
  const crashes = openCrashes(place.path("crash"));
  const stack = await startBareStack(state, { env: crashes.env });
  const agents = await startAgents(stack.clientAs);
  const [operator, arbiter] = [await stack.clientAs("operator"), await stack.clientAs("arbiter")];
  const store = openStore({ dir: state, mode: "read" });
  return new Rig({ place, stack, agents, crashes, operator, arbiter, store });
}

type Parts = {
  place: Place;
  stack: BareStack;
  agents: Agents;
  crashes: Crashes;
  operator: BusClient;
  arbiter: BusClient;
  store: StoreReader;
};

class Rig implements CrashRig {
  readonly #parts: Parts;
  readonly #rows: RunCheck;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#rows = openRunCheck(parts.store);
  }

  async run(seed: number): Promise<CrashRun> {
    const { crashes } = this.#parts;
    const next = numbersOf(seed);
    const point = next.one(crashPoints.orchestrator);
    const timer = point === "timer.fired";
    const scenario = timer ? "no time left" : next.one(endingScenarios);
    const count = timer ? 1 : 1 + next.below(turnsMax);
    crashes.order(point, count);
    await this.#quest(scenario, seed);
    const hit = crashes.settle();
    return { point, count, scenario, hit, problems: this.#check() };
  }

  async wipe(seed: number): Promise<CrashRun> {
    const next = numbersOf(seed);
    const scenario = next.one(endingScenarios);
    const rows = 1 + next.below(rowsMin);
    const { store, stack } = this.#parts;
    const begun = store.head().seq;
    const quest = this.#quest(scenario, seed);
    await until("the quest to get there", () => store.head().seq >= begun + rows, endMsMax);
    await stack.replaceBroker();
    await quest;
    return { point: "broker", count: rows, scenario, hit: true, problems: this.#check() };
  }

  /** Submits a quest and follows it to its end; an arbiter abandons what is escalated. */
  async #quest(scenario: ScenarioName, seed: number): Promise<void> {
    const { operator, arbiter, store } = this.#parts;
    const wallClock = scenario === "no time left" ? "1s" : "30m";
    const part = { title: `${scenario}: run ${seed}`, budget: { passes: 3, wallClock } };
    const sent = (await insist(operator, "submit", submission(part))) as { quest: string } | null;
    if (!sent) throw new Error(`run ${seed}: the quest was not taken`);
    const status = (): string | undefined => store.getQuest(sent.quest)?.status;
    const isIn = (...words: string[]): boolean => !words.includes(status() ?? "queued");
    await until(`the quest of run ${seed} to stop`, () => isIn("queued", "running"), endMsMax);
    const [open] = store.listEscalations({ quest: sent.quest, status: "open" });
    if (!open) return;
    const ruling = { escalation: open.id, decision: "abandon", reason: "the run is over", guidance: null };
    await insist(arbiter, "rule", ruling as CommandData["rule"]);
    await until(`the quest of run ${seed} to end`, () => isIn("queued", "running", "escalated"), endMsMax);
  }

  #check(): string[] {
    return this.#rows.problems(this.#parts.agents.answered.splice(0));
  }

  settle(): string[] {
    return auditProblems(this.#parts.store);
  }

  async close(): Promise<void> {
    const { agents, stack, store, place } = this.#parts;
    await agents.stop();
    store.close();
    await stack.stop();
    await place.close();
  }
}
