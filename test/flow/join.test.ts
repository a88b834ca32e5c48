import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { joinAs } from "@questbus/agent";
import { addCredential, type BusClient } from "@questbus/bus";
import { type AskAnswer, type ClaimAnswer, limit, type Phase, type Role } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import {
  type BareStack,
  openPlace,
  type Place,
  startBareStack,
  startQuestbus,
  until,
} from "@questbus/testkit";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Agents of a user's own, through the SDK, on a real stack. */

const root = join(import.meta.dirname, "..", "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const worker = /^```js\n(\/\/ worker\.mjs[\s\S]*?)^```/m.exec(readme)?.[1] ?? "";

let place: Place;
let stack: BareStack;
let credentials: string;
let others: string;

beforeAll(async () => {
  place = openPlace("join");
  mkdirSync(place.path("state"));
  credentials = addCredential(place.path("state"), { role: "qa", name: "mine" }).path;
  others = addCredential(place.path("state"), { role: "qa", name: "answers" }).path;
  stack = await startBareStack(place.path("state"));
});
afterAll(async () => {
  await stack?.stop();
  await place?.close();
});

const ask = async (operator: BusClient, text: string, phase: Phase = "test"): Promise<AskAnswer> =>
  (await operator.request("ask", {
    role: "qa",
    phases: [phase],
    text,
    data: null,
    waitMs: limit.claimWaitMsMax,
  })) as AskAnswer;

test("the worker of the README has fewer than fifteen lines, joins, answers, and goes when it is told to", async () => {
  expect(worker.trim().split("\n").length).toBeLessThan(15);
  writeFileSync(place.path("worker.mjs"), worker);
  mkdirSync(place.path("node_modules", "@questbus"), { recursive: true });
  symlinkSync(join(root, "packages", "agent"), place.path("node_modules", "@questbus", "agent"));
  const child = spawn(process.execPath, ["worker.mjs", credentials], {
    cwd: place.dir,
    env: place.env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const answer = await ask(await stack.clientAs("operator"), "which suite covers the parser?");
  expect(answer).toMatchObject({
    status: "answered",
    results: [{ answer: expect.stringContaining("parser") }],
  });
  const ended = once(child, "exit");
  child.kill("SIGINT");
  expect(await ended).toEqual([0, null]);
});

test("any program is an agent: it reads the brief, and what it prints is the answer", async () => {
  const script = 'read -r brief; cat "$QUESTBUS_BRIEF" | grep -c \'"kind":"ask"\'; echo "$brief"';
  const fenced = "echo '```json'; cat; echo; echo '```'";
  const args = ["agent", "run", "--state", place.path("state"), "--credential", credentials, "--role", "qa"];
  for (const [line, expected] of [
    [fenced, { kind: "ask", phase: "test", text: "who?" }],
    [script, expect.stringMatching(/^1\n\{"kind":"ask"/)],
  ] as const) {
    const running = startQuestbus(place, [...args, "--", "sh", "-c", line]);
    const answer = await ask(await stack.clientAs("operator"), "who?");
    running.signal("SIGINT");
    expect((await running.ended).exit).toBe(130);
    expect(answer).toMatchObject({ results: [expected] });
  }
});

test("an ask in a phase that no agent takes waits for one that does, and its asker is told why; then, who has it", async () => {
  const state = ["--state", place.path("state"), "--role", "qa"];
  const asking = (text: string) => startQuestbus(place, ["ask", text, ...state]);
  const says = (running: ReturnType<typeof asking>, text: string) =>
    until(text, () => running.printed().stderr.includes(text));
  const fixer = ["agent", "run", ...state, "--credential", credentials, "--phases", "fix"];
  const talk = startQuestbus(place, [...fixer, "--", "sh", "-c", "echo mended"]);
  const operator = await stack.clientAs("operator");
  expect(await ask(operator, "mend it", "fix")).toMatchObject({ results: ["mended"] });
  const first = asking("which suite?");
  await says(first, "no agent of role qa takes phase test at present: those there are take fix. Bring one:");
  expect(first.printed().stderr).toContain("\n  questbus agent run --role qa --phases test -- COMMAND\n");
  const reply = Promise.withResolvers<string>();
  await using answers = await joinAs({ credentials: others, role: "qa" });
  const working = answers.handle({
    test: ({ kind, ...work }) => ("text" in work && work.text === "slow?" ? reply.promise : kind),
  });
  expect((await first.ended).stdout).toBe("ask\n");
  const slow = asking("slow?");
  await says(slow, "qa/answers has it, in phase test;");
  const third = asking("and then?");
  await says(third, "the agents of role qa that take phase test are busy;");
  reply.resolve("now");
  expect([(await slow.ended).stdout, (await third.ended).stdout]).toEqual(["now\n", "ask\n"]);
  talk.signal("SIGINT");
  await talk.ended;
  await answers[Symbol.asyncDispose]();
  await working;
});

/** Plays the role's built-in agent, without repository and without runs. */
async function play(role: Role, signal: AbortSignal): Promise<void> {
  const client = await stack.clientAs(role);
  while (!signal.aborted) {
    const answer = (await client.request(
      "claim",
      { waitMs: limit.claimWaitMsMax },
      { signal },
    )) as ClaimAnswer;
    if (answer.status === "granted") await client.request("report", scriptedReport(answer.grant));
  }
}

test("works the assignments of a quest and its asks through the same handlers, and each event has its name", async () => {
  const stop = new AbortController();
  const roles = ["architect", "performance", "ops"] as const;
  const others = roles.map((role) => play(role, stop.signal).catch(() => {}));
  const seen: string[] = [];
  {
    await using agent = await joinAs({ credentials, role: "qa" });
    const working = agent.handle({
      test(work) {
        seen.push(work.kind);
        work.progress("looking");
        if (work.kind === "ask") return "asked";
        const { result, summary } = scriptedReport({ brief: work.brief } as never);
        return { result, summary };
      },
      fix: (work) => work.kind === "assignment" && scriptedReport({ brief: work.brief } as never),
      validate(work) {
        if (work.kind === "ask") throw new Error("not asked for");
        const { result, signOff } = scriptedReport({ brief: work.brief } as never);
        return { result, signOff, summary: "green, says mine" };
      },
    });
    const operator = await stack.clientAs("operator");
    const { quest } = (await operator.request("submit", submission())) as { quest: string };
    expect(await ask(operator, "and?")).toMatchObject({ results: ["asked"] });
    const reports = (): { actor: { name: string }; summary: string }[] => {
      const store = openStore({ dir: place.path("state"), mode: "read" });
      try {
        return store.readJournal({ quest, type: "task.reported", limit: 100 }).map((row) => ({
          actor: row.actor,
          summary: (row.body as { report: { summary: string } }).report.summary,
        }));
      } finally {
        store.close();
      }
    };
    await until("the suite on the candidate is reported", () =>
      reports().some(({ summary }) => summary === "green, says mine"),
    );
    expect(reports().filter(({ actor }) => actor.name === "mine").length).toBe(3);
    stop.abort();
    void working;
  }
  await Promise.all(others);
  expect(seen.sort()).toEqual(["ask", "assignment"]);
});

test("a credential of another role, or of no stack, is told as it is", async () => {
  await expect(joinAs({ credentials, role: "ops" })).rejects.toMatchObject({ code: "ROLE_FORBIDDEN" });
  await expect(joinAs({ credentials: place.path("qa-none.nk"), role: "qa" })).rejects.toMatchObject({
    code: "AGENT_NOT_FOUND",
  });
});
