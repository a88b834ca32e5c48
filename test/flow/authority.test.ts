import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import type { BusClient } from "@questbus/bus";
import type {
  ArtifactRef,
  ClaimAnswer,
  CommandData,
  Grant,
  JournalEvent,
  Report,
  Role,
  Task,
  TaskResult,
} from "@questbus/protocol";
import {
  type BareStack,
  fingerprint,
  makeTarget,
  openPlace,
  type Place,
  questbus,
  startBareStack,
  type Target,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/**
 * Must show 4: the journal decides what counts, whatever an agent with valid credentials says. Broker and orchestrator
 * are the real processes with the real credential files; the test plays the four agents.
 */

let place: Place;
let target: Target;
let stack: BareStack;
let quest: string;
let untouched: string;
const agent = {} as Record<Role, BusClient>;

beforeAll(async () => {
  place = openPlace("authority");
  target = makeTarget(place);
  untouched = fingerprint(target.dir);
  mkdirSync(place.path("state"));
  stack = await startBareStack(place.path("state"));
  for (const role of ["architect", "performance", "qa", "ops"] as const)
    agent[role] = await stack.clientAs(role);
  for (const role of ["qa", "performance"] as const) await hello(role, "one");
  const file = writeQuest(place, { fixers: [{ patch: target.patch("gain") }] });
  const submitted = await questbus(place, ["submit", file, "--state", "state"]);
  quest = submitted.stdout.trim();
});
afterAll(async () => {
  await stack.stop();
  await place.close();
});

const hello = (role: Role, incarnation: string): Promise<unknown> =>
  agent[role].request("hello", { incarnation, pid: 4_242 });

async function claim(role: Role): Promise<Grant> {
  const answer = (await agent[role].request("claim", { waitMs: 5_000 })) as ClaimAnswer;
  if (answer.status !== "granted") throw new Error(`${role} was granted nothing`);
  return answer.grant;
}

const noArtifact: ArtifactRef = {
  kind: "suite-output",
  sha256: createHash("sha256").digest("hex"),
  sizeBytes: 0,
};
const greenRun = {
  passed: true,
  exit: 0,
  timedOut: false,
  durationMs: 5,
  output: noArtifact,
  excerpt: "",
  tests: null,
};
const targetState = { refs: noArtifact.sha256, head: "refs/heads/main", files: noArtifact.sha256 };

/** What an honest agent would find, as far as the test needs it. */
const found = {
  plan: { fixers: [], blastRadius: { files: 3, tracked: 10 }, seal: null },
  fitness: { loadPerCpu: 0, diskFreeBytes: 1e9, memoryFreeBytes: 1e9, target: targetState, warnings: [] },
  "base-suite": greenRun,
  "base-measure": {
    values: [1],
    cv: 0.01,
    detectable: 0.02,
    pairsNeeded: 16,
    wallMs: 5,
    analysis: null,
  },
  choose: { fixer: 0, reason: "next in the quest's order", dropped: [] },
} satisfies Partial<TaskResult>;

type Changed = Partial<Pick<Report, "pass" | "epoch" | "assignment">>;

function report(role: Role, { assignment, epoch, brief }: Grant, changed: Changed = {}): Promise<unknown> {
  const head = { assignment, epoch, pass: brief.pass, phase: brief.phase, ...changed };
  const result = found[brief.task as keyof typeof found];
  const said = {
    ...head,
    task: brief.task as Task,
    summary: "done",
    fault: null,
    result,
    signOff: null,
    artifacts: [],
  };
  return agent[role].request("report", said as unknown as CommandData["report"]);
}

const refused = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "taken",
    (error: { code?: string }) => error.code ?? String(error),
  );

async function audit(): Promise<JournalEvent[]> {
  const { stdout } = await questbus(place, ["audit", quest, "--state", "state", "--json"]);
  return stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as JournalEvent);
}

const status = async () => summaryOf(await questbus(place, ["status", quest, "--state", "state", "--json"]));

/** The refusals in the audit trail, as who was told what. */
async function refusals(): Promise<string[]> {
  return (await audit()).flatMap((row) =>
    row.type === "command.refused" ? [`${row.actor.role}: ${row.body.verb}: ${row.body.code}`] : [],
  );
}

describe("an agent with valid credentials", () => {
  test("has its honest reports taken", async () => {
    for (const role of ["architect", "ops"] as const) await report(role, await claim(role));
    expect((await status()).status).toBe("running");
    expect(await refusals()).toEqual([]);
  });

  test("a report on a fourth pass is refused with PASS_LIMIT, under a lease that is good", async () => {
    const grant = await claim("qa");
    expect(await refused(report("qa", grant, { pass: 4 }))).toBe("PASS_LIMIT");
    expect(await refused(report("qa", grant, { pass: 3 }))).toBe("REPORT_OUT_OF_TURN");
    expect(await refusals()).toEqual(["qa: report: PASS_LIMIT", "qa: report: REPORT_OUT_OF_TURN"]);
    await report("qa", grant);
  });

  test("a report under a stale lease epoch is refused with LEASE_STALE; the new holder's is taken", async () => {
    const old = await claim("performance");
    await hello("performance", "two");
    const grant = await claim("performance");
    expect(grant.epoch).toBe(old.epoch + 1);
    expect(await refused(report("performance", old))).toBe("LEASE_STALE");
    expect(await refused(report("performance", grant, { epoch: grant.epoch + 1 }))).toBe("LEASE_STALE");
    expect(await refused(report("performance", grant, { pass: 4 }))).toBe("PASS_LIMIT");
    expect((await refusals()).slice(2)).toEqual([
      "performance: report: LEASE_STALE",
      "performance: report: LEASE_STALE",
      "performance: report: PASS_LIMIT",
    ]);
    await report("performance", grant);
    expect(await refused(report("performance", grant))).toBe("LEASE_STALE");
  });

  test("cannot act on another role's assignment, or send what its role may not", async () => {
    const grant = await claim("architect");
    expect(await refused(report("qa", grant))).toBe("ROLE_FORBIDDEN");
    expect(
      await refused(agent.qa.request("release", { assignment: grant.assignment, epoch: 1, reason: "mine" })),
    ).toBe("ROLE_FORBIDDEN");
    const rule = { escalation: "e-aaaaaaaa", decision: "accept", reason: "because", guidance: null } as const;
    expect(await refused(agent.qa.request("rule", rule))).toBe("ROLE_FORBIDDEN");
    expect(await refused(agent.qa.request("cancel", { quest, reason: "bored" }))).toBe("ROLE_FORBIDDEN");
    const unknown = `q-aaaaaaaa.architect`;
    expect(await refused(report("architect", grant, { assignment: unknown }))).toBe("QUEST_NOT_FOUND");
  });

  test("nothing of it changed the quest or the target, and the trail holds", async () => {
    const summary = await status();
    expect(summary).toMatchObject({ status: "running", accepted: null, passes: [{ n: 1, verdict: null }] });
    const taken = (await audit()).filter(({ type }) => type === "task.reported");
    expect(taken).toHaveLength(4);
    expect(fingerprint(target.dir)).toBe(untouched);
    const verify = await questbus(place, ["audit", "verify", "--state", "state"]);
    expect(verify.exit, verify.stderr).toBe(0);
  });

  test("when its quest is cancelled, PASS_LIMIT and LEASE_STALE still answer", async () => {
    const cancelled = await questbus(place, ["cancel", quest, "--state", "state", "--json"]);
    expect(summaryOf(cancelled).status).toBe("cancelled");
    const again = await questbus(place, ["cancel", quest, "--state", "state"]);
    expect(again.exit).toBe(5);
    const late = {
      assignment: `${quest}.architect`,
      epoch: 2,
      brief: { pass: 1, phase: "fix", task: "plan" },
    } as Grant;
    expect(await refused(report("architect", late))).toBe("LEASE_STALE");
    expect(await refused(report("architect", late, { pass: 4 }))).toBe("PASS_LIMIT");
  });
});
