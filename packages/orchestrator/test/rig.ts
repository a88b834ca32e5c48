import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Command,
  type CommandHandlers,
  type DeadMessage,
  type JournalStream,
  systemTime,
} from "@questbus/bus";
import type { QuestState } from "@questbus/core";
import {
  type Actor,
  type Answer,
  type ClaimAnswer,
  type CommandData,
  type EventType,
  type Grant,
  type JournalEvent,
  type Role,
  roles,
  type Verb,
} from "@questbus/protocol";
import { openStore, type Store } from "@questbus/store";
import { type PassScript, scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { pino } from "pino";
import { afterEach } from "vitest";
import { type Orchestrator, type OrchestratorParts, startOrchestrator } from "../src/orchestrator.ts";

/**
 * An orchestrator on a real store in a directory of its own, with a clock that the test moves and a bus in this
 * process: commands are handed over directly, published rows are kept.
 */
export type FakeStream = JournalStream & {
  rows: JournalEvent[];
  dead: (DeadMessage & { timeMs: number })[];
  /** Called before rows are taken; a rejection is the broker's. */
  before: (rows: readonly JournalEvent[]) => Promise<void> | void;
};

export type Rig = {
  dir: string;
  store: Store;
  stream: FakeStream;
  clock: { nowMs: number };
  handlers: CommandHandlers;
  orchestrator: Orchestrator;
};

type Options = Partial<Pick<OrchestratorParts, "store" | "stream">> & {
  nowMs?: () => number;
  after?: OrchestratorParts["time"]["after"];
  dir?: string;
};

const opened: { dirs: Set<string>; rigs: Set<Rig>; stores: Set<Store> } = {
  dirs: new Set(),
  rigs: new Set(),
  stores: new Set(),
};

afterEach(async () => {
  for (const rig of opened.rigs) await close(rig);
  for (const store of opened.stores) store.close();
  for (const dir of opened.dirs) rmSync(dir, { recursive: true, force: true });
  for (const each of Object.values(opened)) each.clear();
});

/** A directory that is removed after the test. */
export function freshDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "questbus-orchestrator-"));
  opened.dirs.add(dir);
  return dir;
}

/** An empty store of its own directory, closed after the test. */
export function freshStore(dir: string = freshDir()): Store {
  const store = openStore({ dir, mode: "write" });
  opened.stores.add(store);
  return store;
}

export function fakeStream(): FakeStream {
  const stream: FakeStream = {
    rows: [],
    dead: [],
    before: () => {},
    async publish(rows) {
      await stream.before(rows);
      stream.rows.push(...rows);
    },
    async publishDead(message) {
      stream.dead.push(message);
    },
  };
  return stream;
}

export const silent = pino({ level: "silent" });

export async function openRig(options: Options = {}): Promise<Rig> {
  const store = options.store ?? freshStore(options.dir);
  const stream = fakeStream();
  const clock = { nowMs: 1_000_000 };
  let handlers: CommandHandlers | null = null;
  const orchestrator = await startOrchestrator({
    store,
    stream: options.stream ?? stream,
    time: {
      ...systemTime,
      nowMs: options.nowMs ?? (() => clock.nowMs),
      after: options.after ?? systemTime.after,
    },
    log: silent,
    serve: async (given) => {
      handlers = given;
      return { stop: async () => {} };
    },
  });
  const rig: Rig = {
    dir: store.dir,
    store,
    stream,
    clock,
    handlers: handlers as unknown as CommandHandlers,
    orchestrator,
  };
  opened.rigs.add(rig);
  return rig;
}

/** Ends the orchestrator as its process would, and closes its store. */
export async function close(rig: Rig): Promise<void> {
  if (!opened.rigs.delete(rig)) return;
  await rig.orchestrator.stop();
  opened.stores.delete(rig.store);
  rig.store.close();
}

export const agent = (role: Role, name: string = role): Actor => ({ role, name });
export const operator: Actor = { role: "operator", name: "olga" };
export const arbiter: Actor = { role: "arbiter", name: "ada" };

let ids = 0;
const freshId = (): string => `c-${++ids}`;

/** A command on its way: `answer` resolves with the first answer, `answers` counts them all. */
export type Sent = { answer: Promise<Answer>; answers: Answer[] };

export function post<V extends Verb>(
  rig: Rig,
  actor: Actor,
  verb: V,
  data: CommandData[V],
  id = freshId(),
): Sent {
  const answers: Answer[] = [];
  const { promise, resolve } = Promise.withResolvers<Answer>();
  const respond = (answer: Answer): void => {
    answers.push(answer);
    resolve(answer);
  };
  rig.handlers.onCommand({ id, actor, verb, data, traceparent: null, respond } as unknown as Command);
  return { answer: promise, answers };
}

export const send = <V extends Verb>(
  rig: Rig,
  actor: Actor,
  verb: V,
  data: CommandData[V],
  id = freshId(),
): Promise<Answer> => post(rig, actor, verb, data, id).answer;

/** The code of a refusal; "ok" when there was none. */
export const codeOf = (answer: Answer): string => (answer.ok ? "ok" : (answer.faults[0]?.code ?? "none"));

export function dataOf<T>(answer: Answer): T {
  if (answer.ok) return answer.data as T;
  throw new TypeError(`refused: ${JSON.stringify(answer.faults)}`);
}

export async function submit(rig: Rig, part: Parameters<typeof submission>[0] = {}): Promise<string> {
  return dataOf<{ quest: string }>(await send(rig, operator, "submit", submission(part))).quest;
}

export const claim = (rig: Rig, who: Actor, waitMs = 0, id = freshId()): Promise<Answer> =>
  send(rig, who, "claim", { waitMs }, id);

export async function granted(rig: Rig, who: Actor): Promise<Grant> {
  const answer = dataOf<ClaimAnswer>(await claim(rig, who));
  if (answer.status === "granted") return answer.grant;
  throw new TypeError(`no work for ${who.role}`);
}

export const stateOf = (rig: { store: Store }, quest: string): QuestState =>
  rig.store.getQuestState(quest) as QuestState;

const offeredRole = (rig: Rig, quest: string): Role | null =>
  roles.find((role) => stateOf(rig, quest).assignments[role].status === "offered") ?? null;

/** Claims and reports one task of the quest. */
export async function step(rig: Rig, quest: string, scripts: readonly PassScript[] = []): Promise<Grant> {
  const role = offeredRole(rig, quest);
  if (!role) throw new TypeError(`nothing is offered: ${stateOf(rig, quest).status}`);
  const grant = await granted(rig, agent(role));
  dataOf(await send(rig, agent(role), "report", scriptedReport(grant, scripts[grant.brief.pass - 1])));
  return grant;
}

/** Plays until nothing of the quest is offered any more. */
export async function play(
  rig: Rig,
  quest: string,
  scripts: readonly PassScript[] = [],
): Promise<QuestState> {
  while (offeredRole(rig, quest)) await step(rig, quest, scripts);
  return stateOf(rig, quest);
}

/** Plays until `task` is offered. */
export async function until(
  rig: Rig,
  quest: string,
  task: string,
  scripts: readonly PassScript[] = [],
): Promise<void> {
  while (stateOf(rig, quest).task !== task) await step(rig, quest, scripts);
}

export const rows = (store: Pick<Store, "readJournal">, type?: EventType): JournalEvent[] =>
  store.readJournal({ limit: 10_000, ...(type ? { type } : {}) });

/** A command that changes nothing and leaves no row: the orchestrator takes a turn, and looks at its timers. */
export const poke = (rig: Rig): Promise<Answer> =>
  send(rig, agent("qa", "nobody"), "renew", { assignment: "q-00000000.qa", epoch: 1 });

/** Time passes, and the orchestrator notices. */
export async function pass(rig: Rig, ms: number): Promise<void> {
  rig.clock.nowMs += ms;
  await poke(rig);
}
