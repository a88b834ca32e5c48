import { type BatchStream, type JournalStream, type LeaderLease, pause, type Time } from "@questbus/bus";
import { limit } from "@questbus/protocol";
import type { Store } from "@questbus/store";
import type { Logger } from "pino";
import { type Orchestrator, type OrchestratorParts, startOrchestrator } from "../orchestrator.ts";
import { leaderCursor } from "./cursor.ts";
import { type Following, openFollowing } from "./follower.ts";
import { apart } from "./placement.ts";
import { openReplication } from "./replication.ts";
import { openTenure, type Tenure } from "./tenure.ts";

/**
 * One node of a cluster: it follows the leader's batches, and leads when the lease is free.
 *
 *     follow ──▶ take the lease ──▶ read to the end ──▶ append `leader.began` ──▶ serve commands
 *
 * What comes back from leading is no follower: whoever may have led too long, or finds its own journal apart, ends, and is
 * started anew (`onEnd`).
 */
export type Standby = { stop(): Promise<void> };

export type StandbyParts = {
  node: string;
  store: Store;
  batches: BatchStream;
  lease: LeaderLease;
  journal: JournalStream;
  serve: OrchestratorParts["serve"];
  /** Tells callers to ask again what an earlier leader has not answered. */
  announce(): void;
  time: Time;
  log: Logger;
  /** Commands are served from here on. */
  onLead(epoch: number): void;
  /** This process has to end: it leads no more, or cannot go on. */
  onEnd(why: unknown): void;
};

/** A stream that was just started may show less than it holds. */
const readyMsMax = 15_000;
const lookMs = 100;

export async function startStandby(parts: StandbyParts): Promise<Standby> {
  const following = openFollowing(parts.store, parts.log);
  await assertTogether(parts, following);
  const life = new Life(parts, following);
  await life.follow();
  return life;
}

/** @throws QuestbusError STANDBY_APART, or BUS_UNAVAILABLE */
async function assertTogether({ batches, time }: StandbyParts, { position }: Following): Promise<void> {
  const untilMs = time.steadyMs() + readyMsMax;
  for (;;) {
    const isLate = time.steadyMs() > untilMs;
    const ends = await batches.ends().catch((error: unknown) => {
      if (isLate) throw error;
      return null;
    });
    if (ends && ends.last >= position) return;
    if (isLate)
      throw apart(
        `this node has read the cluster's stream up to message ${position}, and the stream ends at ${ends?.last}: its data is lost`,
      );
    await pause(time, lookMs);
  }
}

/**
 * Callers at other brokers can hear that a leader serves before their own broker knows where: what they then ask reaches the
 * one that stands still alone, and would wait there for its whole time. So they are told again.
 */
const announceAfterMs = [100, 400, 1_200];

/** The epoch of the last tenure that this node knows of. */
function lastEpoch(store: Store): number {
  const [row] = store.readJournal({ afterSeq: store.getCursor(leaderCursor) - 1, limit: 1 });
  return row?.type === "leader.began" ? row.body.epoch : 0;
}

class Life implements Standby {
  readonly #parts: StandbyParts;
  readonly #following: Following;
  #stopReading: () => Promise<void> = async () => {};
  #flushing = false;
  #stopped = false;
  #tenure: Tenure | null = null;
  #orchestrator: Orchestrator | null = null;

  constructor(parts: StandbyParts, following: Following) {
    this.#parts = parts;
    this.#following = following;
  }

  async follow(): Promise<void> {
    const { batches, time, onEnd } = this.#parts;
    this.#stopReading = await batches.read(this.#following.position, {
      onMessage: (what, position) => {
        this.#following.take(what, position);
        if (!this.#flushing) time.soon(() => this.#flush());
        this.#flushing = true;
      },
      onBroken: onEnd,
    });
    this.#lookLater();
  }

  #flush(): void {
    this.#flushing = false;
    try {
      this.#following.flush();
    } catch (error) {
      this.#parts.onEnd(error);
    }
  }

  #lookLater(): void {
    this.#parts.time.after(limit.leaderTakeEveryMs, () => {
      if (this.#stopped) return;
      this.#look().catch((error: unknown) => this.#parts.onEnd(error));
    });
  }

  /** Takes the lease when it is free. */
  async #look(): Promise<void> {
    const { lease, time, log } = this.#parts;
    const takenMs = time.steadyMs();
    const epoch = await lease.take().catch((error: unknown) => {
      log.debug({ err: error }, "the lease was not asked for");
      return null;
    });
    if (epoch === null) return this.#lookLater();
    await this.#lead(epoch, takenMs);
  }

  async #lead(revision: number, takenMs: number): Promise<void> {
    const { store, batches, lease, journal, node, time, log, serve, onEnd, onLead } = this.#parts;
    const tenure = openTenure({ lease, takenMs, time, log, onLost: onEnd });
    this.#tenure = tenure;
    await this.#readToEnd();
    const { position } = this.#following;
    // The bucket of the lease may be a new one; the journal remembers.
    const epoch = Math.max(revision, lastEpoch(store) + 1);
    const replication = openReplication({
      ...{ store, batches, journal, tenure, node, epoch, position, time, log },
      onFenced: (why) => onEnd(`fenced: ${why}`),
    });
    const actor = { role: "orchestrator", name: node } as const;
    const began = { type: "leader.began", quest: null, actor, body: { node, epoch } } as const;
    replication.store.transact((tx) => {
      const [row] = tx.append([began], { timeMs: time.nowMs(), command: null });
      if (row) tx.setCursor(leaderCursor, row.seq);
    });
    await replication.held();
    if (this.#stopped) return;
    this.#orchestrator = await startOrchestrator({
      store: replication.store,
      stream: replication.journal,
      serve: (handlers) => serve({ ...handlers, release: replication.release }),
      log,
      time,
    });
    log.info({ epoch, position }, "leads");
    for (const ms of announceAfterMs) time.after(ms, () => this.#stopped || this.#parts.announce());
    onLead(epoch);
  }

  /** What the leader before got in is taken over; what it still sends is refused once we have appended behind it. */
  async #readToEnd(): Promise<void> {
    const { batches, time } = this.#parts;
    for (;;) {
      const ends = await batches.ends().catch(() => null);
      if (ends && this.#following.position >= ends.last) break;
      await pause(time, lookMs / 10);
    }
    await this.#stopReading();
    this.#following.flush();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#orchestrator?.stop();
    await this.#stopReading();
    if (!this.#tenure) return;
    this.#tenure.stop();
    await this.#parts.lease.release().catch(() => {});
  }
}
