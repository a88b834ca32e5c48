import { mkdirSync } from "node:fs";
import { type AskTask, clarification, stated, workAsks } from "@questbus/agent";
import type { AskAnswer } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import { type BareStack, openPlace, type Place, questbus, startBareStack } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Autonomous mode, end to end: the command line asks, an agent of the SDK answers, the audit has it. */

let place: Place;
let stack: BareStack;
/** Clears, hides, and names the window. */
const evil = "yes\u001b[2J\u001b[8m\u001b]0;pwned\u0007\u009b1A";
const stopping = new AbortController();
let working: Promise<void>;
const seen: AskTask[] = [];

beforeAll(async () => {
  place = openPlace("ask");
  mkdirSync(place.path("state"));
  stack = await startBareStack(place.path("state"));
  working = workAsks({
    client: await stack.clientAs("qa"),
    signal: stopping.signal,
    answer: (task) => {
      seen.push(task);
      if (task.text === "fail") throw new Error("no idea");
      if (task.text === "evil?") return stated(evil, { certainty: 1 });
      if (task.text === "evil fault?") throw new Error(evil);
      if (task.text === "which?") throw clarification("which parser?");
      if (task.text === "sure?") return stated("yes", { certainty: 0.6, sources: ["src/a.ts:3"] });
      if (task.text === "unsure?") return stated("maybe", { certainty: 0.6 });
      if (task.text === "unsure at first?")
        return stated("yes", { certainty: 0.6, ...(task.clarification ? { sources: ["$ npm test"] } : {}) });
      return task.phase === "validate" ? `${task.text} ${JSON.stringify(task.data)}` : { phase: task.phase };
    },
  });
});

afterAll(async () => {
  stopping.abort();
  await working;
  await stack?.stop();
  place?.close();
});

const ask = (...args: string[]) => questbus(place, ["ask", ...args, "--state", place.path("state")]);

test("a question is answered by an agent of the role, one line a phase", async () => {
  const said = await ask("green?", "--role", "qa", "--phases", "fix,validate", "--data", '{"n":1}');
  expect(said.stderr).toBe("certainty not stated, no source\n".repeat(2));
  expect(said.stdout).toBe('{\n  "phase": "fix"\n}\ngreen? {"n":1}\n');
  expect(seen.map(({ phase, epoch }) => [phase, epoch])).toEqual([
    ["fix", 1],
    ["validate", 1],
  ]);
  const audit = await questbus(place, ["audit", "verify", "--state", place.path("state")]);
  expect(audit.exit).toBe(0);
});

test("what the agent cannot do is said with its fault", async () => {
  const said = await ask("fail", "--role", "qa", "--json");
  expect(said.exit).toBe(1);
  expect(said.stderr).toContain("no idea");
});

test("nothing that an agent says acts on the terminal", async () => {
  const said = await ask("evil?", "--role", "qa");
  const failed = await ask("evil fault?", "--role", "qa");
  expect(said.stdout).toBe("yes\\u{1b}[2J\\u{1b}[8m\\u{1b}]0;pwned\\u{7}\\u{9b}1A\n");
  expect(failed.stderr).toContain("yes\\u{1b}[2J");
  expect(`${said.stderr}${failed.stdout}${failed.stderr}`).not.toMatch(/[^\P{Cc}\n]/u);
});

test("how sure an answer is stands beside it; one that is not, and cannot say why, is no answer", async () => {
  const sure = await ask("sure?", "--role", "qa");
  expect([sure.exit, sure.stdout]).toEqual([0, "yes\n"]);
  expect(sure.stderr).toBe("60 % sure, by src/a.ts:3 (unchecked)\n");
  const json = await ask("unsure at first?", "--role", "qa", "--json");
  const stated = [{ certainty: 0.6, sources: ["$ npm test"] }];
  expect(JSON.parse(json.stdout)).toMatchObject({ status: "answered", results: ["yes"], stated });
  const unsure = await ask("unsure?", "--role", "qa");
  expect([unsure.exit, unsure.stderr]).toEqual([1, expect.stringContaining("next: attach in sources")]);
  expect(unsure.stdout).toMatch(/^clarification SOURCE_MISSING: .*60 % sure/);
  const back = await ask("which?", "--role", "qa", "--json");
  expect(back.exit).toBe(1);
  expect(JSON.parse(back.stdout)).toMatchObject({
    status: "clarification",
    fault: { message: "which parser?" },
  });
});

test("without a role the words choose it: explained, in the journal, and refused where they do not say", async () => {
  const said = await ask("is the suite green?", "--why", "--json");
  expect(said.stderr).toMatch(/^asks qa, by keyword:\n {2}qa \(2 by suite, green\)\n/);
  const { role, routing, ask: id } = JSON.parse(said.stdout);
  expect([role, routing.by, routing.scores[0].words]).toEqual(["qa", "keyword", ["suite", "green"]]);
  const journal = openStore({ dir: place.path("state"), mode: "read" });
  const row = journal
    .readJournal({ afterSeq: 0, limit: 500 })
    .find(({ body }) => (body as { ask?: string }).ask === id);
  journal.close();
  expect(row).toMatchObject({
    type: "ask.submitted",
    body: { role: "qa", text: "is the suite green?", routing },
  });
  const again = await ask("--id", id);
  expect([again.exit, again.stderr]).toEqual([0, "certainty not stated, no source\n"]);
  expect(again.stdout).toBe('{\n  "phase": "test"\n}\n');
  const none = await ask("--id", `a-${"0".repeat(24)}`);
  expect([none.exit, none.stderr]).toEqual([3, expect.stringContaining("ASSIGNMENT_NOT_FOUND")]);
  for (const wrong of [["--id", id, "green?"], [], ["--id", "a-1"]])
    expect((await ask(...wrong)).exit).toBe(2);
  const named = await ask("@ops is the suite green?", "--role", "qa", "--why", "--json");
  expect([named.exit, named.stderr]).toEqual([0, "asks qa: --role says so\n"]);
  const unclear = await ask("hello there", "--why");
  expect([unclear.exit, unclear.stdout]).toEqual([2, ""]);
  expect(unclear.stderr).toMatch(/error ROLE_UNCLEAR.*[\s\S]*architect: .*performance: .*qa: .*ops: /);
});

test("an event asks the roles that name it, and one that nobody names is refused", async () => {
  const activate = (...args: string[]) =>
    questbus(place, ["activate", ...args, "--state", place.path("state")]);
  const said = await activate("deploy", "v2 is out", "--data", '{"v":2}', "--phases", "validate");
  expect([said.exit, said.stdout]).toEqual([0, 'qa:\ndeploy: v2 is out {"v":2}\n']);
  const unknown = await activate("solstice");
  expect([unknown.exit, unknown.stderr]).toEqual([
    2,
    expect.stringContaining("no role is activated by solstice"),
  ]);
});

test("an ask that nobody takes says at once for whom it waits, and ends when its wait is over", async () => {
  const said = await ask("anyone?", "--role", "ops", "--wait", "1500ms");
  expect(said.exit).toBe(1);
  expect(said.stderr).toMatch(
    /^asked a-[0-9a-f]{24}; no agent of role ops takes asks at present: .*\n {2}questbus agent run --role ops -- /,
  );
  expect(said.stdout).toMatch(/^pending a-[0-9a-f]{24}\n$/);
  const id = said.stdout.trim().slice("pending ".length);
  expect(said.stderr).toContain(`\n  next: questbus ask --id ${id} --state ${place.path("state")}\n`);
  const later = await ask("--id", id, "--json");
  expect(JSON.parse(later.stdout)).toMatchObject({ ask: id, status: "pending", phase: "test", holder: null });
  const json = await ask("anyone?", "--role", "ops", "--wait", "1ms", "--json");
  expect([json.exit, json.stderr]).toEqual([1, ""]);
  expect(JSON.parse(json.stdout)).toMatchObject({ status: "pending", ask: expect.stringMatching(/^a-/) });
});

test("many at once, each answered once", async () => {
  const operator = await stack.clientAs("operator");
  const asks = Array.from({ length: 200 }, (_, n) =>
    operator.request("ask", {
      role: "qa",
      phases: ["test", "fix", "validate"],
      text: `number ${n}`,
      data: n,
      waitMs: 20_000,
    }),
  );
  const answers = (await Promise.all(asks)) as AskAnswer[];
  expect(answers.map((each) => (each.status === "answered" ? each.results[2] : each))).toEqual(
    Array.from({ length: 200 }, (_, n) => `number ${n} ${n}`),
  );
});
