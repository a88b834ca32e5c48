import { limit, type Report, type Task, tasks } from "@questbus/protocol";
import { scriptedReport } from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { grantOf } from "../../src/quest/brief.ts";
import {
  agentOf,
  at,
  claim,
  codeOf,
  expire,
  offeredRole,
  openPlay,
  type Play,
  report,
  rule,
  run,
  start,
  until,
} from "./play.ts";

/** Every holder of the task dies. */
function nobodyFinishes(play: Play): void {
  for (let offers = 0; offers < limit.offersMax; offers++) expire(play, claim(play).role);
}

/** Reports on the offered task after `change` was made to the report. */
function send<T extends Task>(play: Play, change: (sent: Extract<Report, { task: T }>) => Report): void {
  const grant = claim(play);
  report(play, change(scriptedReport(grant) as Extract<Report, { task: T }>), agentOf(grant.role));
}

describe("a task that nobody finishes", () => {
  it.each(tasks.filter((task) => task !== "settle"))(
    "%s fails after offersMax, and the quest comes to rest",
    (task) => {
      const play = at(task);
      nobodyFinishes(play);
      expect(play.journal.filter((row) => row.type === "task.failed")).toHaveLength(1);
      run(play);
      expect(["unfit", "escalated", "accepted"]).toContain(play.state.status);
      expect(play.state.passes[0]?.verdict?.reasons.join(" ")).toContain("AGENT_LOST");
    },
  );

  it.each([
    ["integrate", {}, "integration-failed"],
    ["restore", { gain: 0 }, "conflict"],
  ] as const)("settling by %s goes to the arbiter", (_, script, reason) => {
    const play = openPlay();
    start(play);
    until(play, "settle", script);
    nobodyFinishes(play);
    expect(play.state.escalation?.reason).toBe(reason);
    expect(play.state.accepted).toBeNull();
  });

  it("one holder fewer may die, and the count begins anew with each task", () => {
    const play = at("plan");
    for (let offers = 1; offers < limit.offersMax; offers++) expire(play, claim(play).role);
    until(play, "choose");
    expire(play, claim(play).role);
    expire(play, claim(play).role);
    expect(run(play).state.status).toBe("accepted");
  });
});

describe("I5: evidence outweighs what an agent says of it", () => {
  it("a red suite is red, whatever `passed` says", () => {
    const play = at("suite");
    send<"suite">(play, (sent) => ({
      ...sent,
      result: sent.result && {
        passed: true,
        runs: sent.result.runs.map((each) => ({ ...each, passed: false })),
      },
    }));
    expect(run(play).state.passes[0]?.verdict?.verdict).toBe("TESTS_FAILED");
  });

  it("a green repetition counts only where the base was seen to be flaky", () => {
    const play = at("suite");
    send<"suite">(play, (sent) => {
      const [first] = sent.result?.runs ?? [];
      if (!first) throw new TypeError("no run");
      return { ...sent, result: { passed: true, runs: [{ ...first, passed: false }, first] } };
    });
    expect(run(play).state.passes[0]?.verdict?.verdict).toBe("TESTS_FAILED");
  });

  it("a green suite that ran fewer tests than the base's is suspect, whatever its author says", () => {
    const play = at("suite");
    send<"suite">(play, (sent) => ({
      ...sent,
      result: sent.result && {
        passed: true,
        runs: sent.result.runs.map((each) => ({ ...each, tests: { passed: 2, failed: 0, skipped: 0 } })),
      },
    }));
    const verdict = run(play).state.passes[0]?.verdict;
    expect(verdict).toMatchObject({
      verdict: "HACK_SUSPECTED",
      reasons: [expect.stringMatching(/^only 2 tests passed, 3 on the base/)],
    });
  });

  it("a candidate outside the plan is refused, whoever has to sign off", () => {
    const play = at("review");
    send<"review">(play, (sent) => ({ ...sent, result: { files: ["src/other.js"], withinPlan: false } }));
    expect(run(play).state.passes[0]?.verdict?.verdict).toBe("HACK_SUSPECTED");
  });

  it.each(["plan", "fitness", "base-suite", "choose"] as const)(
    "a sign-off given with %s is none: there is no candidate yet",
    (task) => {
      const play = at(task);
      send(play, (sent) => ({ ...sent, signOff: { vote: "yes", reasons: ["in advance"] } }) as Report);
      expect(play.state.passes[0]?.signOffs).toEqual({});
    },
  );

  it("pairs against the base are owed after a kept gain, and none before", () => {
    const first = at("gate");
    const grant = claim(first);
    const sent = scriptedReport(grant) as Extract<Report, { task: "gate" }>;
    const extra = {
      ...sent,
      result: sent.result && { samples: { ...sent.result.samples, total: sent.result.samples.confirmation } },
    };
    expect(codeOf(() => report(first, extra, agentOf("performance")))).toBe("MESSAGE_INVALID");
    const second = at("gate", 2, { gain: 0.12 });
    const owed = scriptedReport(claim(second)) as Extract<Report, { task: "gate" }>;
    const without = { ...owed, result: owed.result && { samples: { ...owed.result.samples, total: null } } };
    expect(codeOf(() => report(second, without, agentOf("performance")))).toBe("MESSAGE_INVALID");
  });
});

describe("a pass that the arbiter grants", () => {
  it("says so to the architect, though the quest's own passes are not used up", () => {
    const play = at("choose", 2);
    send<"choose">(play, (sent) => ({
      ...sent,
      result: { fixer: null, reason: "all were tried", dropped: [] },
    }));
    run(play);
    expect(play.state.escalation?.reason).toBe("no-fixer-left");
    rule(play, "retry");
    until(play, "choose");
    expect(grantOf(play.state, "architect").brief).toMatchObject({ pass: 3, granted: true });
    expect(offeredRole(play.state)).toBe("architect");
  });
});
