/**
 * Named places at which a process may be ended, for the fault runs in `test/faults/`: every arrow of commit → publish →
 * answer, and of what agents do. Nothing happens at them unless a run has put something there.
 */
export const crashPoints = {
  orchestrator: [
    /** Commands were taken from the queue; nothing was decided. */
    "batch.taken",
    /** A timer's row was removed and carried out, inside the transaction. */
    "timer.fired",
    /** All was decided and written, and nothing is committed. */
    "commit.begun",
    /** Committed; nothing is published, nobody was answered. */
    "commit.done",
    /** The first answer of a batch is on its way, the others are not. */
    "answer.begun",
    "answer.done",
    "publish.begun",
    /** The stream holds the rows, and the cursor does not say so. */
    "publish.done",
    "publish.marked",
  ],
  /** Of an orchestrator that leads a cluster, besides. */
  leader: [
    /** Committed, and on its way to the other nodes. */
    "batch.sent",
    /** The stream holds the batch; nobody was answered for it. */
    "batch.held",
  ],
  agent: [
    /** The grant arrived; nothing was done for it. */
    "claim.granted",
    /** The task is done, and nobody knows. */
    "task.done",
    "report.answered",
    /** The private repository stands, no tree does. */
    "workspace.built",
    /** A tree was removed; what is to stand there is not there yet. */
    "tree.removed",
    "tree.laid",
    /** The candidate is a commit of the private repository. */
    "candidate.committed",
    /** The target has the objects, and no branch names them. */
    "integration.transferred",
    /** The branch is there, and nobody knows. */
    "integration.done",
  ],
} as const;

export type CrashPoint = (typeof crashPoints)[keyof typeof crashPoints][number];

let handler: ((point: CrashPoint) => void) | null = null;

/** Calls `next` at every crash point from now on; null: nothing happens there again. */
export function armCrashPoints(next: ((point: CrashPoint) => void) | null): void {
  handler = next;
}

/** A place at which a fault run may end this process. */
export function crashPoint(point: CrashPoint): void {
  handler?.(point);
}
