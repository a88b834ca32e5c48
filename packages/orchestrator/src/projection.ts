import { type AskState, deadSeqOf, openConversation, type QuestState } from "@questbus/core";
import {
  assignmentOf,
  type EventBody,
  type EventType,
  type JournalEvent,
  limit,
  type Principal,
  phases,
  roles,
} from "@questbus/protocol";
import type { StoreWrites } from "@questbus/store";
import { projectMemory } from "./memory-desk.ts";
import { projectPauses } from "./pause-desk.ts";

/**
 * Writes what events changed into the tables people and agents read. A function of the events and each quest's state
 * after them, so that replaying the journal writes the same rows.
 *
 * A quest's rows depend on its last state alone, and are most of the work: they are written when the quest has ended, and
 * with `flush`. Only its escalation is written at once, because another may follow.
 */
export type Projection = {
  take(event: JournalEvent, state: QuestState | null): void;
  takeAsk(event: JournalEvent, ask: AskState): void;
  flush(): void;
};

/** A refusal names a quest, and changes nothing of it. */
const changesState = (event: JournalEvent): boolean => event.type !== "command.refused";

/** `storedOf`: the quest as it stands in the store, when that is known; what did not change since is not written again. */
export function openProjection(
  store: StoreWrites,
  storedOf: (quest: string) => QuestState | null = () => null,
): Projection {
  const open = new Map<string, { event: JournalEvent; state: QuestState }>();
  const asks = new Map<string, AskState>();
  return {
    take(event, state) {
      projectFact(store, event);
      if (!state || !changesState(event)) return;
      if (state.ending) {
        open.delete(state.id);
        projectState(store, event, state, storedOf(state.id));
      } else {
        open.set(state.id, { event, state });
        if (opensOrRules.includes(event.type)) projectEscalation(store, state);
      }
    },
    takeAsk(event, ask) {
      const isAtOnce = event.type === "ask.submitted" || ask.endedMs !== null;
      if (isAtOnce) projectAsk(store, event, ask);
      if (isAtOnce) asks.delete(ask.id);
      else asks.set(ask.id, ask);
    },
    flush() {
      for (const ask of asks.values()) store.moveAsk(ask);
      asks.clear();
      for (const { event, state } of open.values()) projectState(store, event, state, storedOf(state.id));
      open.clear();
    },
  };
}

const opensOrRules: readonly EventType[] = ["quest.escalated", "ruling.made"];

/** What an event says by itself. */
export function projectFact(store: StoreWrites, event: JournalEvent): void {
  projectDead(store, event);
  projectPauses(store, event);
  projectMemory(store, event);
  if (event.type === "agent.joined") {
    const { incarnation, pid } = event.body;
    store.putAgent({
      role: event.actor.role as Principal,
      name: event.actor.name,
      incarnation,
      pid,
      joinedMs: event.timeMs,
      seq: event.seq,
    });
  }
  if (event.type === "task.reported" && event.quest) {
    for (const { kind, sha256, sizeBytes } of event.body.report.artifacts) {
      store.putEvidence({ sha256, kind, quest: event.quest, sizeBytes, seq: event.seq });
    }
  }
}

/** A letter that came, one more that was counted, or what became of it. */
function projectDead(store: StoreWrites, { type, seq, timeMs, actor, body }: JournalEvent): void {
  const { role, name } = actor;
  const fresh = { seq, role, name, timeMs, status: "open", retries: 0, counted: 0 } as const;
  if (type === "message.dead") {
    const { subject, code, faults } = body;
    store.putDead({ ...fresh, subject, code, fault: faults[0] ?? "" });
  }
  if (type === "dead.counted") {
    const { count, ...last } = body;
    const before = store.countedDead(role, name) ?? fresh;
    store.putDead({ ...before, ...last, timeMs, counted: before.counted + count });
  }
  if (type !== "dead.retried" && type !== "dead.dropped") return;
  const letter = store.getDead(deadSeqOf(body.letter));
  if (!letter) return;
  if (type === "dead.dropped") store.putDead({ ...letter, status: "dropped" });
  else if (body.faults.length === 0) store.putDead({ ...letter, status: "retried" });
  else store.putDead({ ...letter, retries: letter.retries + 1 });
}

function projectState(
  store: StoreWrites,
  event: JournalEvent,
  state: QuestState,
  stored: QuestState | null,
): void {
  projectQuest(store, event, state);
  projectAssignments(store, state, stored);
  projectEscalation(store, state);
}

/** The row of an ask after an event that is about it. */
export function projectAsk(store: StoreWrites, event: JournalEvent, state: AskState): void {
  if (event.type === "ask.submitted") store.addAsk(state);
  else store.moveAsk(state);
}

function projectQuest(store: StoreWrites, event: JournalEvent, state: QuestState): void {
  store.putQuest({
    id: state.id,
    status: state.status,
    title: state.spec.title,
    digest: state.digest,
    createdMs: state.createdMs,
    updatedMs: event.timeMs,
    state,
  });
}

function projectAssignments(store: StoreWrites, state: QuestState, stored: QuestState | null): void {
  for (const role of roles) {
    if (stored?.assignments[role] === state.assignments[role]) continue;
    const { machine, status, task, epoch, agent } = state.assignments[role];
    const { pass } = machine.context;
    store.putAssignment({
      id: assignmentOf(state.id, role),
      quest: state.id,
      role,
      status,
      phase: phases.find((each) => each === machine.value) ?? null,
      task,
      pass,
      epoch,
      holder: agent,
    });
  }
}

function projectEscalation(store: StoreWrites, state: QuestState): void {
  if (!state.escalation) return;
  const { id, reason, openedMs, ruling } = state.escalation;
  const status = ruling ? "ruled" : state.ending ? "closed" : "open";
  store.putEscalation({ id, quest: state.id, reason, status, openedMs, ruling });
}

/** Timers follow from events too, but are not facts: a renewed lease moves its timer and leaves no row behind. */
export function setTimers(store: StoreWrites, event: JournalEvent, state: QuestState | null): void {
  if (!state) return;
  switch (event.type) {
    case "assignment.claimed": {
      const { assignment } = event.body;
      store.setTimer({
        id: `lease:${assignment}`,
        kind: "lease",
        subject: assignment,
        dueAtMs: event.timeMs + limit.leaseMs,
      });
      break;
    }
    case "task.reported":
      store.deleteTimer(`lease:${event.body.report.assignment}`);
      break;
    case "assignment.released":
    case "lease.expired":
      store.deleteTimer(`lease:${event.body.assignment}`);
      break;
    case "quest.started":
    case "quest.continued": {
      const { deadlineMs } = event.body as EventBody["quest.started"];
      store.setTimer({
        id: `deadline:${state.id}`,
        kind: "deadline",
        subject: state.id,
        dueAtMs: deadlineMs,
      });
      setTurnTimer(store, state);
      break;
    }
    case "quota.awaited":
      store.setTimer({
        id: `quota:${state.id}`,
        kind: "quota",
        subject: state.id,
        dueAtMs: event.body.untilMs,
      });
      break;
    case "approval.opened": {
      const { approval, before, expiresMs } = event.body;
      if (before !== null) store.deleteTimer(`deadline:${state.id}`);
      store.setTimer({
        id: `approval:${approval}`,
        kind: "approval",
        subject: approval,
        dueAtMs: expiresMs,
      });
      break;
    }
    case "approval.granted":
    case "approval.denied":
    case "approval.expired": {
      const { approval, deadlineMs } = event.body as EventBody["approval.expired"];
      store.deleteTimer(`approval:${approval}`);
      if (deadlineMs !== null)
        store.setTimer({
          id: `deadline:${state.id}`,
          kind: "deadline",
          subject: state.id,
          dueAtMs: deadlineMs,
        });
      break;
    }
    case "pass.judged":
      deleteApprovalTimers(store, state);
      break;
    case "turn.offered":
    case "turn.taken":
      setTurnTimer(store, state);
      break;
    case "turn.answered":
      store.deleteTimer(`turn:${state.id}`);
      break;
    case "quest.halted":
      for (const kind of ["deadline", "turn"]) store.deleteTimer(`${kind}:${state.id}`);
      break;
    case "quest.escalated":
    case "quest.ended":
      if (event.type === "quest.ended") deleteApprovalTimers(store, state);
      for (const kind of ["deadline", "quota", "turn"]) store.deleteTimer(`${kind}:${state.id}`);
      for (const role of roles) store.deleteTimer(`lease:${assignmentOf(state.id, role)}`);
      break;
    default:
  }
}

const deleteApprovalTimers = (store: StoreWrites, { approvals = [] }: QuestState): void => {
  for (const { id } of approvals) store.deleteTimer(`approval:${id}`);
};

/** The end of the turn that is somebody's now. */
function setTurnTimer(store: StoreWrites, state: QuestState): void {
  const open = openConversation(state);
  if (!open) return;
  const { id } = state;
  store.setTimer({ id: `turn:${id}`, kind: "turn", subject: id, dueAtMs: open.conversation.untilMs });
}
