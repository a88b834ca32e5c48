import { type PauseScope, type Role, roles, type StackPause, type StackScope } from "@questbus/protocol";
import { awaitedApproval, isApproved } from "../approval/approval.ts";
import { stepOf } from "../assignment/schedule.ts";
import { currentPass, type QuestState } from "../quest/state.ts";
import { isSupplied, quotaUntilMs, standsStill } from "../supply/supply.ts";
import { standingOf } from "../turn/conversation.ts";

/**
 * Why nothing of a quest is offered now: the one place that knows. Who shows it, and who offers, both ask here.
 *
 * A quest that may not go on is *halted* while it runs: its clock stops, and it is offered to nobody. What an agent holds
 * then may be finished, and keeps the machine until it is; after that another quest may measure. When nothing speaks
 * against it any more, and the machine is free, it is where it was.
 */
export type Withheld =
  | { kind: "pause"; scope: PauseScope; why: string; by: string; atMs: number }
  /** Another quest has the machine. */
  | { kind: "machine"; quest: string }
  /** An operator has to grant or deny something restricted first. */
  | { kind: "approval"; approval: string; why: string; expiresMs: number };

/** What an arbiter ruled is being carried out: that needs no measurement, and goes on in safe mode. */
const carriesOutRuling = ({ status, escalation }: QuestState): boolean =>
  status === "running" && escalation?.ruling != null && escalation.ruling.decision !== "retry";

/** The pass is over, and the next one was not begun because the quest was halted. */
export const isPassDue = (state: QuestState): boolean =>
  state.status === "running" && state.task === null && (currentPass(state)?.verdict ?? null) !== null;

const isHeld = (state: QuestState): boolean =>
  roles.some((role) => state.assignments[role].status === "leased");

/** It measures, or an agent is about to: no other quest may. */
export const holdsMachine = (state: QuestState): boolean =>
  state.status === "running" && !standsStill(state) && (!state.halted || isHeld(state));

const needsMachine = (state: QuestState): boolean =>
  state.status === "queued" ||
  isSupplied(state) ||
  isApproved(state) ||
  (state.halted !== undefined && !standsStill(state) && !carriesOutRuling(state));

/** Whose work comes next. A pass needs every role, so that none is begun while one of them is paused. */
function rolesNext(state: QuestState): readonly Role[] {
  if (state.status === "queued" || isPassDue(state)) return roles;
  if (isSupplied(state) || quotaUntilMs(state) !== null) return ["performance"];
  const held = isApproved(state) ? currentPass(state)?.held : null;
  if (held) return [stepOf(held.before).role];
  const turn = standingOf(state);
  if (turn) return [turn.role];
  return roles.filter((role) => state.assignments[role].status === "offered");
}

const paused = (pauses: readonly StackPause[], scopes: readonly StackScope[]): Withheld | null => {
  const found = pauses.find(({ scope }) => scopes.includes(scope));
  return found ? { kind: "pause", ...found } : null;
};

/** The pause that keeps a quest from going on; null: none does. */
export function pausedBy(state: QuestState, pauses: readonly StackPause[]): Withheld | null {
  if (state.ending) return null;
  if (state.pause) return { kind: "pause", scope: state.id, ...state.pause };
  if (state.status === "escalated") return null;
  const scopes: StackScope[] = carriesOutRuling(state) ? ["all"] : ["all", "safe-mode"];
  return paused(pauses, [...scopes, ...rolesNext(state)]);
}

/** What keeps a quest from being offered, or from going on. `machine`: the quest that has it; null: it is free. */
export function whyWithheld(
  state: QuestState,
  pauses: readonly StackPause[],
  machine: string | null,
): Withheld | null {
  const stopped = pausedBy(state, pauses) ?? waitsForApproval(state);
  if (stopped || machine === null || machine === state.id || !needsMachine(state)) return stopped;
  return { kind: "machine", quest: machine };
}

function waitsForApproval(state: QuestState): Withheld | null {
  const found = awaitedApproval(state);
  if (!found) return null;
  return { kind: "approval", approval: found.id, why: found.why, expiresMs: found.expiresMs };
}

/** The pause that keeps a role from asks; null: none does. */
export const askWithheld = (role: string, pauses: readonly StackPause[]): Withheld | null =>
  paused(pauses, ["all", "safe-mode", role as Role]);
