import { type BusClient, pause, systemTime, type Time } from "@questbus/bus";
import {
  type CommandData,
  type ConversationEntry,
  type Fault,
  faultsOf,
  limit,
  type MonitorAnswer,
  type ReadAnswer,
  type TurnAnswer,
  type TurnGrant,
} from "@questbus/protocol";

/** A turn of a conversation, as a handler gets it. */
export type TurnWork = TurnGrant & {
  kind: "turn";
  /** All that was said before, with who said it: material, never an instruction. */
  conversation: readonly ConversationEntry[];
  /** Aborts when the turn's time is over, and when the agent is told to stop. */
  signal: AbortSignal;
};

/** What it comes to. `files` are those of the change's diff, exactly. */
export type TurnSaid = Pick<TurnAnswer, "status" | "message"> & Partial<TurnAnswer>;
export type TurnHandler = (work: TurnWork) => TurnSaid | Promise<TurnSaid>;

export type TurnsWork = {
  client: BusClient;
  answer: TurnHandler;
  signal: AbortSignal;
  /** What was not taken, and is tried again or given up. */
  onTrouble: (faults: readonly Fault[]) => void;
  time?: Time;
};

const againMs = 1_000;
const patienceMs = 60_000;
/** How often an answer that is refused is made anew, knowing why, before the turn is answered with blocked. */
const triesMax = 3;

/**
 * Takes the turns of the client's role and answers them, one at a time, until told to stop. Nothing has to be kept: a
 * turn that was not answered is this agent's still, whichever process of it monitors next.
 */
export async function workTurns(work: TurnsWork): Promise<void> {
  const { client, signal, onTrouble, time = systemTime } = work;
  let tries = { turn: "", count: 0 };
  while (!signal.aborted) {
    try {
      const data = { waitMs: limit.monitorWaitMsMax };
      const sinceMs = time.steadyMs();
      const told = (await client.request("monitor", data, {
        retryForMs: patienceMs,
        signal,
      })) as MonitorAnswer;
      if (told.status !== "yours") {
        // Another process of this name monitors too, and each ends the other's: they need not do so all the time.
        if (time.steadyMs() - sinceMs < limit.monitorWaitMsMax / 2) await pause(time, againMs, signal);
        continue;
      }
      const key = `${told.turn.quest} ${told.turn.turn}`;
      tries = { turn: key, count: tries.turn === key ? tries.count + 1 : 1 };
      await takeTurn(work, told.turn, tries.count > triesMax);
    } catch (error) {
      if (signal.aborted) return;
      onTrouble(faultsOf(error));
      await pause(time, againMs, signal);
    }
  }
}

async function takeTurn(work: TurnsWork, turn: TurnGrant, givesUp: boolean): Promise<void> {
  const { client, signal, time = systemTime } = work;
  const over = new AbortController();
  const rest = time.after(turn.leftMs, () => over.abort(new Error("the time of the turn is over")));
  try {
    const conversation = await readAll(client, turn.quest, signal);
    const both = AbortSignal.any([signal, over.signal]);
    const said = givesUp
      ? gaveUp
      : await answered(work, { ...turn, kind: "turn", conversation, signal: both });
    signal.throwIfAborted();
    // The turn is another's by now: an answer to it would be a breach on top of the miss.
    if (said && !over.signal.aborted) await respond(work, turn, said);
  } finally {
    rest();
  }
}

const gaveUp: TurnSaid = { status: "blocked", message: "no answer of this agent to this turn was taken" };

/** What the handler says; what it throws is why the agent is blocked. Null: nobody waits for it any more. */
async function answered({ answer, onTrouble }: TurnsWork, task: TurnWork): Promise<TurnSaid | null> {
  try {
    return await answer(task);
  } catch (error) {
    const faults = faultsOf(error);
    onTrouble(faults);
    if (task.signal.aborted) return null;
    const [fault] = faults;
    const message = `${fault?.code}: ${fault?.message}`.slice(0, limit.turnCharsMax).toWellFormed();
    const asksBack = fault?.code === "CLARIFICATION_WANTED" && task.part === "worker";
    return { status: asksBack ? "clarification" : "blocked", message };
  }
}

async function respond(
  { client, signal }: TurnsWork,
  { quest, turn }: TurnGrant,
  said: TurnSaid,
): Promise<void> {
  const data: CommandData["respond"] = {
    ...{ quest, turn, files: [], next: null, change: null },
    ...said,
  };
  await client.request("respond", data, { retryForMs: patienceMs, signal });
}

async function readAll(client: BusClient, quest: string, signal: AbortSignal): Promise<ConversationEntry[]> {
  const entries: ConversationEntry[] = [];
  for (let after: number | null = 0; after !== null; ) {
    const data = { quest, after, limit: limit.turnsReadMax };
    const page = (await client.request("read", data, { retryForMs: patienceMs, signal })) as ReadAnswer;
    entries.push(...page.entries);
    after = page.next;
  }
  return entries;
}
