import { type Effect, percent, type QuestDocument, questDocument, type Verdict } from "@questbus/protocol";
import { isByName } from "../seal/sealed-path.ts";
import { effectPhrase, nameList } from "../verdict/phrase.ts";
import { acceptedChange, currentPass, type QuestState } from "./state.ts";

/**
 * A watch: the bench of an accepted change, run again. It asks of a later ref what a quest asks of a base: is the
 * accepted commit better by more than the margin? Then the ref has lost that much. So it is a quest of intent
 * `validate` whose base is the ref and whose candidate is the accepted commit, judged by the same gate; it runs no
 * tests and has no guards, because it accepts nothing.
 */
export function watchDocument(accepted: QuestState, original: QuestDocument, ref: string): QuestDocument {
  const { target, measure, goal, budget } = original;
  return questDocument.parse({
    version: original.version,
    title: titled(`Recheck of ${accepted.id}`, original.title),
    intent: "validate",
    watch: accepted.id,
    target: { ...target, ref, candidate: acceptedChange(accepted)?.commit },
    measure,
    goal: { margin: goal?.margin, minEffect: goal?.minEffect },
    tests: { command: "true", timeout: original.tests.timeout },
    budget,
    allow: { dependencies: true },
    seal: sealOf(original),
    signOff: ["performance"],
    profile: "none",
  });
}

/** What judges is REF's in both; the program is what the original let its candidates write by name. */
function sealOf({ seal, authorities }: QuestDocument): QuestDocument["seal"] {
  const program = (authorities?.performance?.write ?? []).filter(isByName);
  return {
    policy: "restore",
    paths: seal?.paths ?? [],
    except: [...(seal?.except ?? []), ...program].slice(0, 64),
  };
}

const titleCharsMax = 120;
const titled = (what: string, title: string): string => `${what}: ${title}`.slice(0, titleCharsMax);

/** What a watch that has ended found. `failed`: the two could not be compared. */
export type WatchFinding = {
  outcome: "regressed" | "fine" | "undecided" | "failed";
  /** How much better the accepted commit is than the ref, where that was measured. */
  effect: Effect | null;
  /** One line for people. */
  text: string;
};

const fine: readonly (string | undefined)[] = ["NO_EFFECT", "BELOW_MIN_EFFECT"];

export function watchFinding(watch: QuestState): WatchFinding {
  const found = findingOf(watch);
  const same = currentPass(watch)?.setAside ?? [];
  if (same.length === 0) return found;
  return { ...found, text: `${found.text} (both with ${nameList(same)} of ${watch.spec.target.ref})` };
}

function findingOf(watch: QuestState): WatchFinding {
  const { spec, base, status, ending } = watch;
  const verdict = currentPass(watch)?.verdict ?? null;
  const effect = verdict?.effect ?? null;
  const at = `${spec.target.ref} (${base.commit.slice(0, 12)})`;
  const why = verdict?.reasons[0] ?? ending?.reason ?? status;
  if (status === "accepted" && effect) {
    const lost = effectPhrase(effect, spec.measure.metric);
    return { outcome: "regressed", effect, text: `${at} has regressed: the accepted commit is ${lost}` };
  }
  if (fine.includes(verdict?.verdict)) {
    const measured = effect ? `the accepted commit is ${lowered(why)}` : why;
    return { outcome: "fine", effect, text: `${noRegression(verdict)} of ${at}: ${measured}` };
  }
  if (verdict?.verdict === "INCONCLUSIVE")
    return { outcome: "undecided", effect, text: `no regression of ${at} is proven, nor ruled out: ${why}` };
  return { outcome: "failed", effect, text: `${at} could not be held against the accepted commit: ${why}` };
}

const noRegression = (verdict: Verdict | null): string =>
  verdict?.verdict === "BELOW_MIN_EFFECT" ? "no regression worth chasing" : "no regression";

const lowered = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** Where the follow-up's patch is looked for, beside its quest file, when no fixer of the original can go on alone. */
export const regainPatch = "regain.patch";

/**
 * The quest that is to regain what a ref has lost: goal is the loss that is sure (the interval's low end, where that is
 * above the margin), the rest is the original's. Its fixers are those that can make a new change; `alone` is false when
 * there are none, and a person has to write {@link regainPatch}.
 */
export function followUp(
  original: QuestDocument,
  watch: QuestState,
  effect: Effect,
): { document: QuestDocument; alone: boolean } {
  const { watch: _watch, target, goal, onAccept, ...same } = original;
  const { candidate: _candidate, ...place } = target;
  const { margin } = watch.spec.goal;
  const lost = effect.low > margin ? effect.low : effect.estimate;
  const improveBy = Math.min(0.99, Math.max(Math.floor(lost * 1_000) / 1_000, margin + 0.001));
  const minEffect = watch.spec.goal.minEffect;
  const fixers = original.fixers.filter((each) => !("patch" in each));
  const document = questDocument.parse({
    ...same,
    title: titled(`Regain ${percent(improveBy)}`, original.title),
    intent: "optimize",
    target: { ...place, ref: watch.spec.target.ref },
    goal: {
      ...goal,
      improveBy: `${Number((improveBy * 100).toFixed(1))}%`,
      minEffect: minEffect !== null && minEffect <= improveBy ? goal?.minEffect : undefined,
    },
    fixers: fixers.length > 0 ? fixers : [{ patch: regainPatch }],
    onAccept: { ...onAccept, branch: onAccept?.branch.includes("{quest}") ? onAccept.branch : undefined },
  });
  return { document, alone: fixers.length > 0 };
}
