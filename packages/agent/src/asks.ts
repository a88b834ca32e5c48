import { type BusClient, pause, systemTime, type Time } from "@questbus/bus";
import {
  type AskGrant,
  type AskOutcome,
  type AskReportAnswer,
  phases as allPhases,
  type ClaimAnswer,
  type CommandData,
  errorRegistry,
  type Fault,
  faultsOf,
  limit,
  type Phase,
  QuestbusError,
} from "@questbus/protocol";
import { sendReport } from "./report.ts";
import type { Spool } from "./spool.ts";
import { StatedResult } from "./stated.ts";

/** One phase of an ask at work. */
export type AskTask = AskGrant & {
  /** Aborts when its lease is lost. */
  readonly signal: AbortSignal;
  /** Something was done. An ask of which nothing is heard for five minutes is given back. */
  progress(): void;
};

export type AskWork = {
  client: BusClient;
  /** Gives the result of the phase `task.phase`, any JSON value or what `stated` makes of one; what it throws ends the ask with that fault. */
  answer: (task: AskTask) => unknown;
  /** The phases that it answers, in the order of a pass; all by default. Asks in others are left to other agents. */
  phases?: readonly Phase[];
  /** Asks held at once. */
  asksMax?: number;
  /** Aborts to stop: what is held is given back. */
  signal: AbortSignal;
  /** How long what is held may still take when it is told to stop; it is given back at once by default. */
  drainMs?: number | undefined;
  /** Where reports stand until they are answered. */
  spool?: Spool | undefined;
  /** A claim or report that was not taken; it is tried again, or the lease runs out. */
  onTrouble?: (faults: readonly Fault[]) => void;
  /** The system's own by default. */
  time?: Time;
  /** Ids of reports; random ones by default. */
  newId?: () => string;
};

const asksDefault = 16;
const claimAnswerSlackMs = 2_000;
const claimPauseMs = 1_000;
const patienceMs = 60_000;

type Held = { grant: AskGrant; sinceMs: number; movedMs: number; lost: AbortController | null };

/**
 * Takes the asks of the client's role and answers them, until told to stop. What is finished in the same turn of the
 * event loop is reported in one message. A refused report means that the lease is over: somebody else has the ask.
 */
export async function workAsks(work: AskWork): Promise<void> {
  const hands = new AskHands(work);
  try {
    while (!work.signal.aborted) await claim(work, hands);
  } finally {
    await hands.stop();
  }
}

/** Claims as many as there is room for, and begins them. */
async function claim(
  { client, signal, onTrouble, time = systemTime }: AskWork,
  hands: AskHands,
): Promise<void> {
  if (hands.room === 0) return hands.untilRoom();
  try {
    const waitMs = limit.claimWaitMsMax;
    const options = { timeoutMs: waitMs + claimAnswerSlackMs, retryForMs: patienceMs, signal };
    const answer = (await client.request("claim", { waitMs, ...hands.wanted }, options)) as ClaimAnswer;
    if (answer.status === "granted") {
      // An assignment of a quest is not for these hands.
      const { assignment, epoch } = answer.grant;
      await client.request("release", { assignment, epoch, reason: "this agent works asks only" });
    }
    if (answer.status === "asked") hands.take(answer.asks);
  } catch (error) {
    if (signal.aborted) return;
    onTrouble?.(faultsOf(error));
    await pause(time, claimPauseMs, signal);
  }
}

/** Holds the asks that were claimed: begins them, renews their leases, reports what they come to. */
export class AskHands {
  readonly #work: AskWork;
  readonly #time: Time;
  readonly #asksMax: number;
  readonly #phases: readonly Phase[];
  readonly #held = new Map<string, Held>();
  #done: AskOutcome[] = [];
  #scheduled = false;
  #reporting = new Set<Promise<void>>();
  #room = Promise.withResolvers<void>();
  /** Aborts when the time to finish is over, too. */
  readonly #late = new AbortController();
  /** Takes the next renewal back. */
  #rest: () => void = () => {};

  constructor(work: AskWork) {
    this.#work = work;
    this.#time = work.time ?? systemTime;
    this.#renewLater();
    this.#phases = work.phases ?? allPhases;
    this.#asksMax = Math.min(work.asksMax ?? asksDefault, limit.asksClaimedMax);
    work.signal.addEventListener("abort", () => this.#room.resolve(), { once: true });
  }

  /** How many more it takes. */
  get room(): number {
    return this.#asksMax - this.#held.size;
  }

  /** What a claim says of asks. */
  get wanted(): Pick<CommandData["claim"], "asks" | "askPhases"> {
    const isAll = this.#phases.length === allPhases.length;
    return { asks: this.room, ...(isAll ? {} : { askPhases: [...this.#phases] }) };
  }

  /** Resolves when it takes one more, or is told to stop. */
  untilRoom(): Promise<void> {
    this.#room = Promise.withResolvers();
    if (this.#work.signal.aborted) this.#room.resolve();
    return this.#room.promise;
  }

  take(asks: readonly AskGrant[]): void {
    for (const grant of asks) this.#begin(grant);
  }

  #begin(grant: AskGrant): void {
    const nowMs = this.#time.steadyMs();
    const held: Held = { grant, sinceMs: nowMs, movedMs: nowMs, lost: null };
    this.#held.set(grant.assignment, held);
    const task: AskTask = {
      ...grant,
      get signal() {
        held.lost ??= new AbortController();
        return held.lost.signal;
      },
      progress: () => {
        held.movedMs = this.#time.steadyMs();
      },
    };
    void this.#perform(task);
  }

  async #perform(task: AskTask): Promise<void> {
    const { assignment, epoch, phase } = task;
    try {
      const answer = await this.#work.answer(task);
      const { result, said } = answer instanceof StatedResult ? answer : { result: answer, said: {} };
      this.#done.push({ assignment, epoch, phase, result: result ?? null, fault: null, ...(said as object) });
    } catch (error) {
      const [fault] = faultsOf(error);
      this.#done.push({ assignment, epoch, phase, result: null, fault: fault ?? null });
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#time.soon(() => this.#report());
  }

  #report(): void {
    this.#scheduled = false;
    while (this.#done.length > 0) {
      const sent: Promise<void> = this.#deliver(this.#done.splice(0, limit.asksClaimedMax)).finally(() =>
        this.#reporting.delete(sent),
      );
      this.#reporting.add(sent);
    }
  }

  async #deliver(asks: AskOutcome[]): Promise<void> {
    try {
      const { client, time, newId, spool } = this.#work;
      const answer = await sendReport(
        { client, time, newId, spool, signal: this.#late.signal },
        { task: "ask", asks },
      );
      for (const each of (answer as AskReportAnswer).asks) this.#after(each);
    } catch (error) {
      this.#trouble(error);
      for (const { assignment } of asks) this.#drop(assignment);
    }
  }

  #after(answer: AskReportAnswer["asks"][number]): void {
    const held = this.#held.get(answer.assignment);
    if (answer.status === "refused") this.#work.onTrouble?.([answer.fault]);
    if ((answer.status !== "next" && answer.status !== "clarification") || !held)
      return this.#drop(answer.assignment);
    const { clarification: _, ...grant } = held.grant;
    const missing = answer.status === "clarification" ? { clarification: answer.fault } : {};
    if (!this.#phases.includes(answer.phase)) return this.#passOn(held.grant, answer.phase);
    this.#begin({ ...grant, phase: answer.phase, ...missing });
  }

  /** The next phase is not its own: an agent that takes it goes on with what was found. */
  #passOn(grant: AskGrant, phase: Phase): void {
    const sent: Promise<void> = this.#release(grant, `this agent does not answer phase ${phase}`).finally(
      () => this.#reporting.delete(sent),
    );
    this.#reporting.add(sent);
  }

  #drop(assignment: string): void {
    this.#held.get(assignment)?.lost?.abort();
    this.#held.delete(assignment);
    this.#room.resolve();
  }

  #renewLater(): void {
    this.#rest = this.#time.after(limit.renewEveryMs, () => {
      this.#renewLater();
      this.#renew();
    });
  }

  /** Leases that were not renewed by a report lately. */
  #renew(): void {
    const nowMs = this.#time.steadyMs();
    for (const { grant, sinceMs, movedMs } of [...this.#held.values()]) {
      const { assignment, epoch } = grant;
      if (sinceMs > nowMs - limit.renewEveryMs / 2) continue;
      if (movedMs <= nowMs - limit.stillMs) {
        this.#trouble(stoodStill(assignment));
        void this.#release(grant, "no progress");
        continue;
      }
      const options = { timeoutMs: limit.renewEveryMs };
      this.#work.client.request("renew", { assignment, epoch }, options).catch((error: unknown) => {
        if (!(error instanceof QuestbusError) || errorRegistry[error.code].class !== "terminal") return;
        this.#trouble(error);
        this.#drop(assignment);
      });
    }
  }

  /** Waits a while for what is held, then gives it back. */
  async stop(): Promise<void> {
    const { drainMs = 0 } = this.#work;
    const untilMs = this.#time.steadyMs() + drainMs;
    while (this.#held.size > 0 && this.#time.steadyMs() < untilMs) {
      this.#room = Promise.withResolvers();
      await Promise.race([this.#room.promise, pause(this.#time, untilMs - this.#time.steadyMs())]);
    }
    this.#rest();
    this.#late.abort();
    await Promise.all(this.#reporting);
    await Promise.all([...this.#held.values()].map(({ grant }) => this.#release(grant, "the agent stops")));
  }

  async #release({ assignment, epoch }: AskGrant, reason: string): Promise<void> {
    this.#drop(assignment);
    await this.#work.client.request("release", { assignment, epoch, reason }).catch(() => {});
  }

  #trouble(error: unknown): void {
    this.#work.onTrouble?.(faultsOf(error));
  }
}

const stoodStill = (assignment: string): QuestbusError =>
  new QuestbusError({
    code: "AGENT_LOST",
    message: `nothing was heard of ${assignment} for ${limit.stillMs / 60_000} minutes: it was given back`,
    next: "say progress while you work on it",
  });
