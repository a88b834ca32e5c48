import { type JournalEvent, limit, roles, type StackScope, stackScopes } from "@questbus/protocol";
import { improving, type PassScript, scriptedReport, validating } from "@questbus/testkit/scripted-report";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allowedDecisions } from "../../src/arbitration/matrix.ts";
import { openReplay } from "../../src/journal/recompute.ts";
import { isPassDue, whyWithheld } from "../../src/pause/withheld.ts";
import { grantOf } from "../../src/quest/brief.ts";
import { decideClaim } from "../../src/quest/claim.ts";
import { isEnded } from "../../src/quest/state.ts";
import { awaitingPass, standsStill } from "../../src/supply/supply.ts";
import {
  afterEnd,
  agentOf,
  cancel,
  claim,
  codeOf,
  contextAt,
  count,
  deadline,
  expire,
  goOn,
  offeredRole,
  openPlay,
  type Play,
  pause,
  pauseStack,
  release,
  report,
  resume,
  resumeStack,
  rule,
  settle,
  start,
  step,
  supply,
} from "./play.ts";

/** Any commands in any order, with agents that find anything: what holds at every step of every quest. */

const scripts: PassScript[] = [
  {},
  { gain: 0.12 },
  { gain: 0.06, total: 0.17 },
  { gain: 0 },
  { worse: 0.5 },
  { suite: "red" },
  { nothing: true },
  { files: ["test/x.js"] },
  { refuses: ["review"] },
  { fixer: null },
  { faults: { gate: "BENCH_FAILED" } },
  { faults: { prepare: "DISK_FULL" } },
  { faults: { produce: "FIXER_MISSING" } },
  { faults: { produce: "PATCH_DOES_NOT_APPLY" } },
  { faults: { settle: "ROLLBACK_UNPROVEN" } },
];

type Move =
  | { kind: "steps"; steps: number; script: PassScript }
  | {
      kind:
        | "start"
        | "claim"
        | "expire"
        | "release"
        | "stale"
        | "deadline"
        | "late"
        | "cancel"
        | "supply"
        | "drain";
    }
  | { kind: "pause" | "resume"; scope: StackScope | "quest" }
  | { kind: "rule"; decision: "accept" | "revert" | "retry" | "abandon" };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant("steps" as const),
      steps: fc.integer({ min: 1, max: 14 }),
      script: fc.constantFrom(...scripts),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("claim", "expire", "release", "stale", "start", "supply") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("deadline", "late", "cancel") }) },
  { weight: 2, arbitrary: fc.constant({ kind: "drain" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom("pause", "resume", "resume"),
      scope: fc.constantFrom("quest", "quest", ...stackScopes),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("rule" as const),
      decision: fc.constantFrom("accept", "revert", "retry", "retry", "abandon"),
    }),
  },
) as fc.Arbitrary<Move>;

const heldRole = (play: Play) =>
  Object.values(play.state.assignments).findIndex((each) => each.status === "leased") < 0
    ? null
    : (["architect", "performance", "qa", "ops"] as const).find(
        (role) => play.state.assignments[role].status === "leased",
      );

/** Paused while the pass is being settled: what is held is finished, and nothing follows yet. */
function drain(play: Play): void {
  for (let steps = 0; offeredRole(play.state) && play.state.task !== "settle" && steps < 20; steps++)
    step(play, { gain: 0 });
  if (!offeredRole(play.state)) return;
  const grant = claim(play);
  pause(play);
  report(play, scriptedReport(grant, { gain: 0 }), agentOf(grant.role));
}

const begin = (play: Play): void => {
  if (whyWithheld(play.state, play.pauses, null) === null) start(play);
};

/** Works on: takes back what is held, or finishes it where nothing else may be done, begins what waits, and plays some tasks. */
function work(play: Play, { steps, script }: Extract<Move, { kind: "steps" }>): void {
  const held = heldRole(play);
  if (held && play.state.halted)
    report(play, scriptedReport(grantOf(play.state, held), script), agentOf(held));
  else if (held) expire(play, held);
  begin(play);
  for (let at = 0; at < steps; at++) {
    if (awaitingPass(play.state)) supply(play);
    goOn(play);
    settle(play);
    if (!offeredRole(play.state)) return;
    step(play, script);
  }
}

/** Twice says the same, and changes nothing. */
function makePause(play: Play, { kind, scope }: Extract<Move, { kind: "pause" | "resume" }>): void {
  const act = (): unknown => {
    if (scope === "quest") return codeOf(() => (kind === "pause" ? pause(play) : resume(play)));
    return kind === "pause" ? pauseStack(play, scope) : resumeStack(play, scope);
  };
  act();
  const { state, pauses } = play;
  act();
  expect([play.state, play.pauses], "pausing what is paused changes nothing").toEqual([state, pauses]);
}

function make(play: Play, next: Move): void {
  const open = offeredRole(play.state);
  const held = heldRole(play);
  switch (next.kind) {
    case "pause":
    case "resume":
      return makePause(play, next);
    case "steps":
      return work(play, next);
    case "claim":
      return void (open && claim(play));
    case "expire":
      return void (held && expire(play, held));
    case "release":
      return void (open && release(play, claim(play)));
    case "stale": {
      if (!open) return;
      const grant = claim(play);
      expire(play, grant.role);
      expect(codeOf(() => report(play, scriptedReport(grant), agentOf(grant.role)))).toBe("LEASE_STALE");
      return;
    }
    case "late":
      play.nowMs += play.state.spec.budget.wallClockMs;
      return;
    case "rule": {
      const may = allowedDecisions(play.state).find((each) => each.decision === next.decision)?.allowed;
      const code = codeOf(() => rule(play, next.decision));
      if (code === "allowed") expect(may).toBe(true);
      return;
    }
    case "supply": {
      const awaited = awaitingPass(play.state) !== null;
      expect(codeOf(() => supply(play)) === "allowed").toBe(awaited);
      return;
    }
    case "cancel":
      return void codeOf(() => cancel(play));
    case "deadline":
      return void deadline(play);
    case "drain":
      return drain(play);
    case "start":
      return begin(play);
  }
}

/** What must hold of a quest between any two commands. */
function assertSound(play: Play): void {
  const { state } = play;
  const grants = play.journal.filter(
    (event) => event.type === "ruling.made" && event.body.decision === "retry",
  );
  expect(grants.length, "I2: at most one extra pass is granted").toBeLessThanOrEqual(limit.passesGrantedMax);
  expect(state.passes.length, "I2: passes").toBeLessThanOrEqual(state.spec.budget.passes + grants.length);
  state.passes.forEach((pass, at) => {
    expect(pass.n).toBe(at + 1);
    if (at < state.passes.length - 1)
      expect(pass.verdict, "a pass before the last has a verdict").not.toBeNull();
  });
  if (state.status === "escalated" || isEnded(state)) {
    for (const pass of state.passes) expect(pass.verdict, "no pass is left without a verdict").not.toBeNull();
  }
  const open = Object.values(state.assignments).filter(
    ({ status }) => status === "offered" || status === "leased",
  );
  expect(open.length, "one task at a time").toBeLessThanOrEqual(1);
  if (state.status !== "running") expect(open).toEqual([]);
  if (state.status === "running") expect(open).toHaveLength(standsStill(state) || isPassDue(state) ? 0 : 1);
  const withheld = whyWithheld(state, play.pauses, null) !== null;
  expect(state.halted !== undefined, "halted while it runs and is kept from going on, and no longer").toBe(
    state.status === "running" && withheld,
  );
  const given = roles.flatMap(
    (role) => decideClaim(state, role, contextAt(play.nowMs, agentOf(role))).events,
  );
  if (state.halted) expect(given, "nothing of what is halted is given out").toEqual([]);
  if (isPassDue(state)) expect(state.halted, "only what is halted begins no pass").toBeDefined();
  if (standsStill(state)) expect(state.status, "only a quest that runs stands still").toBe("running");
}

/** Last known-good moves only where the pass before it was a KEEP, and always to that pass's candidate. */
function assertGoodMoves(play: Play): void {
  for (const [at, event] of play.journal.entries()) {
    if (event.type !== "good.moved") continue;
    const judged = play.journal.slice(0, at).findLast((each) => each.type === "pass.judged");
    expect(judged?.type === "pass.judged" && judged.body).toMatchObject({
      tree: event.body.tree,
      verdict: { verdict: "KEEP" },
    });
  }
  if (count(play, "good.moved") === 0) expect(play.state.lastGood).toEqual(play.state.base);
}

/** Only what was proven goes in: a candidate with ACCEPT, or the last that was kept. */
function assertIntegrations(play: Play): void {
  const proven = play.state.passes.flatMap(({ candidate, verdict }) =>
    candidate && (verdict?.verdict === "ACCEPT" || verdict?.verdict === "KEEP") ? [candidate.tree] : [],
  );
  for (const event of play.journal) {
    if (event.type !== "assignment.offered" || event.body.settle?.kind !== "integrate") continue;
    expect(proven).toContain(event.body.settle.tree);
  }
  expect(play.state.status === "accepted" && play.state.spec.intent !== "validate").toBe(
    play.state.accepted !== null,
  );
}

function assertReplays(play: Play): void {
  const replay = openReplay();
  const seen = play.journal.map((event) => replay.push(event));
  expect(seen.flatMap(({ fault }) => fault ?? [])).toEqual([]);
  expect(seen.at(-1)?.state).toEqual(play.state);
}

const quests = fc.constantFrom(
  {},
  {},
  { fixers: [{ human: true }] },
  { fixers: [{ patch: "a.patch" }, { worker: true }, { command: "./improve.sh" }] },
  { budget: { passes: 1 } },
  { budget: { passes: 2 } },
  improving,
  validating,
  { measure: { command: "bench", metric: { name: "ops", from: "metric-line", better: "higher" } } },
  { guards: [{ name: "hits", from: "metric-line", better: "higher", worseBy: "10%" }] },
);

describe("any commands in any order", () => {
  it("I2, I4, I5: replay equals live, passes are bounded and judged, good moves by KEEP, only what is proven goes in", () => {
    const reached = new Set<string>();
    fc.assert(
      fc.property(quests, fc.array(move, { minLength: 3, maxLength: 24 }), (quest, moves) => {
        const play = openPlay(quest);
        const grant = firstGrant(play);
        for (const next of moves) {
          make(play, next);
          settle(play);
          assertSound(play);
          if (isEnded(play.state)) break;
        }
        assertGoodMoves(play);
        assertIntegrations(play);
        assertReplays(play);
        if (isEnded(play.state)) expect(new Set(Object.values(afterEnd(play, grant)))).toEqual(refusals);
        reached.add(play.state.status);
        if (count(play, "quest.continued") > 0) reached.add("continued");
        if (play.journal.some(isTakenUp)) reached.add("a due pass was begun");
        for (const pass of play.state.passes) reached.add(pass.verdict?.verdict ?? "open");
      }),
      { numRuns: 250 },
    );
    // A property that never got anywhere would prove nothing.
    for (const each of [
      "continued",
      "a due pass was begun",
      "escalated",
      "accepted",
      "reverted",
      "ACCEPT",
      "KEEP",
      "NO_EFFECT",
      "CRASH",
      "ENV_UNFIT",
    ]) {
      expect([...reached]).toContain(each);
    }
  });
});

/** A pass that begins with the quest's going on was due before. */
const isTakenUp = (row: JournalEvent, at: number, rows: readonly JournalEvent[]): boolean =>
  row.type === "pass.started" && rows[at - 1]?.type === "quest.continued";

const refusals = new Set(["nothing", "LEASE_STALE", "QUEST_ENDED", "ESCALATION_NOT_FOUND"]);

/** A lease from the quest's first moment, to be used long after. */
function firstGrant(play: Play) {
  start(play);
  const grant = claim(play);
  expire(play, grant.role);
  return grant;
}
