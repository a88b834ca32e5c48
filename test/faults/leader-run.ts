import { randomUUID } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import type { BusClient } from "@questbus/bus";
import { heldCursor, leaderCursor } from "@questbus/orchestrator";
import type { CommandData, crashPoints, JournalEvent } from "@questbus/protocol";
import { journalRows, openStore, projectionLines, type StoreReader, verifyJournal } from "@questbus/store";
import {
  type BareCluster,
  type Crashes,
  openCrashes,
  openPlace,
  type Place,
  startBareCluster,
  until,
} from "@questbus/testkit";
import { submission } from "@questbus/testkit/scripted-report";
import { type Agents, insist, startAgents } from "./agents.ts";
import { auditProblems } from "./audit.ts";
import { type Answered, answerProblems, effectsIn, journalProblems } from "./invariant.ts";
import { type Numbers, numbersOf } from "./numbers.ts";
import { endingScenarios } from "./scenario.ts";

/**
 * Runs on a real cluster of three nodes: under a load of asks and quests the orchestrator that leads is killed, or stopped
 * for longer than its lease and then let go on; or it is killed where a batch was sent, or is held.
 */
export type LeaderRig = {
  run(seed: number, how: LeaderFault): Promise<LeaderRun>;
  /** Ends the load, waits until all nodes stand at the same row, and says what is wrong. */
  settle(): Promise<string[]>;
  /** What was answered up to now, and how often a node took rows away that the others never had. */
  figures(): { answered: number; rows: number; cuts: number };
  close(): Promise<void>;
};

/** Where a batch is on its way to the other nodes. */
type LeaderPoint = (typeof crashPoints.leader)[number];
/** At any moment, or killed where it comes to a point. */
export type LeaderFault = "kill" | "pause" | LeaderPoint;
export type LeaderRun = {
  how: LeaderFault;
  /** From the signal to the first answer to a command that was sent after it. */
  takeoverMs: number;
  problems: string[];
};

const asksAtOnce = 8;
const waitMsMax = 60_000;

export async function openLeaderRig(name: string): Promise<LeaderRig> {
  const place = openPlace(name);
  const crashes = openCrashes(place.path("crash"));
  const cluster = await startBareCluster(place.path("state"), crashes.env);
  const stores = new Map(
    cluster.nodes.map((node) => [node, openStore({ dir: cluster.dirOf(node), mode: "read" })]),
  );
  const agents = await startAgents(cluster.clientAs);
  const operator = await cluster.clientAs("operator");
  const rig = new Rig({ place, crashes, cluster, stores, agents, operator });
  rig.begin();
  return rig;
}

type Parts = {
  place: Place;
  crashes: Crashes;
  cluster: BareCluster;
  stores: Map<string, StoreReader>;
  agents: Agents;
  operator: BusClient;
};

class Rig implements LeaderRig {
  readonly #parts: Parts;
  readonly #answered: Answered[] = [];
  readonly #stopping = new AbortController();
  #load: Promise<unknown> = Promise.resolve();
  #sentAfter: { fromMs: number; answered: (ms: number) => void } | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  begin(): void {
    const { signal } = this.#stopping;
    const asking = async (): Promise<void> => {
      while (!signal.aborted) {
        const data: CommandData["ask"] = {
          role: "ops",
          phases: ["test"],
          text: "load",
          data: null,
          waitMs: 0,
        };
        await this.#send("ask", data).catch(unlessAborted(signal));
      }
    };
    this.#load = Promise.all(Array.from({ length: asksAtOnce }, asking));
  }

  /** Sends a command until it is answered, and notes it down. */
  async #send(
    verb: "ask" | "submit",
    data: CommandData["ask" | "submit"],
    id = randomUUID(),
  ): Promise<unknown> {
    const sentMs = performance.now();
    const found = await insist(this.#parts.operator, verb, data, { id, signal: this.#stopping.signal });
    this.#answered.push({ id, verb, yes: found !== null });
    if (this.#sentAfter && sentMs >= this.#sentAfter.fromMs) this.#sentAfter.answered(performance.now());
    return found;
  }

  async run(seed: number, how: LeaderFault): Promise<LeaderRun> {
    const { cluster, crashes } = this.#parts;
    const next = numbersOf(seed);
    const submit = this.#submission(next, seed);
    const id = randomUUID();
    const before = await this.#send("submit", submit, id);
    await pauseMs(next.below(400));
    const leader = this.#leader();
    const ends = cluster.endsOf(leader);
    if (how === "kill" || how === "pause") cluster.signal(leader, how === "kill" ? "SIGKILL" : "SIGSTOP");
    else {
      crashes.order(how, 1 + next.below(20));
      await until(`the leader to die at ${how}`, () => crashes.isDone(), waitMsMax);
      crashes.settle();
    }
    const fromMs = performance.now();
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#sentAfter = { fromMs, answered: resolve };
    const takeoverMs = (await promise) - fromMs;
    this.#sentAfter = null;
    if (how === "pause") cluster.signal(leader, "SIGCONT");
    await until("the node that led to have ended", () => cluster.endsOf(leader) > ends, waitMsMax);
    const after = await insist(this.#parts.operator, "submit", submit, { id });
    const same = isDeepStrictEqual(before, after);
    const problems = [
      ...(same ? [] : [`submit ${id} was answered ${JSON.stringify(before)}, then ${JSON.stringify(after)}`]),
      ...(this.#leader() === leader && how === "pause" ? [`${leader} leads although it was stopped`] : []),
    ];
    return { how, takeoverMs, problems };
  }

  #submission(next: Numbers, seed: number): CommandData["submit"] {
    const budget = { passes: 3, wallClock: "30m" };
    return submission({ title: `${next.one(endingScenarios)}: run ${seed}`, budget });
  }

  #leader(): string {
    const began = [...this.#parts.stores.values()].flatMap((store) => {
      const [row] = store.readJournal({ afterSeq: store.getCursor(leaderCursor) - 1, limit: 1 });
      return row?.type === "leader.began" ? [row.body] : [];
    });
    const last = began.sort((a, b) => a.epoch - b.epoch).at(-1);
    if (!last) throw new Error("nobody led yet");
    return last.node;
  }

  async settle(): Promise<string[]> {
    const { agents, stores } = this.#parts;
    this.#stopping.abort();
    await this.#load;
    await agents.stop();
    const all = [...stores.values()];
    const known = [...this.#answered, ...agents.answered].map(({ id }) => id);
    // Each as one moment shows it: what nobody renews any more still comes due while this looks.
    const seen = await until("every node to have every row", () => alike(all, known), waitMsMax);
    const [first] = all as [StoreReader];
    const rows = [...journalRows(first)];
    return [
      ...journalProblems(rows),
      ...answerProblems([...this.#answered, ...agents.answered], new Set(effectsIn(rows))),
      ...auditProblems(first),
      ...all.flatMap((store, at) =>
        verifyJournal(store).ok ? [] : [`the chain of node ${at + 1} is broken`],
      ),
      ...differences(seen),
      ...epochProblems(rows),
    ];
  }

  figures(): { answered: number; rows: number; cuts: number } {
    const { stores, agents, cluster } = this.#parts;
    const rows = Math.max(...[...stores.values()].map((store) => store.head().seq));
    return {
      answered: this.#answered.length + agents.answered.length,
      rows,
      cuts: cluster.logged("were taken away"),
    };
  }

  async close(): Promise<void> {
    const { cluster, stores, place } = this.#parts;
    for (const store of stores.values()) store.close();
    await cluster.stop();
    await place.close();
  }
}

/** Every projected row and every answer of each node at the same row of the journal; null while they are not all there. */
function alike(stores: readonly StoreReader[], known: readonly string[]): string[][] | null {
  const seen = stores.map((store) =>
    store.snapshot(() => ({
      head: store.head().hash,
      isHeld: store.getCursor(heldCursor) === store.head().seq,
      lines: [
        ...projectionLines(store),
        ...known.map((id) => `answer ${id} ${JSON.stringify(store.answerOf(id))}`),
      ],
    })),
  );
  const isOne = new Set(seen.map(({ head }) => head)).size === 1 && seen.every(({ isHeld }) => isHeld);
  return isOne ? seen.map(({ lines }) => lines) : null;
}

/** The first projected row of each node that is not that of the first. */
const differences = ([first = [], ...others]: readonly string[][]): string[] =>
  others.flatMap((lines, at) => {
    const place = Array.from({ length: Math.max(first.length, lines.length) }).findIndex(
      (_, line) => first[line] !== lines[line],
    );
    return place < 0 ? [] : [`node ${at + 2} has ${lines[place]}, and node 1 ${first[place]}`];
  });

/** Each tenure has a larger epoch than the one before it. */
function epochProblems(rows: readonly JournalEvent[]): string[] {
  const epochs = rows.flatMap((row) => (row.type === "leader.began" ? [row.body.epoch] : []));
  return epochs.flatMap((epoch, at) =>
    at > 0 && epoch <= (epochs[at - 1] as number)
      ? [`epoch ${epoch} came after epoch ${epochs[at - 1]}`]
      : [],
  );
}

const pauseMs = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

const unlessAborted = (signal: AbortSignal) => (error: unknown) => {
  if (!signal.aborted) throw error;
};
