import type { Report, Task } from "@questbus/protocol";
import { report as reportSchema, tasks } from "@questbus/protocol";
import {
  oid,
  type PassScript,
  scriptedReport,
  submission,
  validating,
} from "@questbus/testkit/scripted-report";
import { describe, expect, it } from "vitest";
import { decideClaim } from "../../src/quest/claim.ts";
import { decideNote, decideSubmit } from "../../src/quest/decide.ts";
import {
  act,
  agentOf,
  at,
  claim,
  codeOf,
  contextAt,
  count,
  expire,
  offeredRole,
  openPlay,
  operator,
  type Play,
  release,
  report,
  rule,
  run,
  start,
  step,
  until,
} from "./play.ts";

const fail: PassScript = { gain: 0 };
const keep: PassScript = { gain: 0.12 };

/** What a report is answered with after `change` was made to it. */
function sent(
  play: Play,
  change: (report: Report) => Report = (each) => each,
  by = offeredRole(play.state),
): string {
  const grant = claim(play);
  const changed = change(scriptedReport(grant));
  const role = by ?? grant.role;
  return codeOf(() => report(play, changed, agentOf(role)));
}

describe("a note of the holder of a lease", () => {
  const note = (play: Play, epoch: number, by = agentOf("architect")) =>
    act(play, by, (state, context) =>
      decideNote(state, { assignment: `${state.id}.architect`, epoch, text: "waits for the lease" }, context),
    );

  it("is kept until the work is over; the same words again say nothing new", () => {
    const play = at("plan");
    const grant = claim(play);
    expect(note(play, grant.epoch).events).toHaveLength(1);
    expect(note(play, grant.epoch).events).toHaveLength(0);
    expect(play.state.assignments.architect.note).toBe("waits for the lease");
    report(play, scriptedReport(grant), agentOf("architect"));
    expect(play.state.assignments.architect.note).toBeNull();
  });

  it("is refused from anybody else, and under an older epoch", () => {
    const play = at("plan");
    const grant = claim(play);
    expect(codeOf(() => note(play, grant.epoch, agentOf("architect", "architect-2")))).toBe("LEASE_STALE");
    expect(codeOf(() => note(play, grant.epoch - 1))).toBe("LEASE_STALE");
    expect(codeOf(() => note(play, grant.epoch, agentOf("qa")))).toBe("ROLE_FORBIDDEN");
  });
});

describe("the reports of the scripted agents", () => {
  it("are valid messages, for every task", () => {
    const play = openPlay();
    start(play);
    const seen = new Set<Task>();
    while (offeredRole(play.state)) {
      const grant = claim(play);
      const made = scriptedReport(grant, play.state.passes.length === 1 ? fail : {});
      expect(reportSchema.safeParse(made).error).toBeUndefined();
      seen.add(made.task);
      report(play, made, agentOf(grant.role));
    }
    expect([...seen].sort()).toEqual([...tasks].sort());
  });
});

describe("I1: a report counts only under the current epoch of a lease its sender holds", () => {
  it("an older epoch is stale", () => {
    const play = at("plan");
    const old = claim(play);
    expire(play, "architect");
    const fresh = claim(play);
    expect(fresh.epoch).toBe(old.epoch + 1);
    expect(codeOf(() => report(play, scriptedReport(old), agentOf("architect")))).toBe("LEASE_STALE");
    expect(codeOf(() => report(play, scriptedReport(fresh), agentOf("architect")))).toBe("allowed");
  });

  it("an epoch that does not exist yet is stale too", () => {
    expect(sent(at("plan"), (each) => ({ ...each, epoch: each.epoch + 1 }))).toBe("LEASE_STALE");
  });

  it("another agent of the same role does not hold it", () => {
    const play = at("plan");
    const grant = claim(play, "architect-2");
    expect(codeOf(() => report(play, scriptedReport(grant), agentOf("architect")))).toBe("LEASE_STALE");
    expect(codeOf(() => report(play, scriptedReport(grant), agentOf("architect", "architect-2")))).toBe(
      "allowed",
    );
  });

  it("another role may not act on it", () => {
    const play = at("plan");
    const grant = claim(play);
    expect(codeOf(() => report(play, scriptedReport(grant), agentOf("qa")))).toBe("ROLE_FORBIDDEN");
    expect(codeOf(() => release(play, grant, agentOf("ops")))).toBe("ROLE_FORBIDDEN");
  });

  it("an assignment of another quest is not there", () => {
    expect(sent(at("plan"), (each) => ({ ...each, assignment: "q-zzzzzzzz.architect" }))).toBe(
      "ASSIGNMENT_NOT_FOUND",
    );
  });

  it("what is offered and not claimed is held by nobody", () => {
    const play = at("plan");
    const grant = claim(play);
    expire(play, "architect");
    expect(codeOf(() => report(play, scriptedReport(grant), agentOf("architect")))).toBe("LEASE_STALE");
    expect(codeOf(() => release(play, grant))).toBe("LEASE_STALE");
  });

  it("what was reported is held no more", () => {
    const play = at("plan");
    const grant = step(play);
    expect(codeOf(() => report(play, scriptedReport(grant), agentOf("architect")))).toBe("LEASE_STALE");
  });
});

describe("I2: a pass beyond the limit is refused whoever asks", () => {
  it("pass 4 under a valid lease of pass 3", () => {
    const play = at("plan", 3);
    expect(sent(play, (each) => ({ ...each, pass: 4 }))).toBe("PASS_LIMIT");
  });

  it("pass 4 before anything else is looked at", () => {
    const play = at("plan", 3);
    expect(sent(play, (each) => ({ ...each, pass: 4, epoch: 99 }), "qa")).toBe("PASS_LIMIT");
  });

  it("after a retry pass 4 exists, and pass 5 does not", () => {
    const play = run(openPlay(), [fail, fail, fail]);
    rule(play, "retry");
    until(play, "plan");
    expect(sent(play, (each) => ({ ...each, pass: 5 }))).toBe("PASS_LIMIT");
    expect(play.state.assignments.architect).toMatchObject({ status: "leased", task: "plan" });
  });

  it("a quest with one pass has no second", () => {
    const play = openPlay({ budget: { passes: 1 } });
    until(play, "plan");
    expect(sent(play, (each) => ({ ...each, pass: 2 }))).toBe("PASS_LIMIT");
  });
});

describe("I3: reports come in the order of the schedule", () => {
  it("a task that was not asked for", () => {
    const play = at("choose");
    const early = (each: Report): Report => ({
      ...each,
      task: "review",
      result: { files: [], withinPlan: true },
    });
    expect(sent(play, early)).toBe("REPORT_OUT_OF_TURN");
  });

  it("an earlier pass", () => {
    expect(sent(at("plan", 2), (each) => ({ ...each, pass: 1 }))).toBe("REPORT_OUT_OF_TURN");
  });

  it("another phase", () => {
    expect(sent(at("plan"), (each) => ({ ...each, phase: "validate" }))).toBe("REPORT_OUT_OF_TURN");
  });

  it("a refused report changes nothing, and the right one is taken after it", () => {
    const play = at("plan", 2);
    const before = play.state;
    const grant = claim(play);
    const held = play.state;
    expect(codeOf(() => report(play, { ...scriptedReport(grant), pass: 1 }, agentOf("architect")))).toBe(
      "REPORT_OUT_OF_TURN",
    );
    expect(play.state).toBe(held);
    expect(before.passes).toHaveLength(2);
    report(play, scriptedReport(grant), agentOf("architect"));
    expect(play.state.task).toBe("fitness");
  });
});

describe("I5: what an agent says is checked", () => {
  const of =
    <T extends Task>(
      task: T,
      change: (result: NonNullable<Extract<Report, { task: T }>["result"]>) => object,
    ) =>
    (each: Report): Report =>
      ({ ...each, task, result: change(each.result as never) }) as Report;

  it("a fixer that the quest does not name", () => {
    const play = at("choose");
    expect(
      sent(
        play,
        of("choose", (result) => ({ ...result, fixer: 3 })),
      ),
    ).toBe("MESSAGE_INVALID");
  });

  it("a candidate that hides forbidden files is taken out, and its files are named", () => {
    const play = at("produce");
    const files = ["src/search.js", "test/search.test.js", "package.json"];
    expect(
      sent(
        play,
        of("produce", (result) => ({ ...result, candidate: { ...result.candidate, files } })),
      ),
    ).toBe("allowed");
    expect(play.state.passes[0]).toMatchObject({
      candidate: null,
      forbiddenPaths: ["test/search.test.js", "package.json"],
      verdict: { verdict: "HACK_SUSPECTED" },
    });
  });

  it.each([
    [".git/hooks/pre-commit", "a path that no candidate may hold"],
    ["src/../.gitmodules", "another"],
  ])("%s in what is said of a candidate", (path) => {
    const play = at("produce");
    sent(
      play,
      of("produce", (result) => ({ ...result, candidate: { ...result.candidate, files: [path] } })),
    );
    expect(play.state.passes[0]).toMatchObject({ candidate: null, forbiddenPaths: [path] });
  });

  it.each([
    ["the authority does not allow", "test/search.test.js", ["src/search.js", "test/search.test.js"]],
    ["performance did not report", "src/other.js", ["src/search.js"]],
  ])("a review that finds what %s, whatever its author concludes", (_, found, reported) => {
    const play = at("review", 1, { files: reported });
    // As if the journal had not looked when the candidate was made.
    const [pass] = play.state.passes;
    if (pass?.candidate)
      play.state.passes[0] = { ...pass, candidate: { ...pass.candidate, files: reported } };
    sent(
      play,
      of("review", (result) => ({ ...result, files: ["src/search.js", found], withinPlan: true })),
    );
    expect(play.state.passes[0]).toMatchObject({
      forbiddenPaths: [found],
      verdict: { verdict: "HACK_SUSPECTED" },
    });
  });

  it("samples whose order another seed drew", () => {
    const play = at("gate");
    expect(
      sent(
        play,
        of("gate", ({ samples }) => ({ samples: { ...samples, seed: "of-my-own-choice" } })),
      ),
    ).toBe("MESSAGE_INVALID");
  });

  it.each(["restore", "advance"])("a worktree that is not at the tree of the order to %s", (kind) => {
    const play = openPlay();
    until(play, "settle", kind === "restore" ? fail : keep);
    expect(
      sent(
        play,
        of("settle", (result) => ({ ...result, tree: oid("another tree") })),
      ),
    ).toBe("ROLLBACK_UNPROVEN");
    expect(count(play, "workspace.restored") + count(play, "good.moved")).toBe(0);
  });

  it("another order than the one that was given", () => {
    const play = at("settle");
    expect(play.state.settle?.kind).toBe("integrate");
    expect(
      sent(
        play,
        of("settle", (result) => ({ ...result, kind: "restore" })),
      ),
    ).toBe("REPORT_OUT_OF_TURN");
  });

  it.each([{ branch: null, commit: oid("c") }, { branch: "main", commit: oid("c") }, { commit: null }])(
    "an integration without its branch or its commit: %o",
    (change) => {
      const play = at("settle");
      expect(
        sent(
          play,
          of("settle", (result) => ({ ...result, ...change })),
        ),
      ).toBe("MESSAGE_INVALID");
      expect(play.state.status).toBe("running");
    },
  );

  it("an unproven rollback can still be reported as what it is", () => {
    const play = openPlay();
    until(play, "settle", fail);
    step(play, { faults: { settle: "ROLLBACK_UNPROVEN" } });
    expect(play.state.escalation).toMatchObject({
      reason: "conflict",
      detail: expect.stringContaining("ROLLBACK_UNPROVEN"),
    });
  });

  it.each([{ resolved: [] }, { resolved: [...submission().resolved, ...submission().resolved] }])(
    "a submission that resolves another number of patches than the quest names",
    (part) => {
      const context = contextAt(1, operator);
      expect(codeOf(() => decideSubmit({ ...submission(), ...part }, context))).toBe("MESSAGE_INVALID");
    },
  );

  it("a submission whose candidate is not resolved", () => {
    expect(
      codeOf(() => decideSubmit({ ...submission(validating), resolved: [] }, contextAt(1, operator))),
    ).toBe("MESSAGE_INVALID");
  });
});

describe("a lease that ends", () => {
  it("is offered again with its task, and the next holder has what was reported before", () => {
    const play = at("gate");
    const first = claim(play, "performance-1");
    expire(play, "performance");
    expect(play.state.assignments.performance).toMatchObject({
      status: "offered",
      task: "gate",
      agent: null,
      epoch: first.epoch,
    });
    const second = claim(play, "performance-2");
    expect(second.epoch).toBe(first.epoch + 1);
    expect(second.brief).toEqual(first.brief);
  });

  it("given back is offered again too", () => {
    const play = at("gate");
    const grant = claim(play);
    release(play, grant);
    expect(play.state.assignments.performance).toMatchObject({
      status: "offered",
      task: "gate",
      agent: null,
    });
    expect(count(play, "assignment.released")).toBe(1);
  });

  it("ends once: an expiry without a lease does nothing", () => {
    const play = at("gate");
    expect(expire(play, "performance").events).toEqual([]);
    expect(expire(play, "qa").events).toEqual([]);
  });

  it("is claimed once: what is leased, waits or is done cannot be claimed", () => {
    const play = at("gate");
    claim(play);
    for (const role of ["performance", "qa", "ops"] as const) {
      expect(act(play, agentOf(role), (state, context) => decideClaim(state, role, context)).events).toEqual(
        [],
      );
    }
  });
});
