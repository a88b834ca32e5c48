import { isDeepStrictEqual } from "node:util";
import type { ArtifactRef, Candidate, JournalEvent, Verdict } from "@questbus/protocol";
import { applyEvent } from "../quest/apply.ts";
import { evidenceOf, policyOf } from "../quest/judge-pass.ts";
import { currentPass, type Good, type PassState, type QuestState } from "../quest/state.ts";
import { type Explanation, explain } from "../verdict/explain.ts";
import { rejudge } from "./recompute.ts";

/** One pass as the journal has it: what was concluded from it, and what its own evidence gives today. */
export type ExplainedPass = Explanation & {
  pass: number;
  fixer: string | null;
  /** Last known-good, against which it was measured. */
  lastGood: Good;
  candidate: Candidate | null;
  /** Paths of sealed files whose edits were set aside. */
  setAside: readonly string[];
  /** Why the pass was ended before its evidence was complete: what was measured then counts for nothing. */
  cut: string | null;
  /** Null while the pass is not judged. */
  stored: Verdict | null;
  recomputed: Verdict | null;
  /** Whether the two are equal, to the last figure; null while there is no stored one. */
  same: boolean | null;
  artifacts: (ArtifactRef & { task: string })[];
};

type Judgement = { cut: string | null; stored: Verdict | null; recomputed: Verdict | null };

function explainPass(state: QuestState, pass: PassState, judgement: Judgement): ExplainedPass {
  const { stored, recomputed } = judgement;
  return {
    pass: pass.n,
    fixer: pass.fixer === null ? null : (state.spec.fixers[pass.fixer]?.name ?? null),
    lastGood: pass.lastGood,
    candidate: pass.candidate,
    setAside: pass.setAside ?? [],
    ...judgement,
    same: stored && isDeepStrictEqual(recomputed, stored),
    artifacts: pass.findings.flatMap(({ task, artifacts }) => artifacts.map((each) => ({ ...each, task }))),
    ...explain(evidenceOf(pass), policyOf(state)),
  };
}

/** Every pass of one quest, from its rows of the journal alone. Throws only on rows that this program did not write. */
export function explainPasses(rows: Iterable<JournalEvent>): ExplainedPass[] {
  const explained: ExplainedPass[] = [];
  let state: QuestState | null = null;
  for (const row of rows) {
    const judged = row.type === "pass.judged" && state ? rejudge(state, row.body) : null;
    if (judged && state && row.type === "pass.judged") {
      const { cut, verdict } = row.body;
      explained.push(
        explainPass(state, judged.pass, { cut, stored: verdict, recomputed: judged.recomputed }),
      );
    }
    state = applyEvent(state, row);
  }
  const open = state && currentPass(state);
  if (!state || !open || open.verdict !== null) return explained;
  return [...explained, explainPass(state, open, { cut: null, stored: null, recomputed: null })];
}
