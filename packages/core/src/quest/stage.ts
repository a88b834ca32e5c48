import { type ArtifactRef, percent, type Task } from "@questbus/protocol";
import { describeAnalysis } from "../analysis/describe.ts";
import { acceptedChange, analysisOf, type PassState, type QuestState } from "./state.ts";
import { watchFinding } from "./watch.ts";

/**
 * The four stages of a quest. `baseline`: last known-good is measured and profiled. `analysis`: what is hot is held
 * against the goal, and a fixer is chosen. `implementation`: candidates are made and validated. `monitoring`: a change
 * was accepted, and its bench is a watch. A kept gain is a new last known-good, so the stages begin again there; a pass
 * that failed does not, because what was found out of its last known-good still holds.
 */
export const stages = ["baseline", "analysis", "implementation", "monitoring"] as const;
export type Stage = (typeof stages)[number];

/** What a stage left behind; `open`: it has not begun; `failed`, `stopped`: the quest ended there as unfit, or before its time. */
export type StageReport = {
  stage: Stage;
  state: "done" | "now" | "open" | "failed" | "stopped";
  /** What was found, in lines for people. */
  produced: string[];
  artifacts: Pick<ArtifactRef, "kind" | "sha256">[];
};

const baselineTasks: readonly Task[] = ["fitness", "base-suite", "base-measure"];

/** A pass whose measuring was refused or failed went no further, so that it has no fixer. */
const hasMeasured = ({ findings, unfit, fixer }: PassState): boolean =>
  findings.some(({ task }) => task === "base-measure") && (unfit === null || fixer !== null);

/** The passes that started from the present last known-good. */
const passesHere = ({ passes, lastGood }: QuestState): PassState[] =>
  passes.filter((pass) => pass.lastGood.tree === lastGood.tree);

export function stageOf(state: QuestState): Stage {
  if (acceptedChange(state)) return "monitoring";
  const here = passesHere(state);
  // Between a kept gain and the pass that builds on it.
  if (here.length === 0 && state.passes.length > 0) return "implementation";
  if (!here.some(hasMeasured)) return "baseline";
  return here.some((pass) => pass.fixer !== null) ? "implementation" : "analysis";
}

/** The stages in order, with what each produced so far for the present last known-good. `watches`: its rechecks. */
export function stageReports(state: QuestState, watches: readonly QuestState[] = []): StageReport[] {
  const now = stages.indexOf(stageOf(state));
  return stages.map((stage, at) => {
    return {
      stage,
      state: at < now ? "done" : at > now ? "open" : progressOf(state),
      ...producedBy[stage](state, watches),
    };
  });
}

/** How far the stage that a quest is in has come. */
function progressOf({ ending }: QuestState): StageReport["state"] {
  switch (ending?.ending) {
    case undefined:
      return "now";
    case "unfit":
      return "failed";
    case "cancelled":
      return "stopped";
    default:
      return "done";
  }
}

type Produced = Pick<StageReport, "produced" | "artifacts">;
const nothing: Produced = { produced: [], artifacts: [] };

const refsOf = (findings: PassState["findings"], kinds?: readonly string[]): Produced["artifacts"] =>
  findings
    .flatMap(({ artifacts }) => artifacts)
    .filter(({ kind }) => !kinds || kinds.includes(kind))
    .map(({ kind, sha256 }) => ({ kind, sha256 }));

const producedBy: Record<Stage, (state: QuestState, watches: readonly QuestState[]) => Produced> = {
  baseline: (state) => {
    const pass = passesHere(state).at(0);
    const found = (pass?.findings ?? []).filter(({ task }) => baselineTasks.includes(task));
    return {
      produced: found.map(({ summary }) => summary),
      artifacts: refsOf(found, ["suite-output", "profile"]),
    };
  },
  analysis: (state) => {
    const analysis = analysisOf(state);
    if (!analysis) return nothing;
    const found = passesHere(state).flatMap(({ findings }) => findings);
    return { produced: describeAnalysis(analysis), artifacts: refsOf(found, ["analysis"]) };
  },
  implementation: (state) => {
    const tried = state.passes.filter((pass) => pass.fixer !== null);
    return {
      produced: tried.map((pass) => passText(state, pass)),
      artifacts: refsOf(
        tried.flatMap(({ findings }) => findings.filter(({ task }) => !baselineTasks.includes(task))),
      ),
    };
  },
  monitoring: (state, watches) => {
    if (!acceptedChange(state)) return nothing;
    const rechecks = watches.filter(({ ending }) => ending !== null);
    const lines = rechecks.map((watch) => `${watch.id}: ${watchFinding(watch).text}`);
    const next = `run the accepted bench again: questbus recheck ${state.id}`;
    return {
      produced: [...lines, next],
      artifacts: refsOf(
        rechecks.flatMap(({ passes }) => passes.flatMap(({ findings }) => findings)),
        ["samples"],
      ),
    };
  },
};

function passText({ spec }: QuestState, { n, fixer, verdict }: PassState): string {
  const name = fixer === null ? "" : ` ${spec.fixers[fixer]?.name ?? ""}`;
  if (!verdict) return `pass ${n}:${name}: not judged yet`;
  const gain = verdict.effect ? ` (${percent(verdict.effect.estimate)} better)` : "";
  return `pass ${n}:${name}: ${verdict.verdict}${gain}`;
}
