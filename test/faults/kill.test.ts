import {
  fingerprint,
  type Holds,
  type JournalWatch,
  makeTarget,
  openHolds,
  openPlace,
  type Place,
  pidOf,
  processesOf,
  questbus,
  type Running,
  type StackPart,
  startQuestbus,
  type Target,
  until,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/**
 * Must show 3: kill -9 of each process in each phase. The target stays as it is until acceptance, the run goes on or
 * is taken up again, it is accepted once, and nothing is left running.
 *
 * A process is killed while the task is known to be under way: the stack stands still at a point of `openHolds`.
 */

type Bench = {
  place: Place;
  target: Target;
  holds: Holds;
  journal: JournalWatch;
  state: string;
  file: string;
  untouched: string;
  start(): Running;
};

/** A quest of one pass and one real gain, whose commands can be held. The suite is red once, so that it is `separate`d. */
function openBench(name: string): Bench {
  const place = openPlace(name);
  const target = makeTarget(place);
  const holds = openHolds(place);
  const redOnce = `{ [ -e ${place.path("was-red")} ] || { touch ${place.path("was-red")}; exit 1; }; }`;
  const edit = `git -c core.fsync=none apply ${place.path(target.patch("gain"))}`;
  const file = writeQuest(place, {
    tests: { command: `${holds.command("run-qa")} && ${redOnce} && sh test.sh`, timeout: "10m" },
    measure: { command: `${holds.command("run-performance")} && sh bench.sh`, timeout: "10m" },
    fixers: [{ command: `${holds.command("run-fixer")} && ${edit}`, timeout: "10m" }],
    budget: { passes: 1 },
  });
  const state = place.path("state");
  return {
    place,
    target,
    holds,
    journal: watchJournal(state),
    state,
    file,
    untouched: fingerprint(target.dir),
    start: () => startQuestbus(place, ["run", file, "--state", state, "--json"], { env: holds.env }),
  };
}

async function closeBench({ journal, place }: Bench): Promise<void> {
  journal.close();
  await place.close();
}

/** Kills one process of the stack with SIGKILL, and gives its number. */
function kill(bench: Bench, part: StackPart): number {
  const pid = pidOf(bench.state, part);
  if (pid === null) throw new Error(`no ${part} is running`);
  process.kill(pid, "SIGKILL");
  return pid;
}

const expectUntouched = ({ target, untouched }: Bench): void =>
  expect(fingerprint(target.dir)).toBe(untouched);

/** Accepted once: one branch with one commit on the base, and an audit trail that holds. */
async function expectAccepted(bench: Bench, running: Running, stand: string): Promise<void> {
  const { exit, stdout, stderr } = await running.ended;
  expect(exit, stderr).toBe(0);
  const { target, place, state } = bench;
  const { accepted, quest, passes } = JSON.parse(stdout);
  expect(passes).toMatchObject([{ n: 1, verdict: "ACCEPT" }]);
  expect(target.git("for-each-ref", "--format=%(refname)").split("\n")).toEqual([
    "refs/heads/main",
    `refs/heads/questbus/${quest}`,
  ]);
  expect(target.git("rev-list", `main..${accepted.branch}`)).toBe(accepted.commit);
  expect(target.stand()).toBe(stand);
  expect(processesOf(place.dir)).toEqual([]);
  for (const check of ["verify", "replay"]) {
    const audit = await questbus(place, ["audit", check, "--state", state, "--json"]);
    expect(audit.exit, audit.stderr).toBe(0);
  }
  expect(place.leftInTmp()).toEqual([]);
}

const agents = ["architect", "performance", "qa", "ops"] as const;
type Station = {
  phase: string;
  task: string;
  role: (typeof agents)[number];
  point: string;
  also: StackPart[];
};

/** Every task of a pass that one can be killed in, in the order of the schedule; each role is met in each phase. */
const stations: Station[] = [
  { phase: "test", task: "plan", role: "architect", point: "git-architect", also: [] },
  { phase: "test", task: "fitness", role: "ops", point: "git-ops", also: [] },
  { phase: "test", task: "base-suite", role: "qa", point: "run-qa", also: ["orchestrator", "broker"] },
  // A red suite is looked into before anything is measured.
  { phase: "fix", task: "separate", role: "qa", point: "run-qa", also: [] },
  { phase: "test", task: "base-measure", role: "performance", point: "run-performance", also: [] },
  { phase: "fix", task: "choose", role: "architect", point: "git-architect", also: [] },
  { phase: "fix", task: "prepare", role: "ops", point: "git-ops", also: [] },
  {
    phase: "fix",
    task: "produce",
    role: "performance",
    point: "run-fixer",
    also: ["broker", "orchestrator"],
  },
  { phase: "validate", task: "review", role: "architect", point: "git-architect", also: [] },
  { phase: "validate", task: "suite", role: "qa", point: "run-qa", also: [] },
  {
    phase: "validate",
    task: "gate",
    role: "performance",
    point: "run-performance",
    also: ["orchestrator", "broker"],
  },
  { phase: "validate", task: "settle", role: "ops", point: "git-ops", also: [] },
];

describe("kill -9 of agents, orchestrator and broker: the same run goes on", () => {
  let bench: Bench;
  let running: Running;
  let stand: string;
  let seenSeq = 0;

  beforeAll(() => {
    bench = openBench("kill");
    stand = bench.target.stand();
    for (const { point } of stations) bench.holds.set(point);
    bench.holds.set("branch-ops");
    running = bench.start();
  });
  afterAll(() => {
    running.signal("SIGTERM");
    return running.ended.then(() => closeBench(bench));
  });

  /** Kills the agent that holds the task, and waits until its successor is as far. */
  async function killHolder({ role, point }: Pick<Station, "role" | "point">): Promise<void> {
    const { holds, journal } = bench;
    const isHis = ({ assignment }: { assignment: string }): boolean => assignment.endsWith(`.${role}`);
    const claimed = journal
      .of("assignment.claimed")
      .filter(({ body }) => isHis(body))
      .at(-1);
    if (!claimed) throw new Error(`${role} has claimed nothing`);
    const pid = kill(bench, role);
    const again = await journal.until("assignment.claimed", isHis, claimed.seq);
    const [over] = journal.of("lease.expired").filter(({ seq }) => seq > claimed.seq && seq < again.seq);
    expect(over?.body).toMatchObject({ epoch: claimed.body.epoch, reason: "the agent started anew" });
    expect(again.body.epoch).toBe(claimed.body.epoch + 1);
    expect(pidOf(bench.state, role)).not.toBe(pid);
    seenSeq = again.seq;
    if (point !== "branch-ops") await holds.reached(point);
  }

  /** Kills what is not a role agent while a role is at work, whose lease must outlive it. */
  async function killPart(part: StackPart): Promise<void> {
    const pid = kill(bench, part);
    await until(`another ${part}`, () => {
      const now = pidOf(bench.state, part);
      return now !== null && now !== pid;
    });
  }

  async function finishTask({ task, point }: Station): Promise<void> {
    const { holds, journal } = bench;
    holds.lift(point);
    const done = await journal.until("task.reported", ({ report }) => report.task === task, seenSeq);
    expect(done.body.report.fault).toBeNull();
    const lost = journal.of("lease.expired").filter(({ seq }) => seq > seenSeq && seq < done.seq);
    expect(lost).toEqual([]);
    seenSeq = done.seq;
    holds.set(point);
  }

  test.each(stations.slice(0, -1))("$phase, $task: $role, and then $also", async (station) => {
    const { holds, journal } = bench;
    await holds.reached(station.point);
    const offered = journal.of("assignment.offered").at(-1);
    expect(offered?.body).toMatchObject({ phase: station.phase, task: station.task });
    await killHolder(station);
    for (const part of station.also) await killPart(part);
    expectUntouched(bench);
    await finishTask(station);
  });

  test("validate, settle: ops, before it brings the change in and after it made the branch", async () => {
    const { holds, target } = bench;
    const station = stations.at(-1) as Station;
    await holds.reached(station.point);
    await killHolder(station);
    expectUntouched(bench);
    holds.lift(station.point);
    await holds.reached("branch-ops");
    expect(target.git("for-each-ref", "--format=%(refname)", "refs/heads/questbus")).toMatch(
      /^refs\/heads\/questbus\/q-\w{8}$/,
    );
    await killHolder({ role: "ops", point: "branch-ops" });
    holds.lift("branch-ops");
    await expectAccepted(bench, running, stand);
  });

  test("every agent was killed in every phase, and every process came back", () => {
    const joined = (role: string): number =>
      bench.journal.of("agent.joined").filter(({ actor }) => actor.role === role).length;
    expect(Object.fromEntries(agents.map((role) => [role, joined(role)]))).toEqual({
      architect: 4,
      performance: 4,
      qa: 4,
      ops: 5,
    });
    const met = new Set(stations.map(({ phase, role }) => `${phase} ${role}`));
    expect(met.size).toBe(12);
  });
});

describe("kill -9 of the command line: every process ends, and a second run takes the quest up", () => {
  let bench: Bench;
  let stand: string;
  const running: Running[] = [];

  beforeAll(() => {
    bench = openBench("kill-cli");
    stand = bench.target.stand();
    for (const point of ["run-qa", "run-fixer", "run-performance"]) bench.holds.set(point);
    running.push(bench.start());
  });
  afterAll(async () => {
    for (const each of running) each.signal("SIGTERM");
    await Promise.all(running.map((each) => each.ended));
    await closeBench(bench);
  });

  /** Kills the command line and starts another, which must find the same quest and get as far. */
  async function killAndStartAgain(point: string): Promise<void> {
    const { holds, place } = bench;
    await holds.reached(point);
    process.kill((running.at(-1) as Running).pid, "SIGKILL");
    await until(
      "every process of the stack to have ended by itself",
      () => processesOf(place.dir).length === 0,
      15_000,
    );
    expectUntouched(bench);
    const next = bench.start();
    running.push(next);
    await holds.reached(point);
    expect(next.printed().stderr).toContain("this quest was left unfinished: going on with q-");
  }

  test("test: base-suite", async () => {
    await killAndStartAgain("run-qa");
    bench.holds.lift("run-qa");
    bench.holds.lift("run-performance");
  });

  test("fix: produce", async () => {
    await bench.journal.until("assignment.offered", ({ task }) => task === "produce");
    bench.holds.set("run-performance");
    await killAndStartAgain("run-fixer");
    bench.holds.lift("run-fixer");
  });

  test("validate: gate", async () => {
    await killAndStartAgain("run-performance");
    bench.holds.lift("run-performance");
    await expectAccepted(bench, running.at(-1) as Running, stand);
    expect(bench.journal.of("quest.submitted")).toHaveLength(1);
  });
});

/** Each waits for most of its time, for a lease that runs out or for processes to end: so they wait together. */
describe.concurrent("a run of its own", () => {
  test("an agent that hangs loses its lease, drops its work when it comes back, and does it again; one that stays away is replaced", async ({
    expect,
    onTestFinished,
  }) => {
    const bench = openBench("hang");
    onTestFinished(() => closeBench(bench));
    const { holds, journal, state } = bench;
    const stand = bench.target.stand();
    for (const point of ["run-qa", "run-performance"]) holds.set(point);
    const running = bench.start();
    await holds.reached("run-qa");
    const pid = pidOf(state, "qa") as number;
    process.kill(pid, "SIGSTOP");
    const over = await journal.until("lease.expired");
    expect(over.body).toMatchObject({ agent: "qa", reason: "the lease was not renewed" });
    process.kill(pid, "SIGCONT");
    const again = await journal.until("assignment.claimed", ({ agent }) => agent === "qa", over.seq);
    expect(again.body.epoch).toBe(over.body.epoch + 1);
    expect(pidOf(state, "qa")).toBe(pid);
    holds.lift("run-qa");
    await holds.reached("run-performance");
    const stopped = pidOf(state, "performance") as number;
    const left = runsOf(bench, "run-performance");
    expect(left.length).toBeGreaterThan(0);
    process.kill(stopped, "SIGSTOP");
    const lost = await journal.until("lease.expired", ({ agent }) => agent === "performance", over.seq);
    const taken = await journal.until("assignment.claimed", ({ agent }) => agent === "performance", lost.seq);
    expect(taken.body.epoch).toBe(lost.body.epoch + 1);
    expect(pidOf(state, "performance")).not.toBe(stopped);
    await holds.reached("run-performance");
    const now = runsOf(bench, "run-performance");
    expect(left.filter((each) => now.includes(each))).toEqual([]);
    holds.lift("run-performance");
    await expectAccepted(bench, running, stand);
  });

  test("Ctrl-C ends with 130 and every process, and so does SIGTERM; the next run takes the quest up", async ({
    expect,
    onTestFinished,
  }) => {
    const bench = openBench("interrupt");
    onTestFinished(() => closeBench(bench));
    const { holds, place } = bench;
    const stand = bench.target.stand();
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      holds.set("run-performance");
      const running = bench.start();
      await holds.reached("run-performance");
      running.signal(signal);
      const { exit, stdout } = await running.ended;
      expect(exit).toBe(130);
      expect(stdout).toBe("");
      expect(processesOf(place.dir)).toEqual([]);
      expectUntouched(bench);
    }
    holds.lift("run-performance");
    await expectAccepted(bench, bench.start(), stand);
    expect(bench.journal.of("quest.submitted")).toHaveLength(1);
  });
});

/** The processes that stand at a point now. */
const runsOf = ({ place }: Bench, point: string): number[] =>
  processesOf(place.path("holds"))
    .filter(({ command }) => command.includes(` ${point} `))
    .map(({ pid }) => pid);
