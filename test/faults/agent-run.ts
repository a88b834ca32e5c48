import { readdirSync } from "node:fs";
import { type CrashPoint, crashPoints, roles } from "@questbus/protocol";
import { openStore, type StoreReader } from "@questbus/store";
import {
  type BareStack,
  type ChangeName,
  type Crashes,
  makeTarget,
  openCrashes,
  openPlace,
  type Place,
  processesOf,
  questbus,
  type Running,
  startBareStack,
  startQuestbus,
  type Target,
  until,
  writeQuest,
} from "@questbus/testkit";
import { auditProblems, openRunCheck, type RunCheck } from "./audit.ts";
import { numbersOf } from "./numbers.ts";

/**
 * Fault runs with the real agents on a real git repository: a quest a run by `questbus run`, and in the middle of it an
 * agent, or the orchestrator, is killed with SIGKILL at a named point and started again.
 *
 * Invariants, when the process died and when the quest is over: the target is what it was, but for one branch with one
 * commit on the base once the change is brought in, and for nothing when none was accepted; the run comes to the end it
 * would have had; no tree, no process, and no file in the temporary folder is left.
 */
export type AgentRig = {
  /** One run; `seed` decides all of it. */
  run(seed: number): Promise<AgentRun>;
  /** What is wrong with the whole journal: its chain, its projections, its verdicts. */
  settle(): string[];
  close(): Promise<void>;
};
export type AgentRun = {
  point: CrashPoint;
  count: number;
  scenario: string;
  hit: boolean;
  problems: string[];
};

type Scenario = { fixers: ChangeName[]; verdicts: string[] };

const scenarios: Record<string, Scenario> = {
  "a gain at once": { fixers: ["gain"], verdicts: ["ACCEPT"] },
  "a red suite, then a gain": {
    fixers: ["breaks-test", "gain"],
    verdicts: ["TESTS_FAILED", "ACCEPT"],
  },
  "a kept gain, then the goal": {
    fixers: ["gain-least", "gain-most"],
    verdicts: ["KEEP", "ACCEPT"],
  },
  "a bench that fails": { fixers: ["crash"], verdicts: ["CRASH"] },
};
const scenarioNames = Object.keys(scenarios);
const acceptedNames = scenarioNames.filter((name) => scenarios[name]?.verdicts.includes("ACCEPT"));

/** How often one agent comes by in a pass, about; once where nothing is said. */
const comesBy: Partial<Record<CrashPoint, number>> = {
  "claim.granted": 3,
  "task.done": 3,
  "report.answered": 3,
  "tree.removed": 2,
  "tree.laid": 2,
};
const turnsMax = 30;

/** Agents' points in turn; each third run is the orchestrator's. A timer has its own runs with scripted agents. */
const ofOrchestrator = crashPoints.orchestrator.filter((point) => point !== "timer.fired");
function pointOf(seed: number): CrashPoint {
  const round = Math.floor(seed / 3);
  const list = seed % 3 === 0 ? ofOrchestrator : crashPoints.agent;
  const at = seed % 3 === 0 ? round : 2 * round + (seed % 3) - 1;
  return list[at % list.length] as CrashPoint;
}

/** On a busy machine a quest of two passes has taken a minute. */
const endMsMax = 300_000;

export async function openAgentRig(name: string): Promise<AgentRig> {
  const place = openPlace(name);
  const target = makeTarget(place);
  for (const { fixers } of Object.values(scenarios)) for (const each of fixers) target.patch(each);
  const state = place.path("state");
  const crashes = openCrashes(place.path("crash"));
  const stack = await startBareStack(state, { env: { ...place.env, ...crashes.env }, agents: roles });
  const store = openStore({ dir: state, mode: "read" });
  return new Rig({ place, target, state, crashes, stack, store });
}

type Parts = {
  place: Place;
  target: Target;
  state: string;
  crashes: Crashes;
  stack: BareStack;
  store: StoreReader;
};

class Rig implements AgentRig {
  readonly #parts: Parts;
  readonly #rows: RunCheck;
  readonly #stand: string;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#rows = openRunCheck(parts.store);
    this.#stand = parts.target.stand();
  }

  async run(seed: number): Promise<AgentRun> {
    const { crashes } = this.#parts;
    const next = numbersOf(seed);
    const point = pointOf(seed);
    const scenario = next.one(point.startsWith("integration.") ? acceptedNames : scenarioNames);
    const count = 1 + next.below(seed % 3 === 0 ? turnsMax : (comesBy[point] ?? 1));
    crashes.order(point, count);
    const problems = await this.#quest(scenario, seed);
    const hit = crashes.settle();
    return { point, count, scenario, hit, problems: [...problems, ...this.#rows.problems([])] };
  }

  /** Runs a quest to its end, and looks at the target when a process was killed, and at its end. */
  async #quest(name: string, seed: number): Promise<string[]> {
    const { place, crashes, target } = this.#parts;
    const scenario = scenarios[name] as Scenario;
    const file = writeQuest(place, {
      title: `${name}: run ${seed}`,
      fixers: scenario.fixers.map((patch) => ({ patch: `fixes/${patch}.patch` })),
      budget: { passes: scenario.fixers.length },
    });
    const running = startQuestbus(place, ["run", file, "--state", "state", "--json"]);
    let over = false;
    void running.ended.then(() => {
      over = true;
    });
    try {
      await until(`run ${seed} to die or to end`, () => over || crashes.isDone(), endMsMax);
    } catch (error) {
      running.signal("SIGTERM");
      throw error;
    }
    const between = this.#targetProblems();
    const ended = await this.#ending(running, scenario);
    const problems = [...between, ...ended, ...(await this.#leftProblems())];
    for (const branch of this.#branches()) target.git("update-ref", "-d", `refs/heads/${branch}`);
    return problems;
  }

  /** Follows the quest to its end; what is escalated is abandoned. */
  async #ending(running: Running, scenario: Scenario): Promise<string[]> {
    const { place, target } = this.#parts;
    const { stdout, stderr, exit } = await running.ended;
    if (stdout === "") return [`the run ended with ${exit}: ${stderr.slice(-500)}`];
    const { passes, accepted, escalation, quest } = JSON.parse(stdout);
    const verdicts = passes.map(({ verdict }: { verdict: string }) => verdict);
    const problems: string[] = [];
    if (verdicts.join() !== scenario.verdicts.join())
      problems.push(`verdicts ${verdicts}, not ${scenario.verdicts}`);
    if ((verdicts.at(-1) === "ACCEPT") !== (accepted !== null))
      problems.push(`${verdicts} and accepted ${accepted}`);
    if (escalation) {
      const how = ["--decision", "abandon", "--reason", "the run is over", "--state", "state"];
      const ruled = await questbus(place, ["rule", escalation, ...how]);
      if (ruled.exit !== 0) problems.push(`the ruling ended with ${ruled.exit}: ${ruled.stderr.slice(-500)}`);
    }
    const wanted = accepted ? `questbus/${quest}` : "";
    if (this.#branches().join() !== wanted) problems.push(`branches ${this.#branches()}, not ${wanted}`);
    else if (wanted && target.git("rev-parse", wanted) !== accepted.commit)
      problems.push(`${wanted} is not at the accepted commit`);
    return [...problems, ...this.#targetProblems()];
  }

  #branches(): string[] {
    const { target } = this.#parts;
    const list = target.git("for-each-ref", "--format=%(refname:short)", "refs/heads/questbus");
    return list.split("\n").filter(Boolean);
  }

  /** The target as it was, but for whole branches of one commit that changes what it may. */
  #targetProblems(): string[] {
    const { target } = this.#parts;
    const problems = target.stand() === this.#stand ? [] : ["the target is another"];
    for (const branch of this.#branches()) {
      const commits = target.git("rev-list", `main..${branch}`).split("\n");
      const files = target.git("diff", "--name-only", "main", branch).split("\n");
      if (
        commits.length !== 1 ||
        target.git("merge-base", "main", branch) !== target.git("rev-parse", "main")
      )
        problems.push(`${branch} has ${commits.length} commits`);
      if (!files.includes("CHANGELOG.md") || files.length < 2) problems.push(`${branch} changes ${files}`);
    }
    try {
      target.git("fsck", "--strict", "--no-dangling");
    } catch (error) {
      problems.push((error as Error).message);
    }
    return problems;
  }

  /** What is left of an ended quest; a process that was just started anew may still be about to end it. */
  async #leftProblems(): Promise<string[]> {
    try {
      await until("nothing to be left", () => this.#left().length === 0);
      return [];
    } catch {
      return this.#left();
    }
  }

  #left(): string[] {
    const { place, state } = this.#parts;
    const own = /nats|questbus-(broker|agent)-guard|\/(orchestrator|agent)\/src\/main\.ts/;
    const processes = processesOf(place.dir).filter(({ command }) => !own.test(command));
    const groups = roles
      .flatMap((role) => listed(`${state}/run/groups/${role}`))
      .filter((name) => name !== "guard");
    const trees = listed(`${state}/quests`).flatMap((quest) =>
      listed(`${state}/quests/${quest}`).filter((name) => name !== "repo.git"),
    );
    return [
      ...processes.map(({ command }) => `process ${command}`),
      ...groups.map((pgid) => `process group ${pgid}`),
      ...trees.map((name) => `${name} in the place of an ended quest`),
      ...place.leftInTmp().map((name) => `${name} in the temporary folder`),
    ];
  }

  settle(): string[] {
    return auditProblems(this.#parts.store);
  }

  async close(): Promise<void> {
    const { stack, store, place } = this.#parts;
    store.close();
    await stack.stop();
    await place.close();
  }
}

function listed(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
