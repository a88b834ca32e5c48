import { type BusClient, pause, systemTime, type Time } from "@questbus/bus";
import {
  type AskGrant,
  type AskOutcome,
  type AskReportAnswer,
  type ClaimAnswer,
  errorRegistry,
  type Fault,
  faultsOf,
  limit,
  QuestbusError,
} from "@questbus/protocol";
import { sendReport } from "./report.ts";

/** One phase of an ask at work; `signal` aborts when its lease is lost. */
export type AskTask = AskGrant & { readonly signal: AbortSignal };

export type AskWork = {
  client: BusClient;
  /** Gives the result of the phase `task.phase`, any JSON value; what it throws ends the ask with that fault. */
  answer: (task: AskTask) => unknown;
  /** Asks held at once. */
  asksMax?: number;
  /** Aborts to stop: what is held is given back. */
  signal: AbortSignal;
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

type Held = { grant: AskGrant; sinceMs: number; lost: AbortController | null };

/**
 * Takes the asks of the client's role and answers them, until told to stop. What is finished in the same turn of the
 * event loop is reported in one message. A refused report means that the lease is over: somebody else has the ask.
 */
export async function workAsks(work: AskWork): Promise<void> {
  const hands = new Hands(work);
  try {
    while (!work.signal.aborted) await hands.claim();
  } finally {
    await hands.stop();
  }
}

class Hands {
  readonly #work: AskWork;
  readonly #time: Time;
  readonly #asksMax: number;
  readonly #held = new Map<string, Held>();
  #done: AskOutcome[] = [];
  #scheduled = false;
  #reporting = new Set<Promise<void>>();
  #room = Promise.withResolvers<void>();
  /** Takes the next renewal back. */
  #rest: () => void = () => {};

  constructor(work: AskWork) {
    this.#work = work;
    this.#time = work.time ?? systemTime;
    this.#renewLater();
    this.#asksMax = Math.min(work.asksMax ?? asksDefault, limit.asksClaimedMax);
    work.signal.addEventListener("abort", () => this.#room.resolve(), { once: true });
  }

  /** Claims as many as there is room for, and begins them. */
  async claim(): Promise<void> {
    const { client, signal } = this.#work;
    const asks = this.#asksMax - this.#held.size;
    if (asks === 0) {
      this.#room = Promise.withResolvers();
      return this.#room.promise;
    }
    try {
      const waitMs = limit.claimWaitMsMax;
      const options = { timeoutMs: waitMs + claimAnswerSlackMs, retryForMs: patienceMs, signal };
      const answer = (await client.request("claim", { waitMs, asks }, options)) as ClaimAnswer;
      if (answer.status === "granted") await this.#giveBack(answer.grant);
      if (answer.status !== "asked") return;
      for (const grant of answer.asks) this.#begin(grant);
    } catch (error) {
      if (signal.aborted) return;
      this.#trouble(error);
      await pause(this.#time, claimPauseMs, signal);
    }
  }

  /** An assignment of a quest is not for these hands. */
  async #giveBack({ assignment, epoch }: { assignment: string; epoch: number }): Promise<void> {
    await this.#work.client.request("release", { assignment, epoch, reason: "this agent works asks only" });
  }

  #begin(grant: AskGrant): void {
    const held: Held = { grant, sinceMs: this.#time.steadyMs(), lost: null };
    this.#held.set(grant.assignment, held);
    const task: AskTask = {
      ...grant,
      get signal() {
        held.lost ??= new AbortController();
        return held.lost.signal;
      },
    };
    void this.#perform(task);
  }

  async #perform(task: AskTask): Promise<void> {
    const { assignment, epoch, phase } = task;
    try {
      const result = (await this.#work.answer(task)) ?? null;
      this.#done.push({ assignment, epoch, phase, result, fault: null });
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
      const answer = await sendReport(this.#work, { task: "ask", asks });
      for (const each of (answer as AskReportAnswer).asks) this.#after(each);
    } catch (error) {
      this.#trouble(error);
      for (const { assignment } of asks) this.#drop(assignment);
    }
  }

  #after(answer: AskReportAnswer["asks"][number]): void {
    const held = this.#held.get(answer.assignment);
    if (answer.status === "refused") this.#work.onTrouble?.([answer.fault]);
    if (answer.status !== "next" || !held) return this.#drop(answer.assignment);
    const { phase } = answer;
    this.#begin({ ...held.grant, phase });
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
    const beforeMs = this.#time.steadyMs() - limit.renewEveryMs / 2;
    for (const { grant, sinceMs } of this.#held.values()) {
      const { assignment, epoch } = grant;
      if (sinceMs > beforeMs) continue;
      const options = { timeoutMs: limit.renewEveryMs };
      this.#work.client.request("renew", { assignment, epoch }, options).catch((error: unknown) => {
        if (!(error instanceof QuestbusError) || errorRegistry[error.code].class !== "terminal") return;
        this.#trouble(error);
        this.#drop(assignment);
      });
    }
  }

  async stop(): Promise<void> {
    this.#rest();
    await Promise.all(this.#reporting);
    for (const { grant } of [...this.#held.values()]) {
      const { assignment, epoch } = grant;
      const reason = "the agent stops";
      await this.#work.client.request("release", { assignment, epoch, reason }).catch(() => {});
      this.#drop(assignment);
    }
  }

  #trouble(error: unknown): void {
    this.#work.onTrouble?.(faultsOf(error));
  }
}
