import {
  type Actor,
  type CommandData,
  type EventType,
  type Grant,
  type JournalEvent,
  QuestbusError,
  type QuestDocument,
  type Report,
  type Role,
  roles,
  type StackPause,
  type StackScope,
  type Task,
} from "@questbus/protocol";
import { type PassScript, scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { expect } from "vitest";
import {
  decideContinue,
  decideHalt,
  decidePause,
  decideResume,
  decideStackPause,
  decideStackResume,
  pausesIn,
} from "../../src/pause/decide.ts";
import { pausedBy, whyWithheld } from "../../src/pause/withheld.ts";
import { applyEvent } from "../../src/quest/apply.ts";
import { grantOf } from "../../src/quest/brief.ts";
import { decideClaim } from "../../src/quest/claim.ts";
import {
  decideCancel,
  decideDeadline,
  decideExpire,
  decideGoOn,
  decideRelease,
  decideReport,
  decideRule,
  decideStart,
  decideSubmit,
  decideSupply,
} from "../../src/quest/decide.ts";
import type { DecideContext, Draft } from "../../src/quest/draft.ts";
import { isEnded, type QuestState } from "../../src/quest/state.ts";

/**
 * Plays one quest through the decisions, as the orchestrator would: each draft's events are stored as JSON and
 * applied one by one. That this gives the draft's own state is checked at every step (replay equals live).
 */
export type Play = {
  state: QuestState;
  /** What is paused beyond the quest. */
  pauses: readonly StackPause[];
  readonly journal: JournalEvent[];
  nowMs: number;
};

export const agentOf = (role: Role, name: string = role): Actor => ({ role, name });
export const operator: Actor = { role: "operator", name: "olga" };
export const arbiter: Actor = { role: "arbiter", name: "ada" };
const orchestrator: Actor = { role: "orchestrator", name: "orchestrator" };

export const contextAt = (nowMs: number, actor: Actor, serial = 0): DecideContext => ({
  nowMs,
  actor,
  newId: (prefix) => `${prefix}${String(serial).padStart(8, "0")}`,
  newSeed: () => "0123456789abcdef",
});

const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

export function openPlay(part: Partial<Record<keyof QuestDocument, unknown>> = {}): Play {
  const draft = decideSubmit(submission(part), contextAt(1_000, operator));
  const play: Play = { state: draft.state, pauses: [], journal: [], nowMs: 1_000 };
  record(play, draft, null);
  return play;
}

function record(play: Play, draft: Draft, before: QuestState | null): void {
  let state = before;
  for (const event of draft.events) {
    const seq = play.journal.length + 1;
    const head = { seq, id: `i-${seq}`, timeMs: play.nowMs, command: null, hash: "" };
    const row = stored({ ...head, ...event }) as JournalEvent;
    play.journal.push(row);
    state = applyEvent(state, row);
  }
  expect(state, "the events, applied one by one, give the draft's state").toEqual(draft.state);
  play.state = state as QuestState;
}

/** Carries a decision out; a millisecond passes. */
export function act(
  play: Play,
  by: Actor,
  decide: (state: QuestState, context: DecideContext) => Draft,
): Draft {
  play.nowMs += 1;
  const draft = decide(play.state, contextAt(play.nowMs, by, play.journal.length));
  record(play, draft, play.state);
  return draft;
}

export const start = (play: Play): Draft => act(play, orchestrator, decideStart);
export const deadline = (play: Play): Draft => act(play, orchestrator, decideDeadline);
export const cancel = (play: Play, reason = "not needed"): Draft =>
  act(play, operator, (state, context) => decideCancel(state, reason, context));
export const expire = (play: Play, role: Role): Draft =>
  act(play, orchestrator, (state, context) =>
    decideExpire(state, role, "the lease was not renewed", context),
  );
export const release = (play: Play, grant: Grant, by = agentOf(grant.role)): Draft =>
  act(play, by, (state, context) =>
    decideRelease(state, { assignment: grant.assignment, epoch: grant.epoch, reason: "stopping" }, context),
  );

export function rule(
  play: Play,
  decision: "accept" | "revert" | "retry" | "abandon",
  guidance: string | null = null,
): Draft {
  const escalation = play.state.escalation?.id ?? "e-00000000";
  const data = { escalation, decision, reason: "the evidence says so", guidance };
  return act(play, arbiter, (state, context) => decideRule(state, data, context));
}

export const supply = (play: Play, by: Actor = operator, more: Partial<CommandData["supply"]> = {}): Draft =>
  act(play, by, (state, context) =>
    decideSupply(
      state,
      { quest: state.id, name: "topic", note: null, change: { sha256: "a".repeat(64) }, ...more },
      context,
    ),
  );
export const goOn = (play: Play): Draft => act(play, orchestrator, decideGoOn);

export const pause = (play: Play, why = "maintenance"): Draft => {
  const draft = act(play, operator, (state, context) => decidePause(state, why, context));
  halt(play);
  return draft;
};
export const resume = (play: Play): Draft => {
  const draft = act(play, operator, decideResume);
  settle(play);
  return draft;
};

/** True when that changed anything. */
export function pauseStack(play: Play, scope: StackScope, why = "incident"): boolean {
  const event = decideStackPause(play.pauses, { scope, why }, { actor: operator, nowMs: play.nowMs });
  if (event) play.pauses = pausesIn(event) ?? [];
  halt(play);
  return event !== null;
}
export function resumeStack(play: Play, scope: StackScope): boolean {
  const event = decideStackResume(play.pauses, scope, operator);
  if (event) play.pauses = pausesIn(event) ?? [];
  settle(play);
  return event !== null;
}

function halt(play: Play): void {
  const stopped = pausedBy(play.state, play.pauses);
  if (stopped) act(play, orchestrator, (state, context) => decideHalt(state, stopped, context));
}

/** The end of a turn, as the desk's on a machine with this quest alone: halted if and only if it may not go on. */
export function settle(play: Play): void {
  halt(play);
  const why = whyWithheld(play.state, play.pauses, null);
  if (why === null || why.kind === "approval") act(play, orchestrator, decideContinue);
}

export const report = (play: Play, sent: Report, by: Actor): Draft =>
  act(play, by, (state, context) => decideReport(state, sent, context));

export const offeredRole = (state: QuestState): Role | null =>
  state.halted ? null : (roles.find((role) => state.assignments[role].status === "offered") ?? null);

/** Claims what is offered. */
export function claim(play: Play, name?: string): Grant {
  const role = offeredRole(play.state);
  if (!role) throw new TypeError(`nothing is offered: ${play.state.status}`);
  act(play, agentOf(role, name ?? role), (state, context) => decideClaim(state, role, context));
  return grantOf(play.state, role);
}

/** Claims what is offered and reports on it. */
export function step(play: Play, script: PassScript = {}): Grant {
  const grant = claim(play);
  report(play, scriptedReport(grant, script), agentOf(grant.role));
  return grant;
}

/** Plays up to the task, and leaves it offered; throws when it never comes. */
export function until(play: Play, task: string, script: PassScript = {}): void {
  if (play.state.status === "queued") start(play);
  for (let steps = 0; play.state.task !== task; steps++) {
    if (steps > 30) throw new RangeError(`${task} never comes`);
    step(play, script);
  }
}

/** A quest on which `task` is offered, in pass `pass`. */
export function at(task: Task, pass = 1, script: PassScript = { gain: 0 }): Play {
  const play = openPlay();
  start(play);
  while (play.state.passes.length < pass) {
    until(play, "settle", script);
    step(play, script);
  }
  until(play, task, {});
  return play;
}

/** Plays on, pass n in the world of `scripts[n - 1]`, until an arbiter, the measurement lease or nobody has to act. */
export function run(play: Play, scripts: readonly PassScript[] = []): Play {
  if (play.state.status === "queued") start(play);
  while (offeredRole(play.state)) step(play, scripts[play.state.passes.length - 1]);
  return play;
}

export const words = (state: QuestState): (string | undefined)[] =>
  state.passes.map((pass) => pass.verdict?.verdict);
export const count = (play: Play, type: EventType): number =>
  play.journal.filter((event) => event.type === type).length;

/** The code of the refusal; "allowed" when there was none. */
export function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof QuestbusError) return error.code;
    throw error;
  }
  return "allowed";
}

/** What every command says to an ended quest: refused, or nothing happens. */
export function afterEnd(play: Play, grant: Grant): Record<string, string> {
  if (!isEnded(play.state)) throw new TypeError("the quest has not ended");
  const before = play.journal.length;
  const said = (action: () => Draft): string => {
    const code = codeOf(action);
    return code === "allowed" && play.journal.length === before ? "nothing" : code;
  };
  const by = agentOf(grant.role);
  return {
    start: said(() => start(play)),
    claim: said(() => act(play, by, (state, context) => decideClaim(state, grant.role, context))),
    report: said(() => report(play, scriptedReport(grant), by)),
    release: said(() => release(play, grant)),
    expire: said(() => expire(play, grant.role)),
    deadline: said(() => deadline(play)),
    cancel: said(() => cancel(play)),
    rule: said(() => rule(play, "retry")),
    pause: said(() => pause(play)),
    resume: said(() => resume(play)),
  };
}
