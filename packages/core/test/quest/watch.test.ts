import { type Effect, type QuestDocument, questDocument, type ResolvedFixer } from "@questbus/protocol";
import { oid, type PassScript, submission } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { decideSubmit } from "../../src/quest/decide.ts";
import { acceptedChange, type QuestState, type Submission } from "../../src/quest/state.ts";
import { followUp, watchDocument, watchFinding } from "../../src/quest/watch.ts";
import { codeOf, contextAt, offeredRole, openPlay, operator, type Play, run, start, step } from "./play.ts";

const original = submission().document;
const accepted = run(openPlay()).state;

/** What a recheck submits. */
function watchSubmission(commit = accepted.accepted?.commit ?? "") {
  const document = watchDocument(accepted, original, "main");
  return { ...submission(), document, resolved: [{ name: commit, commit }] };
}

/** A watch that ran in the world of `script`. */
const watchIn = (script: PassScript): QuestState => ranIn(script, watchSubmission(), accepted);

/** A quest that ran in the world of `script`. */
function ranIn(script: PassScript, sent: Submission, watched: QuestState | null = null): QuestState {
  const draft = decideSubmit(sent, contextAt(5_000, operator), watched);
  const play: Play = { state: draft.state, pauses: [], journal: [], nowMs: 5_000 };
  start(play);
  while (offeredRole(play.state)) step(play, script);
  return play.state;
}

describe("a watch", () => {
  it("is the accepted quest's bench, the ref as its base, the accepted commit as its candidate", () => {
    const document = watchDocument(accepted, original, "main");
    expect(document).toMatchObject({
      intent: "validate",
      watch: accepted.id,
      target: { ref: "main", candidate: accepted.accepted?.commit },
      measure: original.measure,
      guards: [],
      fixers: [],
      signOff: ["performance"],
      seal: { policy: "restore", paths: [], except: ["src/**"] },
    });
    expect(document.goal?.improveBy).toBeUndefined();
    expect(questDocument.parse(document)).toEqual(document);
  });

  it.each<[string, PassScript, string, RegExp]>([
    [
      "a lost gain",
      { gain: 0.25 },
      "regressed",
      /^main \(.*\) has regressed: the accepted commit is 25 % faster/,
    ],
    ["nothing lost", { gain: 0, pairs: 60 }, "fine", /^no regression of main/],
    ["a small loss", { gain: 0.03 }, "fine", /^no regression worth chasing of main/],
    ["too few pairs", { gain: 0.25, pairs: 5 }, "undecided", /nor ruled out/],
    ["a bench that fails there", { faults: { gate: "BENCH_FAILED" } }, "failed", /could not be held against/],
    ["a base that cannot run", { faults: { "base-measure": "BENCH_FAILED" } }, "failed", /could not be held/],
  ])("%s", (_, script, outcome, text) => {
    const found = watchFinding(watchIn(script));
    expect(found).toMatchObject({ outcome, text: expect.stringMatching(text) });
  });

  it("may hold nothing against a ref but what its quest was accepted with", () => {
    const submitted = (watched: QuestState | null, commit?: string) =>
      codeOf(() => decideSubmit(watchSubmission(commit), contextAt(1, operator), watched));
    expect(submitted(accepted)).toBe("allowed");
    expect(submitted(accepted, oid("another"))).toBe("NOTHING_ACCEPTED");
    expect(submitted(openPlay().state)).toBe("NOTHING_ACCEPTED");
    expect(submitted(null)).toBe("NOTHING_ACCEPTED");
  });

  it("may hold what a validate quest was given against a ref, but no patch and no watch", () => {
    const given = oid("given");
    const validated = (resolved: ResolvedFixer): QuestState => {
      const { fixers: _, ...document } = original;
      const target = { ...document.target, candidate: "faster" };
      const validate = questDocument.parse({ ...document, intent: "validate", target });
      return ranIn({}, { ...submission(), document: validate, resolved: [resolved] });
    };
    const commit = validated({ name: "faster", commit: given });
    expect(commit).toMatchObject({ status: "accepted", accepted: null });
    expect(acceptedChange(commit)).toEqual({ name: "faster", commit: given });
    expect(watchDocument(commit, original, "main").target.candidate).toBe(given);
    expect(codeOf(() => decideSubmit(watchSubmission(given), contextAt(1, operator), commit))).toBe(
      "allowed",
    );
    expect(acceptedChange(validated({ name: "faster.patch", sha256: "0".repeat(64) }))).toBeNull();
    const watch = watchIn({ gain: 0.25 });
    expect([watch.status, acceptedChange(watch)]).toEqual(["accepted", null]);
  });

  it("is not disturbed by signs of gaming: nobody's candidate is in it", () => {
    const { state } = openPlay();
    expect(state.spec.watch).toBeNull();
    expect(watchIn({}).passes[0]?.suspicions).toEqual([]);
  });
});

describe("the quest that regains what was lost", () => {
  const watch = watchIn({ gain: 0.25 });
  const effect = (estimate: number, low: number): Effect => ({ estimate, low, high: estimate, level: 0.95 });
  const command = { command: "./improve.sh", timeout: "10m" };
  const withFixers = (fixers: unknown[], more: Partial<QuestDocument> = {}) =>
    questDocument.parse({ ...original, fixers, ...more });

  it.each<[string, Effect, string]>([
    ["what is sure", effect(0.2, 0.152), "15.2%"],
    ["rounded down", effect(0.2, 0.15999), "15.9%"],
    ["the estimate where the interval reaches the margin", effect(0.03, 0.005), "3%"],
    ["never down to the margin", effect(0.0101, 0.005), "1.1%"],
    ["never all of it", effect(4, 3), "99%"],
  ])("its goal is the loss: %s", (_, lost, improveBy) => {
    expect(followUp(withFixers([command]), watch, lost).document.goal?.improveBy).toBe(improveBy);
  });

  it("keeps the fixers that can make a new change; patches were made for another tree", () => {
    const both = followUp(withFixers([{ patch: "a.patch" }, command]), watch, effect(0.2, 0.15));
    expect(both).toMatchObject({ alone: true, document: { fixers: [command], intent: "optimize" } });
    const patches = followUp(withFixers([{ patch: "a.patch" }]), watch, effect(0.2, 0.15));
    expect(patches).toMatchObject({ alone: false, document: { fixers: [{ patch: "regain.patch" }] } });
  });

  it("starts from the ref, with the measure, tests and guards of the original, on a branch of its own", () => {
    const fixed = withFixers([command], { onAccept: { branch: "faster", changelog: null } });
    const { document } = followUp(fixed, watch, effect(0.2, 0.15));
    const { measure, tests, guards } = original;
    expect(document).toMatchObject({ measure, tests, guards, target: { ref: "main" } });
    expect(document.onAccept?.branch).toBe("questbus/{quest}");
    expect(document.watch).toBeUndefined();
  });

  it("drops a smallest effect that is now above the goal", () => {
    const goal = { ...original.goal, minEffect: "15%" } as QuestDocument["goal"];
    const wide = withFixers([command], { goal });
    const { document } = followUp(
      wide,
      { ...watch, spec: { ...watch.spec, goal: { ...watch.spec.goal, minEffect: 0.15 } } },
      effect(0.12, 0.1),
    );
    expect(document.goal).toMatchObject({ improveBy: "10%" });
    expect(document.goal?.minEffect).toBeUndefined();
  });
});
