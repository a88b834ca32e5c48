import {
  currentPass,
  type Draft,
  type Heard,
  heardNow,
  isStill,
  type QuestState,
  stillMsMax,
  stillReason,
} from "@questbus/core";
import {
  assignmentOf,
  type CommandData,
  type HeldProgress,
  limit,
  QuestbusError,
  roles,
  type Task,
} from "@questbus/protocol";

/**
 * What the holders of leases said last of their work. It is no state: a renewal leaves no row behind, and an orchestrator
 * that starts anew gives every holder its whole time again.
 */
export class ProgressBook {
  readonly #heard = new Map<string, Heard>();
  readonly #noted = new Map<string, { epoch: number; count: number }>();

  /**
   * Notes a renewal, and gives the timer that the lease has then: one that is due at once where its work stands still. It
   * is taken back as when nobody renews it, because a command alone changes only what it is about.
   */
  renewed(
    state: QuestState,
    task: Task,
    { assignment, epoch, progress }: CommandData["renew"],
    nowMs: number,
  ): { kind: "lease" | "still"; dueAtMs: number } {
    const renewed = { kind: "lease", dueAtMs: nowMs + limit.leaseMs } as const;
    if (!progress) return renewed;
    const heard = heardNow(this.#heard.get(assignment) ?? null, epoch, progress, nowMs);
    this.#heard.set(assignment, heard);
    const mayStandMs = stillMsMax(state.spec, task, currentPass(state)?.fixer ?? null);
    return isStill(heard, mayStandMs, nowMs) ? { kind: "still", dueAtMs: nowMs } : renewed;
  }

  /** Counts a note: each is a row of the journal, and a lease has so many. */
  noted(draft: Draft, { assignment, epoch }: CommandData["note"]): Draft {
    if (draft.events.length === 0) return draft;
    const before = this.#noted.get(assignment);
    const count = before?.epoch === epoch ? before.count + 1 : 1;
    if (count > limit.notesOfLeaseMax)
      throw new QuestbusError({
        code: "OVERLOADED",
        message: `this lease has had its ${limit.notesOfLeaseMax} notes`,
        next: "go on without, and report",
      });
    this.#noted.set(assignment, { epoch, count });
    return draft;
  }

  reasonOf(assignment: string): string {
    return stillReason(this.#heard.get(assignment) ?? null);
  }

  /** Forgets those that are held no more. */
  changed({ id, assignments }: QuestState): void {
    for (const role of roles) {
      if (assignments[role].status === "leased") continue;
      this.#heard.delete(assignmentOf(id, role));
      this.#noted.delete(assignmentOf(id, role));
    }
  }

  /** What was heard last of each that holds an assignment. */
  held(states: Iterable<QuestState>, nowMs: number): HeldProgress[] {
    return [...states].flatMap(({ id, assignments }) =>
      roles.flatMap((role) => {
        const { status, epoch, agent } = assignments[role];
        const assignment = assignmentOf(id, role);
        const heard = this.#heard.get(assignment);
        if (status !== "leased" || heard?.epoch !== epoch) return [];
        const { step, movedMs, heardMs } = heard;
        return [
          {
            assignment,
            agent: agent ?? "",
            step,
            movedAgoMs: nowMs - movedMs,
            heardAgoMs: nowMs - heardMs,
          },
        ];
      }),
    );
  }
}
