import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { connectBus, credentialPath } from "@questbus/bus";
import { type Answer, type NewEvent, type RetryAnswer, wrap } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import { type BareStack, openPlace, type Place, questbus, startBareStack } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

/** A message that cannot be read, from the agent that sends it to the person who drops it. */

let place: Place;
let stack: BareStack;

const message = (verb: string, data: unknown): string =>
  JSON.stringify(wrap(`command.${verb}`, { id: `sent-${verb}`, source: "test", timeMs: 0 }, data));

/** What an older release kept, because it did not know `ask` yet. */
function keepOld(dir: string): void {
  const excerpt = message("ask", {
    role: "qa",
    phases: ["test"],
    text: "old but good",
    data: null,
    waitMs: 0,
  });
  const sha256 = createHash("sha256").update(excerpt).digest("hex");
  const subject = "local.cmd.operator.operator.ask";
  const body = { subject, code: "MESSAGE_INVALID", faults: ["subject: the subject names no command"] };
  const actor = { role: "orchestrator", name: "orchestrator" } as const;
  const event: NewEvent = { type: "message.dead", quest: null, actor, body: { ...body, sha256, excerpt } };
  const store = openStore({ dir, mode: "write" });
  store.transact((tx) => {
    const [row] = tx.append([event], { timeMs: Date.now() - 600_000, command: null });
    const fault = body.faults[0] as string;
    const rest = { fault, timeMs: row?.timeMs ?? 0, status: "open", retries: 0, counted: 0 } as const;
    tx.putDead({ seq: 1, ...actor, subject, code: body.code, ...rest });
  });
  store.close();
}

beforeAll(async () => {
  place = openPlace("dead");
  const state = place.path("state");
  mkdirSync(state);
  keepOld(state);
  stack = await startBareStack(state);
  const agent = await connectBus({ url: stack.url, credential: credentialPath(state, "qa", "qa") });
  const wrong = { task: "base-suite", epoch: "\u001b[2J\u202eone" };
  const answer = await agent.nats.request("local.qa.qa.report", message("report", wrong), { timeout: 5_000 });
  expect(answer.json<Answer>()).toMatchObject({ ok: false, faults: expect.any(Array) });
  await agent.close();
});
afterAll(async () => {
  await stack?.stop();
  await place?.close();
});

const dead = (...args: string[]) => questbus(place, ["dead", ...args, "--state", place.path("state")]);

test("it is listed with its sender, its first fault and the path; so is what an older release kept", async () => {
  const { stdout, exit, stderr } = await dead("list");
  expect(exit, stderr).toBe(0);
  const [head, ...lines] = stdout.trimEnd().split("\n");
  expect(head).toMatch(/^letter +from +code +first fault +came +state$/);
  expect(lines[0]).toMatch(/^d-2 +qa\/qa +MESSAGE_INVALID +data\.\w+: .+ \d+ s ago +open$/);
  expect(lines[1]).toMatch(
    /^d-1 +orchestrator\/orchestrator +MESSAGE_INVALID +subject: .+ 10 min ago +open$/,
  );
});

test("all of its faults and its text are shown, and nothing in it reaches the terminal as it is", async () => {
  const { stdout } = await dead("show", "d-2");
  expect(stdout).toContain("from qa/qa on local.cmd.qa.qa.report");
  expect(stdout).toMatch(/^ {2}data\.epoch: /m);
  expect(stdout).toContain("\\u{202e}one");
  expect(["\u001b", "\u202e"].filter((each) => stdout.includes(each))).toEqual([]);
  const shown = JSON.parse((await dead("show", "d-2", "--json")).stdout);
  expect(shown).toMatchObject({ letter: "d-2", from: "qa/qa", whole: true, retries: 0 });
  expect(shown.faults.length).toBeGreaterThan(1);
});

test("a retry that fails says every fault and leaves it; one that can be read by now is carried out, once", async () => {
  const failed = await dead("retry", "d-2");
  expect([failed.exit, failed.stdout]).toEqual([1, ""]);
  expect(failed.stderr).toMatch(/^d-2 stays a dead letter:\n/);
  expect(failed.stderr).toMatch(/MESSAGE_INVALID at data\.epoch/);
  expect(failed.stderr).toMatch(
    /\n {2}next: let its sender send it anew, .*: questbus dead drop d-2 --state \S+\n$/,
  );
  const done = await dead("retry", "d-1", "--json");
  expect(done.exit, done.stderr).toBe(0);
  const answer = JSON.parse(done.stdout) as RetryAnswer;
  expect(answer).toMatchObject({ letter: "d-1", status: "retried", data: { status: "pending" } });
  const again = await dead("retry", "d-1");
  expect([again.exit, again.stderr]).toEqual([5, expect.stringContaining("DEAD_CLOSED")]);
  const listed = JSON.parse((await dead("list", "--json")).stdout);
  expect(listed).toMatchObject([{ letter: "d-2", status: "open", retries: 1 }]);
});

test("a wrong id is told with the one that was meant", async () => {
  expect((await dead("show", "22")).stderr).toContain("the id of a dead letter looks like d-17");
  const missing = await dead("drop", "d-20");
  expect(missing.exit).toBe(3);
  expect(missing.stderr).toContain("did you mean d-2?");
  const both = await dead("drop", "d-1", "d-2", "d-20");
  expect(both.exit).toBe(3);
  expect(both.stderr, "one that was named was meant as such").not.toContain("did you mean");
  expect(JSON.parse((await dead("list", "--json")).stdout)).toHaveLength(1);
});

test("dropped, it is gone from the list and stays in the audit, with the reason", async () => {
  const { stdout, exit } = await dead("drop", "d-2", "--reason", "the agent was mended");
  expect([stdout, exit]).toEqual(["d-2 was dropped\n", 0]);
  expect((await dead("list")).stdout).toBe("no dead letters\n");
  const all = JSON.parse((await dead("list", "--all", "--json")).stdout);
  expect(all).toMatchObject([{ status: "dropped" }, { status: "retried" }]);
  const audit = await questbus(place, ["audit", "--state", place.path("state")]);
  expect(audit.stdout).toContain("the agent was mended");
  expect((await questbus(place, ["audit", "verify", "--state", place.path("state")])).exit).toBe(0);
});
