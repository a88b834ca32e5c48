import type { Decision, SignOff, VerdictWord } from "@questbus/protocol";
import { isFixerLeft } from "../fixer/left.ts";
import { describeEffect } from "../quest/change.ts";
import { hasKept, machineOf, provenGood, provenPasses, type QuestState } from "../quest/state.ts";

/** One pass as the arbiter sees it; every figure is backed by the artifacts named beside it. */
export type MatrixRow = {
  pass: number;
  fixer: string | null;
  verdict: VerdictWord | null;
  reason: string;
  effect: { estimate: number; low: number; high: number } | null;
  e: number | null;
  pairs: number;
  tests: "passed" | "failed" | null;
  guards: { name: string; state: string }[];
  signOffs: Record<string, SignOff["vote"]>;
  artifacts: { kind: string; sha256: string }[];
};

export type DecisionOption = { decision: Decision; allowed: boolean; why: string };
export type EvidenceMatrix = { rows: MatrixRow[]; options: DecisionOption[] };

/** Which rulings this quest can carry out, and why not the others. Nothing that was not proven can be accepted. */
export function allowedDecisions(state: QuestState): DecisionOption[] {
  const kept = hasKept(state);
  const proven = provenGood(state) !== null;
  return [
    {
      decision: "accept",
      allowed: proven,
      why: proven
        ? `integrates what was proven: ${provenEffect(state)}`
        : "nothing was proven and kept, so there is nothing to accept",
    },
    {
      decision: "revert",
      allowed: true,
      why: kept ? "drops what was kept and leaves the target as it was" : "leaves the target as it was",
    },
    { decision: "retry", ...retryOption(state) },
    { decision: "abandon", allowed: true, why: "closes the quest; the target stays as it was" },
  ];
}

/** A pass is granted once, and only where it could have a candidate. */
function retryOption(state: QuestState): Omit<DecisionOption, "decision"> {
  const { pass, grantsLeft } = machineOf(state).context;
  if (grantsLeft === 0) return { allowed: false, why: "the extra pass was already granted" };
  if (!isFixerLeft(state, true))
    return {
      allowed: false,
      why: "no candidate is left to try: each patch was tried, and there is no other fixer; a new quest can bring one",
    };
  return { allowed: true, why: `grants one more pass, pass ${pass + 1}` };
}

function provenEffect(state: QuestState): string {
  const verdict = provenPasses(state).at(-1)?.verdict;
  const effect = verdict?.total ?? verdict?.effect;
  return effect ? describeEffect(state.spec.measure.metric.name, effect) : "a proven gain";
}

export function evidenceMatrix(state: QuestState): EvidenceMatrix {
  const rows = state.passes.map(
    (pass): MatrixRow => ({
      pass: pass.n,
      fixer: pass.fixer === null ? null : (state.spec.fixers[pass.fixer]?.name ?? null),
      verdict: pass.verdict?.verdict ?? null,
      reason: pass.verdict?.reasons[0] ?? "not judged yet",
      effect: pass.verdict?.effect ?? null,
      e: pass.verdict?.e ?? null,
      pairs: pass.verdict?.pairs ?? 0,
      tests: pass.tests,
      guards: (pass.verdict?.guards ?? []).map(({ name, state: found }) => ({ name, state: found })),
      signOffs: Object.fromEntries(Object.entries(pass.signOffs).map(([role, each]) => [role, each.vote])),
      artifacts: pass.findings.flatMap((each) =>
        each.artifacts.map(({ kind, sha256 }) => ({ kind, sha256 })),
      ),
    }),
  );
  return { rows, options: allowedDecisions(state) };
}
