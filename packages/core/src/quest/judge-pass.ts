import { limit, type Verdict } from "@questbus/protocol";
import { isUnapproved } from "../approval/approval.ts";
import { type JudgePolicy, judge, type PassEvidence } from "../verdict/judge.ts";
import { nameList } from "../verdict/phrase.ts";
import type { PassState, QuestState } from "./state.ts";

/** False accepts a whole quest may risk; its passes and the arbiter's extra one share it evenly. */
const questAlpha = 0.05;
export const passAlpha: number = questAlpha / (limit.passesMax + limit.passesGrantedMax);

/** Seed of the order inside the pairs of one pass. */
export const passSeed = (state: Pick<QuestState, "seed">, pass: number): string => `${state.seed}:${pass}`;

/** Under which the passes of a quest are judged. */
export function policyOf(state: QuestState): JudgePolicy {
  const { spec } = state;
  return {
    metric: spec.measure.metric,
    goal: spec.goal,
    guards: spec.guards,
    alpha: passAlpha,
    pairsMax: spec.budget.pairs,
    confirmationPairs: limit.confirmationPairs,
    signOff: spec.signOff,
    trusted: spec.watch !== null,
  };
}

export function evidenceOf(pass: PassState): PassEvidence {
  const { unfit, crash, changedNothing, forbiddenPaths, suspicions, tests, samples, signOffs } = pass;
  return { unfit, crash, changedNothing, forbiddenPaths, suspicions, tests, samples, signOffs };
}

/** A candidate of which nothing was left is told what it consisted of. */
const onlySealed = ({ changedNothing, setAside, forbiddenPaths, suspicions }: PassState): string[] =>
  changedNothing && setAside.length > 0 && forbiddenPaths.length + suspicions.length === 0
    ? [`The candidate changes only what is sealed, which was set aside: ${nameList(setAside)}.`]
    : [];

/** Refusals that ended a pass before it was measured: they are why, not what was left undone because of them. */
function refusals({ spec }: QuestState, { samples, signOffs }: PassState): string[] {
  if (samples) return [];
  return spec.signOff.flatMap((role) => {
    const given = signOffs[role];
    return given?.vote === "no" ? [`${role} says no: ${given.reasons.join("; ")}`] : [];
  });
}

/**
 * The verdict of a pass, from its evidence alone. Intent improve keeps a proven gain and goes on, so its ACCEPT is a
 * KEEP; a pass that was cut short has no verdict on its candidate, whatever was measured.
 */
export function judgePass(state: QuestState, pass: PassState, cut: string | null): Verdict {
  const evidence = cut === null ? evidenceOf(pass) : { ...evidenceOf(pass), samples: null, tests: null };
  const verdict = judge(evidence, policyOf(state));
  if (cut !== null && verdict.verdict === "INCONCLUSIVE") return { ...verdict, reasons: [cut] };
  const aside = onlySealed(pass);
  if (aside.length > 0 && verdict.verdict === "NO_EFFECT") return { ...verdict, reasons: aside };
  const refused = refusals(state, pass);
  if (refused.length > 0 && verdict.verdict === "INCONCLUSIVE") return { ...verdict, reasons: refused };
  const isGood = verdict.verdict === "ACCEPT" || verdict.verdict === "KEEP";
  if (isGood && isUnapproved(state, pass))
    return {
      ...verdict,
      verdict: "CRASH",
      reasons: ["What is restricted in it was not approved (APPROVAL_MISSING)."],
    };
  if (state.spec.intent === "improve" && verdict.verdict === "ACCEPT") return { ...verdict, verdict: "KEEP" };
  return verdict;
}
