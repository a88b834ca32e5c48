import type { JournalEvent } from "@questbus/protocol";
import { improving, type PassScript } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { explainPasses } from "../../src/journal/explain-pass.ts";
import { cancel, openPlay, run, until } from "../quest/play.ts";

describe("the passes of a quest, explained from its journal", () => {
  const scripts: PassScript[] = [{ suite: "red" }, { gain: 0.12 }, { gain: 0.15 }];

  it("have the stored verdict, the same one recomputed, and the samples under it", () => {
    const passes = explainPasses(run(openPlay(), scripts).journal);
    expect(passes.map(({ pass, stored, same }) => [pass, stored?.verdict, same])).toEqual([
      [1, "TESTS_FAILED", true],
      [2, "KEEP", true],
      [3, "ACCEPT", true],
    ]);
    expect(passes.map(({ samples }) => samples?.pairs.length ?? null)).toEqual([null, 20, 20]);
    expect(passes[2]?.samples?.total?.effect?.estimate).toBeCloseTo(1 - 0.88 * 0.85, 6);
    expect(passes[2]?.fixer).not.toBeNull();
    expect(passes[2]?.candidate?.tree).toMatch(/^[0-9a-f]{40}$/);
  });

  it("follow the quest's intent: an ACCEPT of improve is a KEEP here too", () => {
    const passes = explainPasses(run(openPlay(improving), [{}, {}, {}]).journal);
    expect(passes.map(({ stored, same }) => [stored?.verdict, same])).toEqual(Array(3).fill(["KEEP", true]));
  });

  it("one that was cut says why, and shows what had been measured", () => {
    const cut = openPlay();
    until(cut, "guard");
    cancel(cut);
    const [pass] = explainPasses(cut.journal);
    expect(pass?.cut).not.toBeNull();
    expect(pass?.samples?.pairs).toHaveLength(20);
    expect(pass?.same).toBe(true);
  });

  it("one that is not judged yet has no verdict", () => {
    const open = openPlay();
    until(open, "guard");
    expect(explainPasses(open.journal)).toMatchObject([
      { pass: 1, stored: null, recomputed: null, same: null },
    ]);
    expect(explainPasses(openPlay().journal)).toEqual([]);
  });

  it("a stored verdict that its samples do not give shows as not the same", () => {
    const journal = structuredClone(run(openPlay(), scripts).journal) as JournalEvent[];
    const last = journal.findLast((event) => event.type === "pass.judged");
    if (last?.type === "pass.judged") last.body.verdict.e *= 2;
    expect(explainPasses(journal).map(({ same }) => same)).toEqual([true, true, false]);
  });
});
