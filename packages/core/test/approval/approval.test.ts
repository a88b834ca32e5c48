import { canonicalText, limit, type Report, type Role, type TouchedPath } from "@questbus/protocol";
import { improving, scriptedReport, validating } from "@questbus/testkit/scripted-report";
import { describe, expect, test } from "vitest";
import { awaitedApproval } from "../../src/approval/approval.ts";
import {
  approvalAnswer,
  askedApproval,
  decideApprovalAsk,
  decideApprovalExpiry,
  decideDeny,
  decideGrant,
} from "../../src/approval/decide.ts";
import { allowedDecisions } from "../../src/arbitration/matrix.ts";
import { pausedBy, whyWithheld } from "../../src/pause/withheld.ts";
import { grantOf } from "../../src/quest/brief.ts";
import {
  act,
  agentOf,
  cancel,
  claim,
  codeOf,
  count,
  deadline,
  goOn,
  offeredRole,
  openPlay,
  operator,
  type Play,
  pause,
  pauseStack,
  report,
  resume,
  resumeStack,
  run,
  settle,
  step,
  until,
  words,
} from "../quest/play.ts";

const manifest = (version: string): string => JSON.stringify({ dependencies: { fast: version } });
const touched = (version: string): TouchedPath[] => [
  { path: "package.json", oid: "1".repeat(40), before: "{}", after: manifest(version) },
];
const files = ["package.json", "src/search.js"];
const script = { files, touched: touched("1.0.0") };
const asking = {
  allow: { dependencies: "ask" },
  authorities: { performance: { write: ["**"] } },
};

const orchestrator = { role: "orchestrator", name: "orchestrator" } as const;
const idOf = ({ state }: Play): string => awaitedApproval(state)?.id ?? "";
const grant = (play: Play, id = idOf(play)) =>
  act(play, operator, (state, context) => decideGrant(state, { approval: id }, context));
const deny = (play: Play, reason = "not this one", id = idOf(play)) =>
  act(play, operator, (state, context) => decideDeny(state, { approval: id, reason }, context));
const expire = (play: Play, id = idOf(play)) =>
  act(play, orchestrator, (state, context) => decideApprovalExpiry(state, id, context));

/** Up to the wait for the approval of the candidate of this pass. */
function waiting(part: object = asking, world: object = script): Play {
  const play = openPlay(part);
  until(play, "review", world);
  step(play, world);
  expect(awaitedApproval(play.state)).not.toBeNull();
  return play;
}

describe("a candidate with something restricted in it", () => {
  test("waits after its review, before anything of it is run, and says who, what, why, and of which diff", () => {
    const play = waiting();
    expect(offeredRole(play.state)).toBeNull();
    expect(play.state.task).toBeNull();
    const pass = play.state.passes[0];
    expect(awaitedApproval(play.state)).toMatchObject({
      id: `${play.state.id}.approval-1`,
      asker: "performance, pass 1: a.patch",
      why: "its candidate changes dependencies (package.json)",
      operations: [{ kind: "dependencies", where: "package.json" }],
      diff: pass?.candidate?.diff,
      before: "suite",
      expiresMs: play.nowMs + limit.approvalMs,
    });
    expect(whyWithheld(play.state, [], null)).toMatchObject({ kind: "approval" });
    expect(pausedBy(play.state, [])).toBeNull();
  });

  test("is kept once where both roles show the same", () => {
    const shown = waiting().state.passes[0]?.shown;
    expect(shown?.map(({ path }) => path)).toEqual(["package.json"]);
  });

  test("granted, goes on to its validation as usual", () => {
    const play = waiting();
    grant(play);
    expect(offeredRole(play.state), "the machine has to be free first").toBeNull();
    goOn(play);
    expect(play.state.task).toBe("suite");
    run(play, [script]);
    expect(play.state.status).toBe("accepted");
  });

  test("denied, is refused with the reason, put back, and the next pass is told", () => {
    const play = waiting();
    deny(play, "no new dependencies this month");
    expect(words(play.state)).toEqual(["CRASH"]);
    expect(play.state.passes[0]?.verdict?.reasons[0]).toContain("no new dependencies this month");
    expect(play.state.settle).toMatchObject({ kind: "restore", tree: play.state.base.tree });
    until(play, "plan");
    const brief = claim(play).brief;
    expect(brief.history[0]?.reasons[0]).toContain("APPROVAL_DENIED");
  });

  test("with nobody deciding in time, is denied by the timer, not before", () => {
    const play = waiting({ ...asking, approvals: { expireAfter: "10m" } });
    const id = idOf(play);
    play.nowMs += 500_000;
    expect(expire(play).events).toEqual([]);
    play.nowMs += 100_000;
    // The timer of many may come after the command that waits with it.
    expect(codeOf(() => grant(play, id))).toBe("APPROVAL_CLOSED");
    expire(play);
    expect(play.state.passes[0]?.verdict?.reasons[0]).toContain("APPROVAL_EXPIRED");
    expect(codeOf(() => grant(play, id))).toBe("APPROVAL_CLOSED");
  });

  test("does not use the quest's time up while it waits", () => {
    const play = waiting({ ...asking, budget: { wallClock: "30m" } });
    const before = play.state.deadlineMs ?? 0;
    play.nowMs += 3_000_000;
    expect(deadline(play).events).toEqual([]);
    grant(play);
    expect(play.state.deadlineMs).toBeGreaterThanOrEqual(before + 3_000_000);
    goOn(play);
    run(play, [script]);
    expect(play.state.status).toBe("accepted");
  });

  test("is paused and resumed like any that stands still", () => {
    const play = waiting();
    pause(play);
    grant(play);
    expect(goOn(play).events).toEqual([]);
    resume(play);
    expect(play.state.task).toBe("suite");
    run(play, [script]);
    expect(play.state.status).toBe("accepted");
  });

  test("a pause that ends while it waits changes nothing", () => {
    const play = waiting();
    pause(play);
    resume(play);
    settle(play);
    expect(play.state.halted).toBeUndefined();
    expect(idOf(play)).not.toBe("");
  });

  test.each([
    "open pause grant resume",
    "open pause resume grant",
    "open pause resume pause grant resume",
    "pause open grant resume",
    "pause open resume grant",
  ])("time in which a pause holds it, too, is added once: %s", (order) => {
    const play = openPlay(asking);
    until(play, "review", script);
    const held = claim(play);
    const before = play.state.deadlineMs ?? 0;
    const acts: Record<string, () => unknown> = {
      open: () => report(play, scriptedReport(held, script), agentOf(held.role)),
      pause: () => pause(play),
      resume: () => resume(play),
      grant: () => grant(play),
    };
    for (const each of order.split(" ")) {
      play.nowMs += 1_000;
      acts[each]?.();
    }
    const since = play.journal.find(({ type }) => type === "approval.opened" || type === "quest.halted");
    expect(play.state.deadlineMs).toBe(before + play.nowMs - (since?.timeMs ?? 0));
    goOn(play);
    expect(play.state.task).toBe("suite");
  });

  test("granted while its role is paused, waits for the end of that", () => {
    const play = waiting();
    pauseStack(play, "qa");
    expect(whyWithheld(play.state, play.pauses, null)?.kind).toBe("approval");
    grant(play);
    expect(whyWithheld(play.state, play.pauses, null)).toMatchObject({ kind: "pause", scope: "qa" });
    settle(play);
    goOn(play);
    expect([play.state.task, offeredRole(play.state)]).toEqual([null, null]);
    resumeStack(play, "qa");
    expect([play.state.task, offeredRole(play.state)]).toEqual(["suite", "qa"]);
  });

  test("a quest that is cancelled withdraws what it asked", () => {
    const play = waiting();
    const id = idOf(play);
    cancel(play);
    expect(play.state.approvals).toMatchObject([{ id, decision: { word: "withdrawn" } }]);
    expect(codeOf(() => grant(play, id))).toBe("APPROVAL_CLOSED");
  });
});

describe("an approval is of exact content", () => {
  const again = (second: object, decideFirst: (play: Play) => unknown): Play => {
    const play = openPlay({ ...asking, fixers: [{ command: "./fix.sh" }] });
    // The same tree in both passes: it is the diff's hash and the operations that differ, or do not.
    until(play, "review", { ...script, fixer: 0 });
    step(play, { ...script, fixer: 0 });
    decideFirst(play);
    goOn(play);
    until(play, "plan", { ...script, fixer: 0, suite: "red" });
    until(play, "review", { ...second, fixer: 0 });
    step(play, { ...second, fixer: 0 });
    return play;
  };

  test("another version of the dependency needs another one", () => {
    const play = again({ files, touched: touched("2.0.0") }, grant);
    expect(idOf(play)).toBe(`${play.state.id}.approval-2`);
  });

  test("granting what is not there, or twice, is refused", () => {
    const play = waiting();
    expect(codeOf(() => grant(play, `${play.state.id}.approval-7`))).toBe("APPROVAL_NOT_FOUND");
    const id = idOf(play);
    grant(play);
    expect(codeOf(() => deny(play, "no", id))).toBe("APPROVAL_CLOSED");
  });
});

describe("what an agent says of its candidate grants nothing", () => {
  test("paths that nobody shows count as restricted", () => {
    const play = openPlay(asking);
    until(play, "review", { files });
    step(play, { files });
    expect(awaitedApproval(play.state)?.operations).toMatchObject([
      { what: expect.stringContaining("not shown") },
    ]);
  });

  test("performance shows nothing of it, and the architect finds it in the repository", () => {
    const play = openPlay(asking);
    until(play, "review", { files, touched: [] });
    step(play, {
      files,
      touched: [...touched("1.0.0"), { path: ".mcp.json", oid: null, before: null, after: null }],
    });
    expect(awaitedApproval(play.state)?.operations.map(({ kind }) => kind)).toEqual(["mcp", "dependencies"]);
  });

  test("what both roles show stands there once, also after a restart between them", () => {
    const play = openPlay(asking);
    until(play, "review", script);
    // What a store gives back has its keys in another order.
    play.state = JSON.parse(canonicalText(play.state));
    step(play, script);
    expect(play.state.passes[0]?.shown).toHaveLength(1);
  });

  test("a verdict on what was not approved accepts nothing", () => {
    const play = openPlay(asking);
    until(play, "guard");
    // As if a decision had been forgotten.
    const [pass] = play.state.passes;
    const operations = [
      { kind: "mcp" as const, where: ".mcp.json", what: "changes it", digest: "0".repeat(64) },
    ];
    if (pass) play.state.passes[0] = { ...pass, shown: [{ path: ".mcp.json", operations }] };
    step(play);
    expect(words(play.state)).toEqual(["CRASH"]);
    expect(play.state.passes[0]?.verdict?.reasons[0]).toContain("APPROVAL_MISSING");
  });
});

describe("ordinary quests do not wait", () => {
  const accepted = (part: object, world: object): void => {
    const play = run(openPlay({ authorities: { performance: { write: ["**"] } }, ...part }), [world]);
    expect(play.state.status).toBe("accepted");
    expect(count(play, "approval.opened")).toBe(0);
  };
  test("nothing restricted", () => accepted({}, { touched: [] }));
  test("a manifest whose dependencies are the same", () =>
    accepted({}, { files, touched: [{ ...touched("1")[0], before: manifest("1"), after: manifest("1") }] }));
  test("dependencies that the quest file allows", () => accepted({ allow: { dependencies: true } }, script));
  test("git and agents' settings that it allows", () =>
    accepted(
      { allow: { git: true, mcp: true } },
      {
        files: [".gitattributes", ".mcp.json"],
        touched: [".gitattributes", ".mcp.json"].map((path) => ({
          path,
          oid: null,
          before: null,
          after: null,
        })),
      },
    ));
  test("one that is refused for gaming asks for nothing", () => {
    const suspicions = [
      { kind: "dependency" as const, message: "another dependency", where: "package.json" },
    ];
    const play = run(openPlay({ authorities: { performance: { write: ["**"] } } }), [
      { ...script, suspicions },
      { gain: 0 },
      { gain: 0 },
    ]);
    expect(words(play.state)[0]).toBe("HACK_SUSPECTED");
    expect(count(play, "approval.opened")).toBe(0);
  });
  test.each([
    ["improve", improving],
    ["validate", validating],
  ])("intent %s asks like any other", (_, part) => {
    waiting({ ...asking, ...part });
  });
});

describe("a fixer that asks for the network", () => {
  const part = { fixers: [{ command: "./fix.sh", asks: ["network"] }, { patch: "b.patch" }] };
  const network = ({ brief }: ReturnType<typeof claim>) => brief.spec.allow.network ?? [];

  const held = (more: object = {}): Play => {
    const play = openPlay({ ...part, ...more });
    until(play, "prepare");
    step(play);
    return play;
  };

  test("waits before it runs, and has it once it is granted", () => {
    const play = held();
    expect(awaitedApproval(play.state)).toMatchObject({
      before: "produce",
      diff: null,
      operations: [{ kind: "network", where: "fixers", what: "gives the network to the fixer: ./fix.sh" }],
    });
    grant(play);
    goOn(play);
    expect(play.state.task).toBe("produce");
    expect(network(claim(play))).toEqual(["fixers"]);
  });

  test("is asked of once in a quest: the same operation is granted", () => {
    const play = held();
    grant(play);
    goOn(play);
    until(play, "plan", { fixer: 0, gain: 0 });
    until(play, "produce", { fixer: 0 });
    expect(count(play, "approval.opened")).toBe(1);
  });

  test("has it for itself: another fixer of the quest has not, and it has it again", () => {
    const play = held({ fixers: [part.fixers[0], { command: "./other.sh" }] });
    grant(play);
    goOn(play);
    until(play, "plan", { fixer: 0, gain: 0 });
    until(play, "produce", { fixer: 1 });
    expect(network(claim(play))).toEqual([]);
    report(play, scriptedReport(grantOf(play.state, "performance"), { gain: 0 }), agentOf("performance"));
    until(play, "plan", { gain: 0 });
    until(play, "produce", { fixer: 0 });
    expect(network(claim(play))).toEqual(["fixers"]);
  });

  test("denied, is not chosen again, and nobody else has it", () => {
    const play = held();
    deny(play);
    until(play, "plan");
    const next = claim(play);
    expect(next.brief.fixersGone).toEqual([0]);
    expect(network(next)).toEqual([]);
  });

  test("one whose command writes with git waits too", () => {
    const play = held({ fixers: [{ command: "node a.js && git commit -am x" }] });
    expect(awaitedApproval(play.state)?.operations).toMatchObject([
      { kind: "git", where: "fixers", what: "lets the fixer run git commit: node a.js && git commit -am x" },
    ]);
    expect(held({ fixers: [{ command: "git apply a.patch" }] }).state.task).toBe("produce");
    const granted = held({ allow: { git: true }, fixers: [{ command: "git commit -am x" }] });
    expect(granted.state.task).toBe("produce");
  });

  test("does not wait where the quest file grants it", () => {
    const play = held({ allow: { network: ["fixers"] } });
    expect(play.state.task).toBe("produce");
  });
});

describe("an agent that asks, within its lease", () => {
  const ask = (play: Play, more: object = {}, role: Role = "performance") => {
    const data = {
      assignment: `${play.state.id}.${role}`,
      epoch: play.state.assignments[role].epoch,
      kind: "network",
      users: ["tests"],
      what: "the suite asks a time server",
      why: "it cannot be green without",
      ...more,
    } as Parameters<typeof decideApprovalAsk>[1];
    act(play, agentOf(role), (state, context) => decideApprovalAsk(state, data, context));
    return approvalAnswer(askedApproval(play.state, data));
  };
  const held = (): Play => {
    const play = openPlay();
    until(play, "produce");
    claim(play);
    return play;
  };

  test("is told how it stands when it asks the same again; the quest goes on meanwhile", () => {
    const play = held();
    const { approval, status } = ask(play);
    expect(status).toBe("open");
    expect(ask(play)).toMatchObject({ approval, status: "open" });
    expect(count(play, "approval.opened")).toBe(1);
    expect(awaitedApproval(play.state)).toBeNull();
    grant(play, approval);
    expect(ask(play)).toMatchObject({ approval, status: "granted" });
    expect(ask(play, { what: "something else" }).approval).not.toBe(approval);
    expect(play.state.deadlineMs).not.toBeNull();
  });

  test("what was granted holds from its next assignment on; what was denied does not", () => {
    const play = held();
    const { approval } = ask(play);
    const other = ask(play, { users: ["measure"], what: "download" });
    grant(play, approval);
    deny(play, "no", other.approval);
    expect(ask(play, { users: ["measure"], what: "download" })).toMatchObject({
      status: "denied",
      reason: "no",
    });
    report(play, scripted(play), agentOf("performance"));
    expect(claim(play).brief.spec.allow.network).toEqual(["tests"]);
  });

  const scripted = ({ state }: Play): Report => scriptedReport(grantOf(state, "performance"));

  test("only under its own lease, with users for the network alone, and not without end", () => {
    const play = held();
    expect(codeOf(() => ask(play, { epoch: 99 }))).toBe("LEASE_STALE");
    expect(codeOf(() => ask(play, { assignment: `${play.state.id}.qa` }))).toBe("ROLE_FORBIDDEN");
    expect(codeOf(() => ask(play, { kind: "mcp" }))).toBe("MESSAGE_INVALID");
    for (let at = 0; at < limit.approvalsOfQuestMax; at += 1) ask(play, { what: `number ${at}` });
    expect(codeOf(() => ask(play, { what: "one more" }))).toBe("OVERLOADED");
  });

  test("what was asked for after the last verdict is withdrawn with the quest", () => {
    const play = openPlay();
    until(play, "settle");
    const { role, brief } = claim(play);
    const { approval } = ask(play, {}, role);
    report(play, scriptedReport(grantOf(play.state, role)), agentOf(role));
    expect([brief.task, play.state.status]).toEqual(["settle", "accepted"]);
    expect(play.state.approvals?.[0]?.decision?.word).toBe("withdrawn");
    expect(codeOf(() => grant(play, approval))).toBe("APPROVAL_CLOSED");
    expect(codeOf(() => deny(play, "no", approval))).toBe("APPROVAL_CLOSED");
    play.nowMs += limit.approvalMs;
    expect(expire(play, approval).events).toEqual([]);
  });

  test("what was not decided on is withdrawn with its pass", () => {
    const play = held();
    ask(play);
    report(play, scripted(play), agentOf("performance"));
    run(play);
    expect(play.state.approvals?.[0]?.decision?.word).toBe("withdrawn");
  });
});

test("an arbiter's ruling on a quest that was denied allows what it always did", () => {
  const play = waiting({ ...asking, fixers: [{ patch: "a.patch" }] });
  deny(play);
  run(play);
  expect(play.state.status).toBe("escalated");
  expect(allowedDecisions(play.state).find(({ decision }) => decision === "accept")?.allowed).toBe(false);
});
