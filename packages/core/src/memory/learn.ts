import { type EventBody, limit, type MemoryKind, type VerdictWord } from "@questbus/protocol";
import { suspectText } from "../injection/suspect.ts";
import type { PassState, QuestState } from "../quest/state.ts";

/**
 * What a judged pass leaves for later quests: what was tried, its verdict, and why, from the journal alone. Nothing where the
 * pass says nothing of its candidate, or is of a watch, whose candidate was accepted before.
 */

const kindOf: Record<VerdictWord, MemoryKind | null> = {
  ACCEPT: "optimization",
  KEEP: "optimization",
  NO_EFFECT: "pattern",
  BELOW_MIN_EFFECT: "pattern",
  GUARD_REGRESSION: "slo",
  TESTS_FAILED: "error",
  HACK_SUSPECTED: "error",
  CRASH: "error",
  INCONCLUSIVE: null,
  ENV_UNFIT: null,
};

type Kept = EventBody["memory.kept"];

/** `signs`: what the text shows of speaking to its reader. */
export const suspectedIn = (text: string, tags: readonly string[]): Kept["suspected"] => [
  ...new Set([text, ...tags].flatMap(suspectText)),
];

/** Characters of a text of which the rest is left out. */
const short = (text: string, charsMax: number): string => text.slice(0, charsMax).trim().toWellFormed();

/** Null: nothing. */
export function learnedOf(state: QuestState, pass: PassState): Kept | null {
  const { spec } = state;
  const fixer = pass.fixer === null ? undefined : spec.fixers[pass.fixer];
  const kind = pass.verdict && kindOf[pass.verdict.verdict];
  if (!pass.verdict || !kind || !fixer || spec.watch !== null) return null;
  const { verdict, reasons } = pass.verdict;
  const files = pass.candidate?.files ?? [];
  const metric = spec.measure.metric.name;
  const text = short(
    `${short(fixer.name, limit.memoryTagCharsMax)} for ${metric}: ${verdict}. ${reasons.join(" ")}`,
    limit.memoryCharsMax,
  );
  const tags = [metric, ...files]
    .map((each) => short(each, limit.memoryTagCharsMax))
    .filter((each) => each !== "")
    .slice(0, limit.memoryTagsMax);
  return {
    kind,
    text,
    tags,
    project: spec.target.repo,
    quest: state.id,
    about: pass.candidate?.tree ?? `${fixer.name} ${pass.crash?.code ?? verdict}`,
    suspected: suspectedIn(text, tags),
  };
}

/** What the verdict of a pass says of the memories that were given in it; null: none were, or it says nothing of them. */
export function countedOf(
  { id, spec }: QuestState,
  pass: PassState,
  cut: string | null,
): EventBody["memory.counted"] | null {
  const word = pass.verdict?.verdict;
  const memories = [...new Set(Object.values(pass.given ?? {}).flat())];
  if (!word || memories.length === 0 || cut !== null || word === "ENV_UNFIT" || spec.watch !== null)
    return null;
  return { quest: id, pass: pass.n, memories, success: word === "ACCEPT" || word === "KEEP" };
}
