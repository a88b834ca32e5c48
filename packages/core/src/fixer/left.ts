import type { ErrorCode, FixerSpec } from "@questbus/protocol";
import { currentPass, type QuestState } from "../quest/state.ts";

/** Faults of a fixer that it would meet again in the next pass. */
const lasting: readonly ErrorCode[] = ["FIXER_MISSING", "FIXER_QUOTA"];

/** A patch is what it is; the others may do better, knowing what failed. */
export const isAskedAgain = ({ kind }: FixerSpec): boolean => kind !== "patch" && kind !== "commit";

/** Fixers, by index, that are not worth another pass. An arbiter who grants one has seen to that. */
export function fixersGone({ passes, escalation }: QuestState): number[] {
  if (escalation?.ruling?.decision === "retry") return [];
  return passes.flatMap(({ fixer, crash }) =>
    fixer !== null && crash && lasting.includes(crash.code) ? [fixer] : [],
  );
}

/** The fixer of this pass is gone, and nothing else could make a candidate: another pass would find that out again. */
export function noFixerLeft(state: QuestState): boolean {
  const gone = fixersGone(state);
  const { fixer = null } = currentPass(state) ?? {};
  if (fixer === null || !gone.includes(fixer)) return false;
  const used = state.passes.map((pass) => pass.fixer);
  return !state.spec.fixers.some(
    (each, at) => !gone.includes(at) && (!used.includes(at) || isAskedAgain(each)),
  );
}
