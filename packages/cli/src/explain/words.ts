import type { ExplainedPass, ExplainedSamples, QuestState, Rules } from "@questbus/core";
import { type Effect, type GuardFinding, percent, type Role, signedPercent } from "@questbus/protocol";

/** The words and figures that the terminal and the page share. All of it is plain text: who shows it, escapes it. */

/** A pass with what of its quest a reader needs. */
export type View = {
  quest: string;
  title: string;
  /** How many passes the quest has. */
  passes: number;
  /** The state directory, as it was named. */
  stateDir: string;
  pass: ExplainedPass;
};

export const viewOf = (state: QuestState, pass: ExplainedPass, stateDir: string): View => ({
  quest: state.id,
  title: state.spec.title,
  passes: state.passes.length,
  stateDir,
  pass,
});

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not reach a terminal
const invisible = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g;

/** Text of others on one line, without the characters that move a cursor or turn the reading direction. */
export const oneLine = (text: string): string => text.replaceAll(invisible, " ").trim();

/** A value of the metric: four digits, and the unit where one is given. */
export const figure = (value: number, unit = ""): string =>
  `${Math.abs(value) >= 10_000 ? Math.round(value) : Number(value.toPrecision(4))}${unit ? ` ${unit}` : ""}`;

/** An e-value: as many digits as say something. */
export function evidence(e: number | null): string {
  if (e === null) return "-";
  if (e >= 1e5 || (e > 0 && e < 0.01)) return e.toExponential(0).replace("e+", "e");
  return e >= 100 ? e.toFixed(0) : e >= 10 ? e.toFixed(1) : e.toFixed(2);
}

/** From here on a change is written with a power of ten. */
const hugeChange = 1e5;

/** A change with its sign; "none" where there is no finite one. */
export function change(fraction: number | null): string {
  if (fraction === null) return "none";
  if (Math.abs(fraction) < hugeChange) return signedPercent(fraction);
  return `${fraction > 0 ? "+" : "-"}${(Math.min(Math.abs(fraction), 1e300) * 100).toExponential(0)} %`;
}

/** A gain beside an axis. */
export const tickText = (fraction: number): string =>
  Math.abs(fraction) < hugeChange ? percent(fraction) : change(fraction);

/** How much worse a guard was. */
const worsening = (fraction: number | null): string =>
  fraction === null
    ? "no finite change"
    : `${change(Math.abs(fraction)).replace(/^[+-]/, "")} ${fraction < 0 ? "better" : "worse"}`;

/** Values of one column with the same number of decimals, so that they line up: four digits for the middle one. */
export function columnFigure(values: readonly number[]): (value: number) => string {
  const sizes = values
    .map(Math.abs)
    .filter(Number.isFinite)
    .toSorted((a, b) => a - b);
  const middle = sizes[sizes.length >> 1] ?? 1;
  const decimals = Math.min(12, Math.max(0, 3 - Math.floor(Math.log10(middle || 1))));
  return (value) => (Math.abs(value) < 1e12 ? value.toFixed(decimals) : String(value));
}

const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? "" : "s"}`;
export const interval = ({ low, high, level }: Effect): string =>
  `${percent(level)} interval ${change(low)} to ${change(high)}`;

/** What the recomputation came to, in one sentence. */
export function comparison({ same, stored, recomputed }: ExplainedPass): string {
  if (same === null) return "not judged yet: the evidence is not complete";
  if (same) return "recomputed from the stored evidence: the same verdict, to the last figure";
  return `RECOMPUTED FROM THE STORED EVIDENCE IT IS ANOTHER: stored ${stored?.verdict}, recomputed ${recomputed?.verdict ?? "none"}`;
}

/** The rules of the pass as name and meaning. */
export function ruleLines(rules: Rules): [string, string][] {
  const { metric, improveBy, margin, minEffect, alpha, bound, futilityBound } = rules;
  const unit = metric.unit ? ` in ${metric.unit}` : "";
  return [
    ["metric", `${metric.name}${unit}, ${metric.better} is better`],
    ["goal", improveBy === null ? "any proven gain" : `${percent(improveBy)} better`],
    ["margin", `${percent(margin)}: a gain up to this counts as none`],
    ["smallest gain", `${percent(minEffect)}: what is shown to gain less is dropped`],
    ["alpha", `${alpha} for this pass: E has to reach ${figure(bound)}`],
    ["futility", `it is dropped when the other E reaches ${figure(futilityBound)}`],
    [
      "budget",
      `${count(rules.pairsMax, "pair")} to decide, then ${rules.confirmationPairs} fresh ones for the effect`,
    ],
  ];
}

/** Where the deciding pairs stopped, and why. */
export function stopLine({ stop, pairs }: ExplainedSamples, rules: Rules): string {
  const after = `after ${count(stop.pairs, "pair")} of ${rules.pairsMax}`;
  const figures = `E ${evidence(stop.e)} where ${figure(rules.bound)} decides, futility ${evidence(stop.eFutility)} where ${figure(rules.futilityBound)} does`;
  if (stop.state === "broken") return `The pairs cannot be judged: ${stop.reason}.`;
  if (stop.state === "more") return `The series ended ${after} without a decision (${figures}).`;
  const left = pairs.length - stop.pairs;
  const beyond = left > 0 ? ` ${count(left, "later pair")} did not count.` : "";
  return `Stopped ${after}: ${stop.reason} (${figures}).${beyond}`;
}

export type EffectRow = { name: string; effect: Effect | null; counted: number; reported: boolean };

/** The estimates of the gain: the one that the deciding pairs give, and those of fresh pairs, which are reported. */
export function effectRows({
  stop,
  decidingEffect,
  confirmation,
  total,
  remeasure,
}: ExplainedSamples): EffectRow[] {
  const fresh = (
    name: string,
    series: typeof confirmation,
    reported = series.effect !== null,
  ): EffectRow => ({
    name,
    effect: series.effect,
    counted: series.counted,
    reported,
  });
  return [
    {
      name: "deciding pairs",
      effect: decidingEffect,
      counted: stop.pairs,
      reported: confirmation.effect === null,
    },
    ...(confirmation.pairs.length > 0 ? [fresh("fresh pairs", confirmation)] : []),
    ...(total && total.pairs.length > 0 ? [fresh("against the quest's base", total)] : []),
    ...(remeasure && remeasure.pairs.length > 0 ? [fresh("measured again", remeasure, false)] : []),
  ];
}

/** What was seen of the runs from outside, as medians over the deciding pairs, and whether both arms computed the same. */
export function outsideLines({ pairs, stop }: ExplainedSamples): [string, string][] {
  const counted = pairs.slice(0, stop.pairs);
  if (counted.length === 0) return [];
  const middle = (arm: "base" | "candidate", of: "wallMs" | "cpuMs"): number | null => {
    const values = counted.flatMap((pair) => pair[arm][of] ?? []).toSorted((a, b) => a - b);
    return values.length === counted.length ? (values[values.length >> 1] as number) : null;
  };
  const times = (of: "wallMs" | "cpuMs"): string => {
    const [base, candidate] = [middle("base", of), middle("candidate", of)];
    if (base === null || candidate === null) return "not measured";
    return `base ${figure(base, "ms")}, candidate ${figure(candidate, "ms")}`;
  };
  const printed = counted.filter((pair) => pair.base.digest !== null);
  const equal = printed.filter((pair) => pair.base.digest === pair.candidate.digest);
  return [
    ["wall time of a run", times("wallMs")],
    ["processor time", times("cpuMs")],
    [
      "output digest",
      printed.length > 0 ? `equal in ${equal.length} of ${count(printed.length, "pair")}` : "none is printed",
    ],
  ];
}

const guardEnd = {
  holds: "holds",
  regressed: "shown to be beyond its bound",
  undecided: "not shown to be within its bound",
};

export const guardWords = (finding: GuardFinding, { guards, guardBound }: Rules): string =>
  `${worsening(finding.worsening)}, bound ${percent(guards.find(({ name }) => name === finding.name)?.worseBy ?? 0)} worse: ` +
  `${guardEnd[finding.state]} (E ${evidence(finding.e)} where ${figure(guardBound)} decides)`;

/** All that was found besides the samples, as name and finding; what looks wrong first. */
export function foundLines({ found, rules, cut, samples, setAside }: ExplainedPass): [string, string][] {
  const { unfit, crash, forbiddenPaths, suspicions, changedNothing, tests, signOffs } = found;
  const votes = Object.entries(signOffs).map(([role, each]): [string, string] => [
    `sign-off ${role}`,
    `${each.vote}: ${each.reasons.join("; ")}`,
  ]);
  const missing = rules.signOff.filter((role: Role) => !signOffs[role]);
  return [
    ...(cut ? [["ended early", cut] as [string, string]] : []),
    ...[unfit, crash].flatMap((fault): [string, string][] =>
      fault ? [["fault", `${fault.message} (${fault.code})`]] : [],
    ),
    ...(forbiddenPaths.length > 0 ? [["may not change", forbiddenPaths.join(", ")] as [string, string]] : []),
    ...(setAside.length > 0 ? [["edits set aside", setAside.join(", ")] as [string, string]] : []),
    ...[...suspicions, ...(samples?.suspicions ?? [])].map(({ kind, message, where }): [string, string] => [
      "suspicion",
      `${kind}: ${message}${where ? ` (${where})` : ""}`,
    ]),
    ...(changedNothing ? [["candidate", "changes nothing"] as [string, string]] : []),
    ["tests", tests ?? "not run"],
    ...votes,
    ...(missing.length > 0 ? [["no sign-off", missing.join(", ")] as [string, string]] : []),
  ];
}

/** The option that names a state directory in a command to type; nothing where it is the default. */
export const stateOption = (stateDir: string): string =>
  stateDir === ".questbus" ? "" : ` --state ${stateDir}`;

/** The command that explains the last measured pass of a quest. */
export const explainCall = (quest: string, stateDir: string): string =>
  `questbus verdict explain ${quest}${stateOption(stateDir)}`;

/** What to type to compute it all again. */
export function recomputeLines({ quest, stateDir, pass }: View): string[] {
  const where = stateOption(stateDir);
  return [
    `questbus verdict explain ${quest} --pass ${pass.pass} --json${where}`,
    `questbus audit verify${where}`,
  ];
}
