import type { Brief, ErrorCode, FixerSpec } from "@questbus/protocol";
import { historyOf, provenPasses, type QuestState } from "../quest/state.ts";

/** Faults of a fixer that it would meet again in the next pass. */
const lasting: readonly ErrorCode[] = ["FIXER_MISSING", "FIXER_QUOTA", "TOOL_FORBIDDEN"];

/** A patch is what it is; the others may do better, knowing what failed. */
const isAskedAgain = ({ kind }: FixerSpec): boolean => kind !== "patch" && kind !== "commit";

/** A fixer's breaker: it is asked again after one of these, and not after two in a row. */
const failing: readonly ErrorCode[] = ["FIXER_FAILED", "FIXER_TIMEOUT", "TURN_BLOCKED", "TURN_MISSED"];
const failuresMax = 2;

/** Fixers, by index, that would fail again as they did. */
export function fixersGone({ spec, passes }: QuestState): number[] {
  return [...spec.fixers.keys()].filter((index) => {
    const codes = passes.flatMap(({ fixer, crash }) => (fixer === index ? [crash?.code] : []));
    const isOneOf = (list: readonly ErrorCode[]) => (code: ErrorCode | undefined) =>
      code !== undefined && list.includes(code);
    const last = codes.slice(-failuresMax);
    // What it wants before it runs was denied, and it would want it again.
    const isDenied = passes.some(
      ({ fixer, crash, candidate }) =>
        fixer === index && crash?.code === "APPROVAL_DENIED" && candidate === null,
    );
    return (
      isDenied ||
      codes.some(isOneOf(lasting)) ||
      (last.length === failuresMax && last.every(isOneOf(failing)))
    );
  });
}

/** What a pass knows of the fixers when it chooses its own. */
export type FixersTried = Pick<Brief, "spec" | "fixersUsed" | "fixersGone" | "history" | "granted">;

/** Verdicts that left a question open, the most open one first. */
const openVerdicts = ["INCONCLUSIVE", "BELOW_MIN_EFFECT", "NO_EFFECT"];

/**
 * The fixers that a pass could take, best first, each with the reason: those that no pass has used; then, the last one
 * first, those that may do better, knowing what failed; and for a pass that the arbiter granted, the most promising
 * candidate of before. None: a pass could not have a candidate.
 */
export function fixersLeft(tried: FixersTried): { index: number; reason: string }[] {
  const { fixers } = tried.spec;
  const all = [...fixers.keys()].filter((index) => !tried.fixersGone.includes(index));
  const fresh = all.filter((index) => !tried.fixersUsed.includes(index));
  const again = all.filter((index) => !fresh.includes(index) && isAskedAgain(fixers[index] as FixerSpec));
  const promising = tried.granted ? mostPromising(tried) : -1;
  return [
    ...fresh.map((index) => ({ index, reason: "next in the quest's order" })),
    ...again.reverse().map((index) => ({ index, reason: againText(fixers[index] as FixerSpec) })),
    ...(promising >= 0 && !fresh.includes(promising) && !again.includes(promising)
      ? [{ index: promising, reason: "the most promising candidate, measured afresh" }]
      : []),
  ];
}

const againText = ({ kind }: FixerSpec): string =>
  kind === "knobs"
    ? "the search goes on"
    : kind === "command"
      ? "the command is asked again"
      : "it is asked again";

function mostPromising({ spec, history }: FixersTried): number {
  const [best] = history
    .filter((pass) => openVerdicts.includes(pass.verdict) && pass.fixer !== null)
    .sort((a, b) => openVerdicts.indexOf(a.verdict) - openVerdicts.indexOf(b.verdict));
  return spec.fixers.findIndex((fixer) => fixer.name === best?.fixer);
}

const isGranted = ({ escalation }: QuestState): boolean => escalation?.ruling?.decision === "retry";

/**
 * What is known of the fixers for the next choice; an arbiter who grants a pass has seen to those that were gone. A
 * fixer is not used up by a pass that the machine spoiled, nor by a gain that could not be kept or integrated.
 */
export function fixersTried(state: QuestState, granted = isGranted(state)): FixersTried {
  const kept = provenPasses(state);
  const counted = state.passes.filter((pass) => {
    const word = pass.verdict?.verdict;
    return word !== "ENV_UNFIT" && word !== "ACCEPT" && (word !== "KEEP" || kept.includes(pass));
  });
  return {
    spec: state.spec,
    fixersUsed: counted.flatMap(({ fixer }) => (fixer === null ? [] : [fixer])),
    fixersGone: granted ? [] : fixersGone(state),
    history: historyOf(state),
    granted,
  };
}

/** Whether a further pass could have a candidate; `granted`: one that the arbiter grants. */
export const isFixerLeft = (state: QuestState, granted = isGranted(state)): boolean =>
  fixersLeft(fixersTried(state, granted)).length > 0;
