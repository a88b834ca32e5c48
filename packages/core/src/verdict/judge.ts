import {
  type Effect,
  type Fault,
  type GateSamples,
  type GuardFinding,
  type GuardSpec,
  type MetricSpec,
  type Pair,
  percent,
  type Role,
  type Suspicion,
  type Verdict,
  type VerdictWord,
} from "@questbus/protocol";
import { estimateEffect, estimateShift, pseudoMedian } from "./effect.ts";
import {
  firstBrokenPair,
  type GatePolicy,
  type GateStep,
  gainProven,
  gatePolicyOf,
  nextGateStep,
} from "./gate.ts";
import { judgeGuard } from "./guard.ts";
import { metricGains, relativeGain } from "./log-gain.ts";
import { confirmationSeed, firstOutOfOrder, remeasureSeed, totalSeed } from "./pair-order.ts";
import { effectPhrase, evidencePhrase, gainPhrase, guardPhrase, nameList } from "./phrase.ts";
import { suspectDigest, suspectImplausible, suspectWallClock, unseenSaving } from "./run-guard.ts";

/**
 * The verdict over one pass. It is a function of its two arguments alone, so anyone who holds the evidence
 * recomputes it.
 *
 * J1  It answers for every evidence, however broken, and never throws.
 * J2  ACCEPT and KEEP need all of: a fit machine, no crash, a change, allowed paths only, passed tests, samples in
 *     the order their seed drew, a gain proven at `alpha`, guards that hold, every required sign-off, a confirmation.
 * J3  The gain is decided at the first pair at which the gate stops; later pairs count for nothing.
 * J4  Of the confirmation, and of the series against the quest's base, the first `confirmationPairs` count: a
 *     longer series cannot be searched for a better end.
 * J5  What is wrong with the evidence itself comes before anything it says.
 * J6  A gain whose own samples speak against it is HACK_SUSPECTED (run-guard.ts); other output is, gain or not.
 */

export type SignOffs = Partial<Record<Role, { vote: "yes" | "no"; reasons: readonly string[] }>>;

/** Everything a pass left behind. A field that was not measured is null. */
export type PassEvidence = {
  unfit: Fault | null;
  crash: Fault | null;
  changedNothing: boolean;
  /** Paths that the candidate changed and may not. */
  forbiddenPaths: readonly string[];
  /** Signs of gaming that any role reported. */
  suspicions: readonly Suspicion[];
  tests: "passed" | "failed" | null;
  samples: GateSamples | null;
  signOffs: SignOffs;
};

/**
 * `alpha`: this pass's share. `goal`: relative gains. `confirmationPairs`: at least 6, or there is no interval.
 * `trusted`: both arms are states that the target itself had (a watch), so their samples are asked about the gain alone.
 */
export type JudgePolicy = {
  trusted?: boolean;
  metric: MetricSpec;
  goal: { improveBy: number | null; margin: number; minEffect: number | null };
  guards: readonly GuardSpec[];
  alpha: number;
  pairsMax: number;
  confirmationPairs: number;
  signOff: readonly Role[];
};

type Ruling = { verdict: VerdictWord; reasons: readonly string[] };
const rule = (verdict: VerdictWord, ...reasons: string[]): Ruling => ({ verdict, reasons });

const faultText = (fault: Fault): string => `${fault.message} (${fault.code})`;

const suspicionText = ({ message, where }: Suspicion): string => (where ? `${message} (${where})` : message);

/** Whether what says that nothing is wrong was recorded at all: a field left out is no good news. */
const isComplete = ({ unfit, crash, changedNothing, forbiddenPaths, suspicions }: PassEvidence): boolean =>
  unfit === null &&
  crash === null &&
  changedNothing === false &&
  Array.isArray(forbiddenPaths) &&
  Array.isArray(suspicions);

/** What stands before any sample is read, in order; null when the samples decide. */
function ruleBeforeSamples(evidence: PassEvidence): Ruling | null {
  if (evidence.unfit) return rule("ENV_UNFIT", `The quest cannot be judged: ${faultText(evidence.unfit)}`);
  if (evidence.crash) return rule("CRASH", `The pass did not finish: ${faultText(evidence.crash)}`);
  if (evidence.forbiddenPaths.length > 0) {
    return rule(
      "HACK_SUSPECTED",
      `The candidate changed what it may not: ${nameList(evidence.forbiddenPaths)}.`,
    );
  }
  if (evidence.suspicions.length > 0)
    return rule("HACK_SUSPECTED", ...evidence.suspicions.map(suspicionText));
  if (evidence.changedNothing) return rule("NO_EFFECT", "The candidate changes nothing.");
  if (evidence.tests === "failed") return rule("TESTS_FAILED", "The test suite fails with the candidate.");
  if (evidence.tests !== "passed")
    return rule("INCONCLUSIVE", "The test suite has not run with the candidate.");
  if (!evidence.samples) return rule("INCONCLUSIVE", "Nothing was measured.");
  return isComplete(evidence) ? null : rule("CRASH", "The evidence is not complete.");
}

/** What is wrong with the samples as a record; null when they can be judged. */
export function samplesFault(samples: GateSamples, policy: JudgePolicy): string | null {
  const series: [string, string, readonly Pair[]][] = [
    ["deciding", samples.seed, samples.pairs],
    ["confirmation", confirmationSeed(samples.seed), samples.confirmation],
    ["total", totalSeed(samples.seed), samples.total ?? []],
    ["re-measured", remeasureSeed(samples.seed), samples.remeasure ?? []],
  ];
  for (const [name, seed, pairs] of series) {
    const broken = firstBrokenPair(pairs, policy.guards, policy.metric.better);
    if (broken !== null) return `Pair ${broken + 1} of the ${name} series has a value that cannot be used.`;
    const moved = firstOutOfOrder(seed, pairs);
    if (moved !== null)
      return `Pair ${moved + 1} of the ${name} series was not run in the order its seed drew.`;
  }
  return null;
}

/** A policy under which nothing could be proven, or anything; null when it is sound. */
function policyFault(policy: JudgePolicy): string | null {
  const { improveBy } = policy.goal;
  if (improveBy !== null && !(improveBy > 0 && Number.isFinite(improveBy)))
    return "The goal is not above zero.";
  if (!(policy.confirmationPairs >= 6)) return "The policy asks for fewer than 6 confirmation pairs.";
  return null;
}

/** What the samples say, before anything is concluded from it. */
export type Judged = {
  policy: JudgePolicy;
  gate: GatePolicy;
  step: GateStep;
  /** The pairs up to the stopping point. */
  decided: readonly Pair[];
  guards: readonly GuardFinding[];
  confirmed: Effect | null;
  total: Effect | null;
  remeasured: Effect | null;
};

export function readSamples(samples: GateSamples, policy: JudgePolicy): Judged {
  const gate = gatePolicyOf(policy);
  const step = nextGateStep(samples.pairs, policy.guards, gate);
  const decided = samples.pairs.slice(0, step.pairs);
  const estimate = (pairs: readonly Pair[] | null): Effect | null =>
    pairs && pairs.length >= policy.confirmationPairs
      ? estimateEffect(pairs.slice(0, policy.confirmationPairs), gate.better)
      : null;
  return {
    policy,
    gate,
    step,
    decided,
    guards: policy.guards.map((guard) => judgeGuard(decided, guard)),
    confirmed: estimate(samples.confirmation),
    total: estimate(samples.total),
    remeasured: estimate(samples.remeasure ?? null),
  };
}

const suspected = (suspicion: Suspicion | null | undefined): Ruling | null =>
  suspicion ? rule("HACK_SUSPECTED", suspicionText(suspicion)) : null;

/** Other output than the base's, in any series. */
const digestSuspicion = (
  { pairs, confirmation, total, remeasure }: GateSamples,
  { trusted }: JudgePolicy,
): Suspicion | null => (trusted ? null : suspectDigest([pairs, confirmation, total ?? [], remeasure ?? []]));

/** What speaks against a proven gain. */
function gainSuspicions({ decided, policy }: Judged, { confirmation, remeasure }: GateSamples): Suspicion[] {
  const { metric, confirmationPairs, trusted } = policy;
  if (trusted) return [];
  const series = { decided, confirmation, remeasure: remeasure ?? null };
  return [
    suspectWallClock([...decided, ...confirmation], metric),
    suspectImplausible(series, metric, confirmationPairs),
  ].filter((each) => each !== null);
}

/** A large gain that nothing outside of the bench confirms is not accepted. */
function ruleUnseen({ decided, policy }: Judged, { confirmation }: GateSamples): Ruling | null {
  const why = policy.trusted ? null : unseenSaving([...decided, ...confirmation], policy.metric);
  return why === null ? null : rule("INCONCLUSIVE", why);
}

/** All that the samples themselves say against the candidate (J6). */
export const samplesSuspicions = (samples: GateSamples, judged: Judged): Suspicion[] => [
  ...[digestSuspicion(samples, judged.policy)].filter((each) => each !== null),
  ...(judged.step.state === "gain" ? gainSuspicions(judged, samples) : []),
];

const guardReasons = ({ guards, policy }: Judged, state: GuardFinding["state"]): string[] =>
  guards.flatMap((finding, k) =>
    finding.state === state ? [guardPhrase(finding, (policy.guards[k] as GuardSpec).worseBy)] : [],
  );

/** Too small a gain is only said of one that is there: its 90 % interval (5 pairs have one) excludes none. */
function ruleFutile({ decided, gate, policy }: Judged): Ruling {
  const gains = metricGains(decided, gate.better) ?? [];
  const estimate = relativeGain(pseudoMedian(gains), gate.better);
  const measured = `${gainPhrase(estimate, policy.metric)} over ${decided.length} pairs`;
  if (estimate <= gate.margin)
    return rule("NO_EFFECT", `${measured}: a gain up to ${percent(gate.margin)} counts as none.`);
  if (!((estimateShift(gains, 0.9)?.low ?? 0) > 0))
    return rule("NO_EFFECT", `${measured}, which their spread does not tell from none.`);
  return rule(
    "BELOW_MIN_EFFECT",
    `${measured}, below the smallest effect worth chasing (${percent(gate.minEffect)}).`,
  );
}

/** What the deciding pairs say when they do not prove a gain under guards that hold; null when they do. */
function ruleOnGate(judged: Judged): Ruling | null {
  const { step, gate } = judged;
  const regressed = guardReasons(judged, "regressed");
  if (regressed.length > 0) return rule("GUARD_REGRESSION", ...regressed);
  if (step.state === "gain") return null;
  if (step.state === "futile") return ruleFutile(judged);
  if (step.state === "broken") return rule("INCONCLUSIVE", `The pairs cannot be judged: ${step.reason}.`);
  if (gainProven(step, gate)) return rule("INCONCLUSIVE", ...guardReasons(judged, "undecided"));
  const open = `${step.pairs} pairs prove neither a gain nor its absence (${evidencePhrase(step.e, gate.alpha)}).`;
  return rule("INCONCLUSIVE", step.state === "more" ? `${open} The series ended before its budget.` : open);
}

/** The required sign-offs that are missing or negative; null when all say yes. */
function ruleOnSignOffs(signOffs: SignOffs, required: readonly Role[]): Ruling | null {
  const reasons = required.flatMap((role) => {
    const given = signOffs[role];
    if (given?.vote === "yes") return [];
    return given
      ? [`${role} says no: ${given.reasons.join("; ") || "no reason given"}`]
      : [`${role} has not signed off.`];
  });
  return reasons.length > 0 ? rule("INCONCLUSIVE", ...reasons) : null;
}

/** A proven gain, held against the goal by its fresh pairs. */
function ruleOnConfirmation(judged: Judged, samples: GateSamples): Ruling {
  const { policy, gate, confirmed, total } = judged;
  const short = (name: string, pairs: readonly Pair[]): Ruling =>
    rule(
      "INCONCLUSIVE",
      `The gain is proven, but the ${name} has ${pairs.length} of ${policy.confirmationPairs} pairs.`,
    );
  if (confirmed === null) return short("confirmation", samples.confirmation);
  if (samples.total !== null && total === null)
    return short("series against the quest's base", samples.total);
  if (!(confirmed.estimate > gate.margin)) {
    const text = `The fresh pairs do not confirm the gain: ${effectPhrase(confirmed, policy.metric)}`;
    return rule("INCONCLUSIVE", `${text}; a gain up to ${percent(gate.margin)} counts as none.`);
  }
  return ruleOnGoal(total ?? confirmed, judged);
}

function ruleOnGoal(reached: Effect, { policy, step, gate, total }: Judged): Ruling {
  const { improveBy } = policy.goal;
  const measured = effectPhrase(reached, policy.metric) + (total ? " against the quest's base" : "");
  const proof = `Proven over ${step.pairs} pairs (${evidencePhrase(step.e, gate.alpha)}).`;
  if (improveBy === null && !(reached.estimate > gate.margin))
    return rule("INCONCLUSIVE", `The fresh pairs do not confirm the gain: ${measured}.`, proof);
  if (improveBy === null)
    return rule("ACCEPT", `${measured}; every gain above ${percent(gate.margin)} counts.`, proof);
  return reached.estimate >= improveBy
    ? rule("ACCEPT", `${measured}, at or above the goal of ${percent(improveBy)}.`, proof)
    : rule(
        "KEEP",
        `${measured}, below the goal of ${percent(improveBy)}: kept, the next pass builds on it.`,
        proof,
      );
}

const finiteOr = (value: unknown, otherwise: number): number =>
  Number.isFinite(value) ? (value as number) : otherwise;

/** A verdict without figures: evidence 1 is none either way. */
const bare = (ruling: Ruling, policy: JudgePolicy | null): Verdict => ({
  verdict: ruling.verdict,
  reasons: [...ruling.reasons],
  effect: null,
  total: null,
  e: 1,
  eFutility: 1,
  alpha: finiteOr(policy?.alpha, 0),
  pairs: 0,
  guards: [],
});

function judgeSamples(evidence: PassEvidence, samples: GateSamples, policy: JudgePolicy): Verdict {
  const unsound = policyFault(policy);
  if (unsound !== null) return bare(rule("INCONCLUSIVE", unsound), policy);
  const fault = samplesFault(samples, policy);
  if (fault !== null) return bare(rule("CRASH", `The evidence is not as recorded. ${fault}`), policy);
  const judged = readSamples(samples, policy);
  const ruling =
    suspected(digestSuspicion(samples, policy)) ??
    ruleOnGate(judged) ??
    suspected(gainSuspicions(judged, samples)[0]) ??
    ruleUnseen(judged, samples) ??
    ruleOnSignOffs(evidence.signOffs, policy.signOff) ??
    ruleOnConfirmation(judged, samples);
  const { step, gate, decided } = judged;
  return {
    ...bare(ruling, policy),
    effect: judged.confirmed ?? estimateEffect(decided, gate.better),
    total: judged.total,
    e: step.e,
    eFutility: step.eFutility,
    pairs: step.pairs,
    guards: [...judged.guards],
  };
}

/** The verdict over a pass. Total and pure (J1 to J5 above); what it cannot read it does not accept. */
export function judge(evidence: PassEvidence, policy: JudgePolicy): Verdict {
  try {
    const early = ruleBeforeSamples(evidence);
    if (early) return bare(early, policy);
    return judgeSamples(evidence, evidence.samples as GateSamples, policy);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return bare(rule("CRASH", `The evidence cannot be read: ${text}`), policy);
  }
}
