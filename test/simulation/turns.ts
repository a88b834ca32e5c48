import { type TurnSaid, type TurnWork, workTurns } from "@questbus/agent";
import type { BusClient } from "@questbus/bus";
import {
  type CommandData,
  type JournalEvent,
  limit,
  type MonitorAnswer,
  type Principal,
  QuestbusError,
  type Role,
  roles,
} from "@questbus/protocol";
import { insist } from "../faults/agents.ts";
import type { Answered } from "../faults/invariant.ts";
import type { Numbers } from "../faults/numbers.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * Conversations of a simulated world: agents of the product's SDK take the turns of its quests, and some of them hang, die,
 * leave, break rules, or answer what is another's; an operator who follows the journal stream resumes what that paused.
 */
export type SimulatedTurns = {
  /** What this world's quest files say of their fixers. */
  readonly document: object;
  /** The turns that agents were told are theirs. */
  readonly told: readonly TurnTold[];
  /** For so long an agent may wait in the quiet for an answer that was lost before it. */
  readonly deafMs: number;
  /** So much longer the storm lasts, which most passes would else come through before their conversation. */
  readonly stormMs: number;
  calm(): void;
};

export type TurnTold = { quest: string; turn: number; by: string };

type Parts = {
  scheduler: Scheduler;
  /** Its own: the other draws of a seed stay what they were. */
  numbers: Numbers;
  clientAs: (role: Principal, name: string, isAlive?: () => boolean) => BusClient;
  answered: Answered[];
  /** What is on the journal stream by now. */
  published: readonly JournalEvent[];
  /** Gets what is thrown where nobody waits for it. */
  thrown: unknown[];
};

const patchOf = (files: readonly string[]): string =>
  files.map((file) => `--- a/${file}\n+++ b/${file}\n@@ -1 +1 @@\n-x\n+y\n`).join("");
/** What the agents of a simulated quest say that a candidate changes. */
const asSaid = ["src/search.js"];

export function openTurns(parts: Parts): SimulatedTurns {
  const { scheduler, numbers, clientAs, thrown } = parts;
  const told: TurnTold[] = [];
  if (!numbers.chance(1 / 3)) return { document: {}, told, deafMs: 0, stormMs: 0, calm: () => {} };
  let stormy = true;
  const [leader, ...others] = shuffled(numbers, roles) as [Role, ...Role[]];
  const workers = others.slice(0, 1 + numbers.below(2));
  const turns = {
    ...{ leader, workers, turnWithin: numbers.one(["5s", "30s", "90s"]) },
    ...{ turnsMax: numbers.one([3, 8]), onBreach: numbers.one(["warn", "warn", "pause", "cancel"]) },
  };
  const [slow, breaks, strays] = [
    numbers.one([0, 0.1, 0.3]),
    numbers.one([0, 0.2, 0.5]),
    numbers.one([0, 0.3, 0.6]),
  ];
  const answer = async (work: TurnWork): Promise<TurnSaid> => {
    if (stormy && numbers.chance(strays)) stray(work);
    if (stormy && numbers.chance(slow)) await scheduler.pause(numbers.below(Math.max(1, 2 * work.leftMs)));
    else await scheduler.pause(numbers.below(500));
    return stormy && numbers.chance(breaks) ? numbers.one(broken) : said(numbers, work);
  };
  /** An answer of somebody whose turn it may not be. */
  const stray = ({ quest, turn, role }: TurnWork): void => {
    const by = clientAs(numbers.chance(0.5) ? role : numbers.one(roles), numbers.one(["stray", "turns-0"]));
    const data = { quest, turn: Math.max(1, turn - 1 + numbers.below(3)), ...base, ...numbers.one(broken) };
    const id = numbers.hex(16);
    scheduler.after(numbers.below(4_000), () => {
      insist(by, "respond", data, { id })
        .then((done) => parts.answered.push({ id, verb: "respond", yes: done !== null }))
        .catch((error: unknown) => thrown.push(error));
    });
  };
  const waitMs = numbers.one([10_000, 25_000, limit.monitorWaitMsMax]);
  openTurnAgents({ ...parts, told, waitMs, answer, roles: [leader, ...workers], isStormy: () => stormy });
  resumeBreached(parts);
  return {
    document: { fixers: [{ turns }] },
    told,
    deafMs: waitMs + limit.answerTimeoutMs,
    stormMs: numbers.one([0, 30_000, 80_000]),
    calm() {
      stormy = false;
    },
  };
}

const shuffled = <T>(numbers: Numbers, list: readonly T[]): T[] =>
  list
    .map((each) => ({ each, at: numbers.below(1_000) }))
    .sort((a, b) => a.at - b.at)
    .map(({ each }) => each);

const base = { files: [], next: null, change: null };
const done = { status: "completed", message: "done" } as const;

/** Answers that break a rule of somebody's turn, or of everybody's. */
const broken: readonly (TurnSaid & Pick<CommandData["respond"], "status">)[] = [
  done,
  { ...done, next: "ops" },
  { ...done, change: { turn: 1 }, files: asSaid },
  { ...done, change: { patch: patchOf(asSaid) }, files: ["src/index.js"] },
  { ...done, change: { patch: patchOf(["test/a.js"]) }, files: ["test/a.js"] },
  { ...done, change: { patch: patchOf([...asSaid, "src/index.js"]) }, files: [...asSaid, "src/index.js"] },
  { ...done, certainty: 0.5 },
  { status: "blocked", message: "no idea" },
];

/** A move of the conversation. */
function said(numbers: Numbers, { part, workers, turnsLeft, pass, conversation }: TurnWork): TurnSaid {
  const change = { change: { patch: patchOf(asSaid) }, files: [...asSaid] };
  if (part === "worker")
    return numbers.one([
      { ...done, ...change },
      { ...done, ...change },
      done,
      { status: "clarification", message: "which?" },
    ]);
  if (turnsLeft > 0 && numbers.chance(0.6)) return { ...done, next: numbers.one(workers) };
  const theirs = conversation.findLast((each) => each.kind === "answer" && each.change && each.pass === pass);
  if (theirs?.kind === "answer" && numbers.chance(0.7))
    return { ...done, change: { turn: theirs.turn }, files: theirs.files };
  return numbers.chance(0.05) ? { status: "blocked", message: "no way" } : { ...done, ...change };
}

type Agents = Parts & {
  told: TurnTold[];
  /** How long they monitor at a time. */
  waitMs: number;
  roles: readonly Role[];
  answer: (work: TurnWork) => Promise<TurnSaid>;
  isStormy: () => boolean;
};

/** One or two agents a role; in the storm they die or leave, and come back under their names or under others. */
function openTurnAgents(parts: Agents): void {
  const { scheduler, numbers, clientAs, answer, isStormy } = parts;
  const livesMs = numbers.one([Number.POSITIVE_INFINITY, 20_000, 4_000]);
  const keepsName = numbers.chance(0.5);
  const live = (role: Role, at: number, life: number): void => {
    const name = keepsName || life === 0 ? `turns-${at}` : `turns-${at}-${life}`;
    let alive = true;
    const isAlive = (): boolean => alive;
    const client = heard(parts, clientAs(role, name, isAlive), `${role}/${name}`);
    const stopping = new AbortController();
    const time = scheduler.timeOf(isAlive);
    void workTurns({ client, time, answer, signal: stopping.signal, onTrouble: () => {} });
    if (!Number.isFinite(livesMs)) return;
    scheduler.after(1 + numbers.below(livesMs), () => {
      if (!isStormy()) return;
      if (numbers.chance(0.3)) {
        stopping.abort();
        insist(client, "leave", {}, { id: numbers.hex(16) }).catch((error: unknown) =>
          parts.thrown.push(error),
        );
      } else alive = false;
      scheduler.after(numbers.below(15_000), () => live(role, at, life + 1));
    });
  };
  for (const role of parts.roles) {
    // Now and then a role has nobody for a while, and its turns go by.
    const absentMs = numbers.one([0, 0, 60_000]);
    for (let at = 0; at <= numbers.below(2); at += 1) scheduler.after(absentMs, () => live(role, at, 0));
  }
}

/** What says nothing of whether the command was carried out, or will be. */
const unknown = ["BUS_UNAVAILABLE", "DISK_FULL", "OVERLOADED", "INTERNAL"];

/** The client of an agent, with what it is told kept. */
const heard = ({ numbers, answered, told, waitMs }: Agents, client: BusClient, by: string): BusClient => ({
  ...client,
  async request(verb, data, options) {
    const id = options?.id ?? numbers.hex(16);
    try {
      const answer = await client.request(verb, verb === "monitor" ? { ...data, waitMs } : data, {
        ...options,
        id,
      });
      if (verb === "respond") answered.push({ id, verb, yes: true });
      const monitored = verb === "monitor" ? (answer as MonitorAnswer) : null;
      if (monitored?.status === "yours") {
        const { quest, turn } = monitored.turn;
        told.push({ quest, turn, by });
      }
      return answer;
    } catch (error) {
      const isRefused = error instanceof QuestbusError && !unknown.includes(error.code);
      if (verb === "respond" && isRefused) answered.push({ id, verb, yes: false });
      throw error;
    }
  },
});

/** An operator who looks after quests that a broken rule has paused. */
function resumeBreached({ scheduler, numbers, clientAs, published, thrown }: Parts): void {
  const client = clientAs("operator", "operator");
  let [at, heardSeq] = [0, 0];
  const follow = (): void => {
    for (; at < published.length; at += 1) {
      const { type, seq, quest, actor } = published[at] as JournalEvent;
      if (type !== "quest.paused" || actor.role !== "orchestrator" || !quest || seq <= heardSeq) continue;
      heardSeq = seq;
      scheduler.after(numbers.below(8_000), () => {
        insist(client, "resume", { scope: quest }, { id: numbers.hex(16) }).catch((error: unknown) =>
          thrown.push(error),
        );
      });
    }
    scheduler.after(1_000 + numbers.below(3_000), follow);
  };
  follow();
}

/** Who was told that a turn is its own has it in the journal. */
export function turnToldProblems(told: readonly TurnTold[], rows: readonly JournalEvent[]): string[] {
  const taken = new Set(
    rows.flatMap(({ type, quest, body, actor }) =>
      type === "turn.taken" ? [`${quest} ${body.turn} ${actor.role}/${actor.name}`] : [],
    ),
  );
  return told.flatMap(({ quest, turn, by }) =>
    taken.has(`${quest} ${turn} ${by}`) ? [] : [`${by} was told that turn ${turn} of ${quest} is its own`],
  );
}
