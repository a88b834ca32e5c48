import {
  awaitingPass,
  currentPass,
  type QuestState,
  type Stage,
  type StageReport,
  stageOf,
  stageReports,
  standingOf,
  type WatchFinding,
  type Withheld,
  watchFinding,
} from "@questbus/core";
import { exitCode } from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";
import { openWithheld } from "./withheld.ts";

type Interval = { estimate: number; low: number; high: number };

/** What `run --json` and `status --json` print. Gains are fractions: 0.2 is 20 % better. */
export type QuestSummary = {
  quest: string;
  status: QuestState["status"];
  verdict: string | null;
  passes: {
    n: number;
    fixer: string | null;
    tree: string | null;
    verdict: string | null;
    effect: Interval | null;
    pairs: number;
  }[];
  accepted: { branch: string; commit: string } | null;
  escalation: string | null;
  /** The pass that waits for a candidate from outside, since what was refused; null: none waits. */
  waits: { pass: number; fixer: string; refused: string | null } | null;
  /** A pause, or another quest on the machine, that keeps it from going on; null: nothing does. */
  withheld: Withheld | null;
  audit: { head: string; length: number };
  stage: Stage;
  /** What each stage produced so far. */
  stages: StageReport[];
};

function waitsOf(state: QuestState): QuestSummary["waits"] {
  const pass = awaitingPass(state);
  if (!pass) return null;
  const refused = pass.awaited?.refused;
  return {
    pass: pass.n,
    fixer: state.spec.fixers[pass.fixer]?.name ?? "",
    refused: refused ? `${refused.code}: ${refused.message}` : null,
  };
}

const interval = (effect: Interval | null | undefined): Interval | null =>
  effect ? { estimate: effect.estimate, low: effect.low, high: effect.high } : null;

/** `watches`: the rechecks of the quest, where the caller looks them up. */
export function summaryOf(
  state: QuestState,
  store: StoreReader,
  watches: readonly QuestState[] = [],
): QuestSummary {
  const head = store.head();
  const open = state.escalation && !state.escalation.ruling && !state.ending;
  return {
    quest: state.id,
    status: state.status,
    verdict: currentPass(state)?.verdict?.verdict ?? null,
    passes: state.passes.map((pass) => ({
      n: pass.n,
      fixer: pass.fixer === null ? null : (state.spec.fixers[pass.fixer]?.name ?? null),
      tree: pass.candidate?.tree ?? null,
      verdict: pass.verdict?.verdict ?? null,
      effect: interval(pass.verdict?.effect),
      pairs: pass.verdict?.pairs ?? 0,
    })),
    accepted: state.accepted,
    escalation: open ? (state.escalation?.id ?? null) : null,
    waits: waitsOf(state),
    withheld: openWithheld(store)(state),
    audit: { head: head.hash, length: head.seq },
    stage: stageOf(state),
    stages: stageReports(state, watches),
  };
}

/** What a quest is for; a recheck is a quest that `questbus recheck` made. */
export const intentOf = ({ spec }: QuestState): QuestState["spec"]["intent"] | "recheck" =>
  spec.watch === null ? spec.intent : "recheck";

/** What a recheck that has ended found; null for anything else. Its status alone would mislead: it accepts nothing. */
export const outcomeOf = (state: QuestState): WatchFinding["outcome"] | null =>
  state.spec.watch !== null && state.ending ? watchFinding(state).outcome : null;

/** An outcome in a list for people. */
export const outcomeText: Record<WatchFinding["outcome"], string> = {
  regressed: "regressed",
  fine: "no regression",
  undecided: "undecided",
  failed: "failed",
};

/** Where what a quest waits for comes from: a person hands it over, or agents make it in a conversation. */
export function candidateHint(state: QuestState): string {
  const turn = turnText(state);
  if (turn) return `${turn}: questbus conversation ${state.id}`;
  return `questbus supply ${state.id} --branch REF | --patch FILE`;
}

/** Whose turn it is, for people; null: no conversation goes on. */
export function turnText(state: QuestState): string | null {
  const turn = standingOf(state);
  if (!turn) return null;
  const { role, agent } = turn;
  return agent
    ? `turn ${turn.turn} is ${role}/${agent}'s`
    : `turn ${turn.turn} waits for an agent of ${role} that takes turns`;
}

/** Exit code of a command that waited for the quest. */
export function exitOf(state: QuestState): number {
  switch (state.status) {
    case "accepted":
      return exitCode.ok;
    case "escalated":
      return exitCode.waitsForArbiter;
    case "unfit":
      return exitCode.failure;
    case "reverted":
    case "abandoned":
    case "cancelled":
      return exitCode.notAccepted;
    default:
      return exitCode.ok;
  }
}
