import type { CandidateRequest, ErrorCode, Fault } from "@questbus/protocol";
import { limit } from "@questbus/protocol";
import { awaitedApproval, isApproved } from "../approval/approval.ts";
import {
  analysisOf,
  currentPass,
  historyOf,
  keptGain,
  type PassState,
  type QuestState,
} from "../quest/state.ts";
import { filesFault } from "../turn/files.ts";

/**
 * Candidates from outside: of a person, or of a program on the bus. A pass whose fixer is one of these stops before
 * `produce`, and waits; what is supplied is recorded, made into a candidate by the performance agent like any patch,
 * and refused there like any patch, which makes the pass wait again.
 */

/** What says that a supplied patch is no good, and nothing of whether a better one would be. */
const refusable: readonly ErrorCode[] = [
  "PATCH_INVALID",
  "PATCH_EMPTY",
  "PATCH_DOES_NOT_APPLY",
  "PATH_ESCAPES",
  "PATH_FORBIDDEN",
  "FIXER_CHANGED_NOTHING",
  "ARTIFACT_MISSING",
];

/** The pass that has no verdict yet, in a quest that runs. */
function openPass(state: QuestState): PassState | null {
  const pass = currentPass(state);
  return state.status === "running" && pass && !pass.verdict ? pass : null;
}

/** The kind of fixer of the open pass that a candidate is supplied for; null: it makes its own. */
export function supplierOf(state: QuestState): "human" | "worker" | "turns" | null {
  const { fixer = null } = openPass(state) ?? {};
  const kind = fixer === null ? null : state.spec.fixers[fixer]?.kind;
  return kind === "human" || kind === "worker" || kind === "turns" ? kind : null;
}

/** The pass that waits for a candidate; null: none does. */
export function awaitingPass(state: QuestState): (PassState & { fixer: number }) | null {
  const pass = openPass(state);
  return pass?.awaited && pass.fixer !== null ? { ...pass, fixer: pass.fixer } : null;
}

/** A candidate was supplied, and nobody was asked to make it ready yet. */
export const isSupplied = (state: QuestState): boolean =>
  state.task === null && (openPass(state)?.supplied ?? null) !== null;

/** Until when the open pass waits for its fixer's quota; null: it does not. */
export const quotaUntilMs = (state: QuestState): number | null =>
  state.task === null ? (openPass(state)?.quota?.untilMs ?? null) : null;

/** What it waited for is there: it can go on as soon as the machine is free. */
export const isReadyToGoOn = (state: QuestState, nowMs: number): boolean =>
  isSupplied(state) || isApproved(state) || (quotaUntilMs(state) ?? Number.POSITIVE_INFINITY) <= nowMs;

/** It begins, or goes on, when the machine is free. */
export const isReady = (state: QuestState, nowMs: number): boolean =>
  state.status === "queued" || isReadyToGoOn(state, nowMs);

/** It runs, and measures nothing: another quest may. */
export const standsStill = (state: QuestState): boolean =>
  awaitingPass(state) !== null ||
  isSupplied(state) ||
  quotaUntilMs(state) !== null ||
  awaitedApproval(state) !== null ||
  isApproved(state);

/** Why the supplied candidate that was just made ready is not taken; null: it is judged, or too many were refused. */
export function supplyRefused(state: QuestState): Fault | null {
  const pass = openPass(state);
  if (!pass || !supplierOf(state) || pass.refusals >= limit.suppliesRefusedMax) return null;
  const { crash, changedNothing, forbiddenPaths, suspicions } = pass;
  // One that games its evaluation is no mere mistake: it ends the pass, as any candidate's would.
  if (suspicions.length > 0) return null;
  if (forbiddenPaths.length > 0) {
    const message = `it writes ${forbiddenPaths.join(", ").slice(0, 400)}, which the performance role may not`;
    return { code: "PATH_FORBIDDEN", message, next: "leave these paths out" };
  }
  if (crash) return refusable.includes(crash.code) ? crash : null;
  if (!changedNothing) return claimedWrong(state, pass);
  return { code: "PATCH_EMPTY", message: "it changes nothing of last known-good", next: "supply a change" };
}

/** Of a conversation: what its leader claimed to have changed, against what the candidate does change. */
function claimedWrong({ conversation }: QuestState, { candidate, setAside }: PassState): Fault | null {
  const claimed = conversation?.claimed;
  return claimed && candidate ? filesFault(claimed, [...candidate.files, ...setAside]) : null;
}

/** What a program is told of a pass that waits for it; null where none does. */
export function requestOf(state: QuestState): CandidateRequest | null {
  const pass = awaitingPass(state);
  const fixer = pass ? state.spec.fixers[pass.fixer] : null;
  if (!pass || fixer?.kind !== "worker") return null;
  const { title, goal, measure, tests, guards, authority, target } = state.spec;
  const guidance = state.escalation?.ruling?.guidance ?? null;
  const known = { title, goal, measure, tests, guards, authority, guidance, history: historyOf(state) };
  return {
    quest: state.id,
    pass: pass.n,
    ask: fixer.ask,
    base: { repo: target.repo, commit: state.base.commit },
    lastGood: state.lastGood,
    brief: { ...known, analysis: analysisOf(state), kept: keptGain(state) },
    refused: pass.awaited?.refused ?? null,
  };
}
