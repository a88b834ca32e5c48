import type { EventBody, JournalEvent } from "@questbus/protocol";
import { improving, type PassScript } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { openReplay, type VerdictFault } from "../../src/journal/recompute.ts";
import { cancel, deadline, openPlay, type Play, rule, run, until } from "../quest/play.ts";

/** The stored verdicts of a journal against what its own evidence gives (design, decision 8). */
function recheck(journal: readonly JournalEvent[]): VerdictFault[] {
  const replay = openReplay();
  return journal.flatMap((event) => replay.push(event).fault ?? []);
}

type Body<T extends keyof EventBody> = EventBody[T];

/** The journal as if the last event of a type had been written with another body. */
function rewritten<T extends keyof EventBody>(
  play: Play,
  type: T,
  change: (body: Body<T>) => Body<T>,
): JournalEvent[] {
  const at = play.journal.findLastIndex((event) => event.type === type);
  return play.journal.map((event, index) =>
    index === at ? ({ ...event, body: change(event.body as Body<T>) } as JournalEvent) : event,
  );
}

const passes: PassScript[] = [{ gain: 0.12 }, { worse: 0.3 }, { gain: 0.15 }];
const played = (): Play => run(openPlay(), passes);

describe("verdicts that follow from their evidence", () => {
  const scripts: PassScript[] = [
    {},
    { gain: 0 },
    { gain: 0.03 },
    { pairs: 2 },
    { worse: 0.4 },
    { suite: "red" },
    { nothing: true },
    { files: ["test/a.js"] },
    { refuses: ["review"] },
    { refuses: ["guard"] },
    { faults: { gate: "BENCH_FAILED" } },
    { faults: { separate: "SUITE_FAILED" } },
  ];
  const higher = {
    measure: { command: "b", metric: { name: "ops", from: "metric-line", better: "higher" } },
  };
  const highGuard = { guards: [{ name: "hits", from: "metric-line", better: "higher", worseBy: "10%" }] };

  it.each(scripts)("whatever a pass found: %o", (script) => {
    for (const quest of [{}, improving, higher, highGuard]) {
      expect(recheck(run(openPlay(quest), [script, script, script]).journal)).toEqual([]);
    }
  });

  it("over several passes, a cut one and a granted one", () => {
    expect(recheck(played().journal)).toEqual([]);
    const cut = openPlay();
    until(cut, "guard");
    cut.nowMs = cut.state.deadlineMs ?? 0;
    deadline(cut);
    run(cut);
    rule(cut, "retry");
    until(cut, "gate");
    cancel(cut);
    expect(recheck(cut.journal)).toEqual([]);
  });
});

describe("a verdict that was tampered with is named", () => {
  it("a refusal turned into an acceptance", () => {
    const play = run(openPlay(), [{ gain: 0 }, { gain: 0 }, { gain: 0 }]);
    const journal = rewritten(play, "pass.judged", (body) => ({
      ...body,
      verdict: { ...body.verdict, verdict: "ACCEPT" },
    }));
    const judged = play.journal.findLast((event) => event.type === "pass.judged");
    expect(recheck(journal)).toEqual([
      { seq: judged?.seq, quest: play.state.id, stored: "ACCEPT", recomputed: "NO_EFFECT" },
    ]);
  });

  it.each([
    ["its figures", (body) => ({ ...body, verdict: { ...body.verdict, e: body.verdict.e * 2 } })],
    ["its reasons", (body) => ({ ...body, verdict: { ...body.verdict, reasons: ["because"] } })],
    ["its cut", (body) => ({ ...body, cut: "out of time" })],
  ] as [string, (body: Body<"pass.judged">) => Body<"pass.judged">][])("%s", (_, change) => {
    expect(recheck(rewritten(played(), "pass.judged", change))).toHaveLength(1);
  });

  it("the samples under it", () => {
    const play = played();
    const at = play.journal.findLastIndex(
      (event) => event.type === "task.reported" && event.body.report.task === "gate",
    );
    const journal = structuredClone(play.journal) as JournalEvent[];
    const event = journal[at];
    if (event?.type === "task.reported" && event.body.report.task === "gate" && event.body.report.result) {
      for (const pair of event.body.report.result.samples.pairs) pair.candidate.value = pair.base.value;
    }
    expect(recheck(journal)).toMatchObject([{ stored: "ACCEPT", recomputed: "NO_EFFECT" }]);
  });
});

describe("what the replay follows", () => {
  it("gives the state after each event, and forgets a quest that has ended", () => {
    const play = played();
    const replay = openReplay();
    const last = play.journal.map((event) => replay.push(event).state).at(-1);
    expect(last).toEqual(play.state);
    expect(last?.status).toBe("accepted");
    const [claimed] = play.journal.filter((event) => event.type === "assignment.claimed");
    expect(replay.push(claimed as JournalEvent)).toEqual({ state: null, asks: [], fault: null });
  });

  it("passes by what belongs to no quest", () => {
    const row = {
      ...(played().journal[0] as JournalEvent),
      quest: null,
      type: "agent.joined",
      body: { incarnation: "i", pid: 1 },
    } as JournalEvent;
    expect(openReplay().push(row)).toEqual({ state: null, asks: [], fault: null });
  });
});
