import { appendFileSync, mkdirSync } from "node:fs";
import {
  type JournalWatch,
  makeTarget,
  openMcp,
  openPlace,
  type Place,
  pidOf,
  questbus,
  type Running,
  startQuestbus,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** A candidate that brings a dependency waits for the operator, whatever dies meanwhile. */

let place: Place;
let patches: string[];
let journal: JournalWatch;
let running: Running | null = null;

const dependency = (version: string): string => `diff --git a/package.json b/package.json
--- a/package.json
+++ b/package.json
@@ -1 +1 @@
-{"name":"figures"}
+{"name":"figures","dependencies":{"fast":"${version}"}}
`;

beforeAll(() => {
  place = openPlace("approval");
  const target = makeTarget(place, { "package.json": '{"name":"figures"}\n' });
  patches = (["gain-least", "gain"] as const).map((name) => {
    const path = target.patch(name);
    appendFileSync(place.path(path), dependency(name === "gain" ? "2.0.0" : "1.0.0"));
    return path;
  });
});
afterAll(() => place.close());
beforeEach(() => {
  mkdirSync(place.path("state"), { recursive: true });
  journal = watchJournal(place.path("state"));
});
afterEach(async () => {
  journal.close();
  running?.signal("SIGINT");
  await running?.ended;
});

const cli = (...args: string[]) => questbus(place, [...args, "--state", "state"]);

type Shown = { approval: string; status: string; diffText: string; operations: object[] };

async function shownNext(seq = 0): Promise<Shown & { seq: number }> {
  const opened = await Promise.race([
    journal.until("approval.opened", () => true, seq),
    running?.ended.then(({ stderr }) => expect.fail(stderr)),
  ]);
  const row = opened as NonNullable<typeof opened>;
  const shown = await cli("approvals", "show", row.body.approval, "--json");
  expect(shown.exit, shown.stderr).toBe(0);
  return { ...(JSON.parse(shown.stdout) as Shown), seq: row.seq };
}

const quest = (fixers: object[], more: object = {}): string =>
  writeQuest(place, {
    fixers,
    allow: { dependencies: "ask" },
    authorities: { performance: { write: ["src/**", "package.json"] } },
    budget: { passes: fixers.length },
    ...more,
  });

test("denied, the next pass is told; granted after the orchestrator was killed, the candidate is accepted", async () => {
  const file = quest(patches.map((patch) => ({ patch })));
  running = startQuestbus(place, ["run", file, "--state", "state", "--json"]);
  const first = await shownNext();
  expect(first).toMatchObject({
    status: "open",
    operations: [{ kind: "dependencies", where: "package.json" }],
    diffText: expect.stringContaining('"fast":"1.0.0"'),
  });
  const denied = await cli("approvals", "deny", first.approval, "--reason", "that one is unmaintained");
  expect(denied.stdout, denied.stderr).toContain("denied");

  const second = await shownNext(first.seq);
  expect(second.diffText).toContain('"fast":"2.0.0"');
  process.kill(pidOf(place.path("state"), "orchestrator") ?? 0, "SIGKILL");
  expect(summaryOf(await cli("status", "--json")).withheld).toMatchObject({
    kind: "approval",
    approval: second.approval,
  });
  // The decision comes by the other door, with what a model reads before it.
  const mcp = await openMcp(place, {
    stateDir: place.path("state"),
    role: "operator",
    era: "modern",
    door: "stdio",
  });
  const listed = await mcp.call("list_approvals");
  expect(listed.said.data).toMatchObject([{ approval: second.approval, status: "open" }]);
  const read = await mcp.call("read_approval", { approval: second.approval });
  expect(JSON.stringify(read.said)).toContain("2.0.0");
  const granted = await mcp.call("decide_approval", {
    approval: second.approval,
    decision: "grant",
    reason: "reviewed",
  });
  expect(granted.said.data, JSON.stringify(granted.said)).toMatchObject({ status: "granted" });
  await mcp.close();
  const ended = await running.ended;
  expect(summaryOf(ended), ended.stderr).toMatchObject({
    status: "accepted",
    passes: [{ verdict: "CRASH" }, { verdict: "ACCEPT" }],
    withheld: null,
  });
  expect(ended.stderr).toContain(`questbus approvals grant ${second.approval}`);
  expect(ended.stderr).toContain("that one is unmaintained");
  const all = await cli("approvals", "list", "--all", "--json");
  expect((JSON.parse(all.stdout) as Shown[]).map(({ status }) => status)).toEqual(["denied", "granted"]);
  const [head, ...lines] = (await cli("approvals", "list", "--all")).stdout.trimEnd().split("\n");
  expect(head).toMatch(/^approval +asked by +what +state$/);
  expect(lines.map((line) => line.trimEnd())).toEqual(
    (JSON.parse(all.stdout) as { decision: { atMs: number } }[]).map(({ decision: { atMs } }, at) => {
      const word = at === 0 ? "denied by operator" : "granted by operator";
      return expect.stringMatching(new RegExp(`  ${word}, ${new Date(atMs).toISOString()}: \\w`));
    }),
  );
  const verified = await cli("audit", "verify", "--json");
  expect(verified.exit, verified.stderr).toBe(0);
});

test("an approval that nobody decides on in time is denied, and the quest goes on without it", async () => {
  const file = quest([{ patch: patches[1] }], { approvals: { expireAfter: "1s" } });
  const ended = await cli("run", file, "--json");
  expect(ended.exit, ended.stderr).toBe(7);
  expect(summaryOf(ended)).toMatchObject({ status: "escalated", passes: [{ verdict: "CRASH" }] });
  expect(ended.stderr).toContain("APPROVAL_EXPIRED");
  const verified = await cli("audit", "verify", "--json");
  expect(verified.exit, verified.stderr).toBe(0);
});
