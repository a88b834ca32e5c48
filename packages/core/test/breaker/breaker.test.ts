import { type JournalEvent, limit, type NewEvent } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  applyBreaker,
  type Breaker,
  breakerText,
  decideBreaker,
  permitOf,
  type WorkEnd,
  workEnds,
} from "../../src/breaker/breaker.ts";

const agent = "qa/qa";
const bad: WorkEnd = { agent, bad: "it crashed" };
const good: WorkEnd = { agent, bad: null };

type Step = { end: WorkEnd; atMs: number };
type Played = { breaker: Breaker | null; events: (NewEvent & { timeMs: number })[] };

function play(steps: readonly Step[]): Played {
  const played: Played = { breaker: null, events: [] };
  for (const { end, atMs } of steps) {
    const event = decideBreaker(played.breaker, end, atMs);
    if (!event) continue;
    const row = { ...event, timeMs: atMs };
    played.events.push(row);
    played.breaker = applyBreaker(played.breaker, row);
  }
  return played;
}
const at = (...steps: [WorkEnd, number][]): Played => play(steps.map(([end, atMs]) => ({ end, atMs })));
const typesOf = ({ events }: Played): string[] => events.map(({ type }) => type.replace("breaker.", ""));

describe("what ends count", () => {
  const row = (type: string, body: unknown): JournalEvent =>
    ({ type, body, actor: { role: "qa", name: "qa" } }) as unknown as JournalEvent;
  const reported = (fault: unknown) => row("task.reported", { report: { task: "suite", fault } });
  test.each([
    [
      "a lease that ran out",
      row("lease.expired", { assignment: "q-1.ops", agent: "ops", reason: "late" }),
      ["ops/ops"],
      1,
    ],
    ["a report", reported(null), ["qa/qa"], 0],
    ["a report of a red suite", reported({ code: "SUITE_FAILED", message: "red" }), ["qa/qa"], 0],
    ["a crash of the agent's own", reported({ code: "INTERNAL", message: "oops" }), ["qa/qa"], 1],
    [
      "a refused report",
      row("command.refused", { verb: "report", code: "REPORT_OUT_OF_TURN", message: "" }),
      ["qa/qa"],
      1,
    ],
    [
      "a report under a lease that is over",
      row("command.refused", { verb: "report", code: "LEASE_STALE" }),
      [],
      0,
    ],
    ["a refused cancel", row("command.refused", { verb: "cancel", code: "QUEST_ENDED" }), [], 0],
    [
      "a report that cannot be read",
      row("message.dead", { subject: "local.cmd.qa.qa.report", faults: [] }),
      ["qa/qa"],
      1,
    ],
    [
      "a claim that cannot be read",
      row("message.dead", { subject: "local.cmd.qa.qa.claim", faults: [] }),
      [],
      0,
    ],
    [
      "asks of one holder",
      row("ask.expired", { asks: [{ holder: "qa/b" }, { holder: "qa/b" }, {}], reason: "" }),
      ["qa/b"],
      1,
    ],
    ["an ask that was answered", row("ask.reported", { ask: "a-1", fault: null }), ["qa/qa"], 0],
    [
      "an ask that its agent says cannot be answered",
      row("ask.reported", { phase: "test", fault: { code: "SUITE_FAILED", message: "red" } }),
      ["qa/qa"],
      0,
    ],
    [
      "an ask on which its agent crashed",
      row("ask.reported", { phase: "test", fault: { code: "INTERNAL", message: "oops" } }),
      ["qa/qa"],
      1,
    ],
    ["anything else", row("agent.joined", {}), [], 0],
  ] as const)("%s", (_what, event, agents, badOnes) => {
    const ends = workEnds(event);
    expect(ends.map((end) => end.agent)).toEqual(agents);
    expect(ends.filter((end) => end.bad !== null)).toHaveLength(badOnes);
  });
});

test.each<[string, Played, string[]]>([
  ["a good end alone says nothing", at([good, 0], [good, 1]), []],
  ["one bad end counts, a good one clears it", at([bad, 0], [good, 1], [good, 2]), ["counted", "closed"]],
  ["three in a row open it", at([bad, 0], [bad, 1], [bad, 2]), ["counted", "counted", "opened"]],
  [
    "with a good one between they do not",
    at([bad, 0], [bad, 1], [good, 2], [bad, 3]),
    ["counted", "counted", "closed", "counted"],
  ],
  [
    "nor over a longer time than the window",
    at([bad, 0], [bad, 1], [bad, limit.breakerWindowMs + 1]),
    ["counted", "counted", "counted"],
  ],
  [
    "what ends during the pause is not held against it",
    at([bad, 0], [bad, 1], [bad, 2], [bad, 3]),
    ["counted", "counted", "opened"],
  ],
  [
    "a trial that ends badly opens it again at once, one that ends well closes it",
    at([bad, 0], [bad, 1], [bad, 2], [bad, 2 + limit.breakerPauseMs], [good, limit.breakerWindowMs]),
    ["counted", "counted", "opened", "opened", "closed"],
  ],
])("%s", (_what, played, expected) => {
  expect(typesOf(played)).toEqual(expected);
});

test("the pause doubles with each trial that fails, up to the most, and begins anew after a good end", () => {
  let breaker: Breaker | null = null;
  const pauses: number[] = [];
  let nowMs = 0;
  while (pauses.length < 9) {
    const event = decideBreaker(breaker, bad, nowMs) as NewEvent;
    breaker = applyBreaker(breaker, { ...event, timeMs: nowMs });
    if (event.type === "breaker.opened") pauses.push(event.body.pauseMs);
    nowMs = breaker?.open?.untilMs ?? nowMs + 1;
  }
  expect(pauses).toEqual([5, 10, 20, 40, 80, 160, 300, 300, 300].map((seconds) => 1_000 * seconds));
  expect(typesOf(at([bad, 0], [bad, 1], [bad, 2], [good, 3], [bad, 4]))).toEqual([
    "counted",
    "counted",
    "opened",
    "closed",
    "counted",
  ]);
});

const anyStep = fc.record({
  end: fc.constantFrom(bad, bad, bad, good),
  gapMs: fc.nat(limit.breakerWindowMs),
});
const anySteps = fc.array(anyStep, { maxLength: 40 }).map((steps) => {
  let atMs = 0;
  return steps.map(({ end, gapMs }): Step => {
    atMs += gapMs;
    return { end, atMs };
  });
});

describe("whatever happens", () => {
  test("I1: the state is a fold of the events alone", () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const { breaker, events } = play(steps);
        let folded: Breaker | null = null;
        for (const event of events) folded = applyBreaker(folded, event);
        expect(folded).toEqual(breaker);
      }),
    );
  });

  test("I2: one good end closes it", () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const last = steps.at(-1)?.atMs ?? 0;
        expect(play([...steps, { end: good, atMs: last }]).breaker).toBeNull();
      }),
    );
  });

  test("I3: after the longest pause it is offered a trial, one piece at a time", () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const { breaker } = play(steps);
        const laterMs = (steps.at(-1)?.atMs ?? 0) + limit.breakerPauseMsMax;
        expect(permitOf(breaker, laterMs, () => false)).toBe(breaker?.open ? "trial" : "all");
        if (breaker?.open) expect(permitOf(breaker, laterMs, () => true)).toBe("none");
        if (breaker?.open) expect(permitOf(breaker, breaker.open.untilMs - 1, () => false)).toBe("none");
      }),
    );
  });
});

test("people are told for how long, how often and why", () => {
  const { breaker } = at([bad, 0], [bad, 1], [bad, 2]);
  expect(breakerText(breaker as Breaker, 3)).toBe(
    "held off, 5 s more: 3 in a row ended badly, the last one: it crashed",
  );
  expect(breakerText(breaker as Breaker, 9_000)).toMatch(/^on trial: 3 in a row/);
});
