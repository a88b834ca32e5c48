import { type BusClient, createClient } from "@questbus/bus";
import {
  armCrashPoints,
  type CommandData,
  endings,
  type Grant,
  type JournalEvent,
  limit,
  type Principal,
  type Role,
  roles,
} from "@questbus/protocol";
import { journalRows, openMemoryStore, type Store } from "@questbus/store";
import { submission } from "@questbus/testkit/scripted-report";
import { insist, liveAsAgent } from "../faults/agents.ts";
import { auditProblems } from "../faults/audit.ts";
import { type Answered, answerProblems, effectsIn, journalProblems } from "../faults/invariant.ts";
import { type Numbers, numbersOf } from "../faults/numbers.ts";
import { scenarioNames } from "../faults/scenario.ts";
import { approvalToldProblems, openApprovals, type SimulatedApprovals } from "./approvals.ts";
import { openAsks, type SimulatedAsks, toldProblems } from "./asks.ts";
import { openSimulatedBus } from "./bus.ts";
import { isCrash, openSimulatedOrchestrator } from "./orchestrator.ts";
import { openPauses } from "./pauses.ts";
import { openScheduler, type Scheduler } from "./scheduler.ts";
import { openSimulatedStream } from "./stream.ts";
import { openTurns, turnToldProblems } from "./turns.ts";

/**
 * One simulated world: an orchestrator, four agents, an operator, an arbiter, and in most worlds asks and who answers
 * them, in some approvals or conversations, over a bad bus, and a storm of faults that ends at some time. All of it
 * follows from the seed. Then it is quiet, every quest has to end, and the invariants are checked.
 */
export type World = {
  seed: number;
  problems: string[];
  rows: readonly JournalEvent[];
  crashes: number;
  /** Simulated milliseconds until all was over. */
  tookMs: number;
};

/** In the quiet after the storm a quest takes less: a lease runs out, a few tasks are done. */
const quietMsMax = 200_000;
const stormMs = [0, 5_000, 30_000, 90_000] as const;
const rulings = ["abandon", "retry", "accept", "revert"] as const;

export async function playWorld(seed: number): Promise<World> {
  const numbers = numbersOf(seed);
  const thrown: unknown[] = [];
  const scheduler = openScheduler((error) => {
    if (!isCrash(error)) thrown.push(error);
  });
  const store = openMemoryStore(numbers.hex(16));
  const bus = openSimulatedBus(scheduler, numbers);
  const stream = openSimulatedStream(scheduler, numbers);
  const orchestrator = openSimulatedOrchestrator({ scheduler, numbers, bus, stream, store });
  const answered: Answered[] = [];
  const newId = (): string => numbers.hex(16);
  // Numbers of their own: the other draws of a seed stay what they were.
  const reportNumbers = numbersOf(seed ^ 0x5eed);
  const newReportId = (): string => reportNumbers.hex(16);
  const clientAs = (role: Principal, name: string = role, isAlive = () => true): BusClient =>
    mortal(createClient(bus.connectionOf(role, name), { time: scheduler.timeOf(isAlive), newId }), isAlive);
  const around = { scheduler, clientAs, answered, published: stream.rows, thrown };
  const approvals = openApprovals({ ...around, numbers: numbersOf(seed ^ 0xa9920) });
  const turns = openTurns({ ...around, numbers: numbersOf(seed ^ 0x702175) });
  const crew = openCrew({ scheduler, numbers, clientAs, answered, newId, thrown, approvals });
  const document = { ...approvals.document, ...turns.document };
  const quests = submitQuests({
    scheduler,
    numbers,
    client: clientAs("operator"),
    answered,
    newId,
    document,
  });
  ruleNowAndThen({ scheduler, numbers, client: clientAs("arbiter"), store, newId });

  const asks = openAsks({ scheduler, numbers, clientAs, newId, newReportId, thrown });
  const pauses = openPauses({
    scheduler,
    numbers: numbersOf(~seed),
    client: clientAs("operator"),
    newId,
    quests: () => quests.flatMap(({ id }) => id ?? []),
    withSafeMode: asks.isOver(),
  });
  const calmAtMs = numbers.one(stormMs) + turns.stormMs;
  scheduler.after(calmAtMs, () => {
    bus.calm();
    stream.calm();
    orchestrator.calm();
    crew.calm();
    asks.calm();
    pauses.calm();
    approvals.calm();
    turns.calm();
  });
  let seenRows = -1;
  /** The quests are read again only when there are rows that were not seen yet. */
  const isOver = (): boolean => {
    if (scheduler.nowMs <= calmAtMs || !asks.isOver() || stream.rows.length === seenRows) return false;
    seenRows = stream.rows.length;
    return allOver();
  };
  const allOver = (): boolean =>
    asks.isOver() &&
    quests.every((quest) => quest.id !== null && isEnded(store.getQuest(quest.id)?.status)) &&
    stream.rows.at(-1)?.seq === store.head().seq;
  const quietMs = quietMsMax + turns.deafMs;
  await scheduler.run(isOver, calmAtMs + quietMs);
  armCrashPoints(null);
  const rows = [...journalRows(store)];
  const problems = [
    ...(allOver() ? [] : [stuck(quests, asks, store, quietMs)]),
    ...[...orchestrator.errors, ...thrown].map((error) => `thrown: ${textOf(error)}`),
    ...journalProblems(rows),
    ...answerProblems(answered, new Set(effectsIn(rows))),
    ...toldProblems(asks.told, store),
    ...approvalToldProblems(approvals.told, rows),
    ...turnToldProblems(turns.told, rows),
    ...streamProblems(stream.rows, rows),
    ...auditProblems(store),
  ];
  store.close();
  return { seed, problems, rows, crashes: orchestrator.crashes, tookMs: scheduler.nowMs };
}

/** The client of a process that can die: nothing it has sent for comes back to it. */
const mortal = (client: BusClient, isAlive: () => boolean): BusClient => ({
  ...client,
  async request(verb, data, options) {
    try {
      return await client.request(verb, data, options);
    } finally {
      if (!isAlive()) await new Promise<never>(() => {});
    }
  },
});

const isEnded = (status: string | undefined): boolean =>
  status !== undefined && endings.some((each) => each === status);

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

type Crew = {
  scheduler: Scheduler;
  numbers: Numbers;
  clientAs: (role: Principal) => BusClient;
  answered: Answered[];
  newId: () => string;
  thrown: unknown[];
  approvals: SimulatedApprovals;
};

/** One agent a role; in the storm they die, and come back under their names. */
function openCrew({ scheduler, numbers, clientAs, answered, newId, thrown, approvals }: Crew): {
  calm(): void;
} {
  let stormy = true;
  const [slow, forgets] = [numbers.one([0, 0.05, 0.3]), numbers.one([0, 0.02])];
  const livesMs = numbers.one([Number.POSITIVE_INFINITY, 30_000, 5_000]);
  /** Now and then a task outlasts its lease, or is forgotten. */
  const work = async (grant: Grant, client: BusClient): Promise<boolean> => {
    approvals.ask(grant, client);
    if (!stormy) return true;
    if (numbers.chance(slow)) await scheduler.pause(numbers.below(2 * limit.leaseMs));
    return !numbers.chance(forgets);
  };
  const live = (role: Role): void => {
    const life = new AbortController();
    const client = clientAs(role);
    liveAsAgent({
      ...{ client, answered, signal: life.signal, newId, pid: 1 },
      work: (grant) => work(grant, client),
    }).catch((error: unknown) => thrown.push(error));
    if (!Number.isFinite(livesMs)) return;
    scheduler.after(numbers.below(livesMs), () => {
      if (!stormy) return;
      life.abort();
      scheduler.after(numbers.below(15_000), () => live(role));
    });
  };
  for (const role of roles) live(role);
  return {
    calm() {
      stormy = false;
    },
  };
}

type Submitting = Omit<Crew, "clientAs" | "thrown" | "approvals"> & { client: BusClient; document: object };

/** One to three quests; some of them are cancelled on the way. */
function submitQuests({
  scheduler,
  numbers,
  client,
  answered,
  newId,
  document,
}: Submitting): { id: string | null }[] {
  return Array.from({ length: 1 + numbers.below(2) }, (_, at) => {
    const quest: { id: string | null } = { id: null };
    const scenario = numbers.one(scenarioNames);
    // Who hangs for ever would take longer than the quiet lasts.
    const wallClock = scenario === "no time left" ? "20s" : numbers.one(["30m", "30m", "20s"]);
    const title = `${scenario}: ${at}`;
    const data = submission({ title, budget: { passes: 1 + numbers.below(3), wallClock }, ...document });
    const cancels = numbers.chance(0.2);
    const follow = async (first?: string): Promise<void> => {
      const drawn = newId();
      const id = first ?? drawn;
      const sent = (await insist(client, "submit", data, { id })) as { quest: string } | null;
      // In safe mode: the same once more, later. This refusal alone is not the last word on its id.
      if (!sent) return void scheduler.after(2_000, () => void follow(id));
      answered.push({ id, verb: "submit", yes: true });
      quest.id = sent.quest;
      if (!cancels) return;
      await scheduler.pause(numbers.below(60_000));
      const cancelId = newId();
      const done = await insist(client, "cancel", { quest: sent.quest, reason: "enough" }, { id: cancelId });
      answered.push({ id: cancelId, verb: "cancel", yes: done !== null });
    };
    scheduler.after(numbers.below(2_000), () => void follow());
    return quest;
  });
}

/** An arbiter who looks every few seconds, and rules on what is open. */
function ruleNowAndThen({
  scheduler,
  numbers,
  client,
  store,
  newId,
}: Pick<Crew, "scheduler" | "numbers" | "newId"> & { client: BusClient; store: Store }): void {
  const look = async (): Promise<void> => {
    for (const { id } of store.listEscalations({ status: "open" })) {
      const ruling = { escalation: id, reason: "seen", guidance: null };
      const rule = (decision: (typeof rulings)[number]): Promise<unknown> =>
        insist(client, "rule", { ...ruling, decision } as CommandData["rule"], { id: newId() });
      if ((await rule(numbers.one(rulings))) === null) await rule("abandon");
    }
    scheduler.after(2_000 + numbers.below(4_000), () => void look());
  };
  scheduler.after(numbers.below(4_000), () => void look());
}

const stuck = (
  quests: readonly { id: string | null }[],
  asks: SimulatedAsks,
  store: Store,
  quietMs: number,
): string => {
  const states = quests.map(({ id }) => (id ? `${id} ${store.getQuest(id)?.status}` : "not taken"));
  const open = asks.isOver() ? "" : `, ${store.openAsks().length} asks open`;
  return `not over ${quietMs / 1_000} s after the storm: ${states.join(", ")}${open}; journal ${store.head().seq}`;
};

/** Every committed row is on the stream, and the rows stand there in order when repetitions are left out. */
function streamProblems(published: readonly JournalEvent[], rows: readonly JournalEvent[]): string[] {
  const seen = new Set<string>();
  const first = published.filter(({ id }) => !seen.has(id) && seen.add(id));
  const at = rows.findIndex((row, index) => first[index]?.hash !== row.hash);
  if (at < 0 && first.length === rows.length) return [];
  return [`the stream has ${first[at]?.id ?? "nothing"} where row ${rows[at]?.seq ?? "(none)"} belongs`];
}
