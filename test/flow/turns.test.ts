import { mkdirSync, readFileSync } from "node:fs";
import { type JoinedAgent, joinAs, type TurnHandler, type TurnWork } from "@questbus/agent";
import { addCredential } from "@questbus/bus";
import {
  type JournalWatch,
  makeTarget,
  openPlace,
  type Place,
  questbus,
  startQuestbus,
  type Target,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Quest mode on a real stack: two agents of the SDK talk, and what they come to is judged as any candidate is. */

let place: Place;
let target: Target;
let journal: JournalWatch;
const joined: JoinedAgent[] = [];

beforeAll(() => {
  place = openPlace("turns");
  target = makeTarget(place);
  mkdirSync(place.path("state"), { recursive: true });
});
afterAll(async () => {
  await Promise.all(joined.map((each) => each[Symbol.asyncDispose]()));
  journal?.close();
  await place.close();
});

async function join(role: "performance" | "qa", name: string, turn: TurnHandler): Promise<void> {
  const credentials = addCredential(place.path("state"), { role, name }).path;
  const agent = await joinAs({ credentials, role });
  joined.push(agent);
  agent.handle({ turn }).catch(() => {});
}

test("a leader and a worker make a candidate in a conversation, and the gate decides on it", async () => {
  const patch = readFileSync(place.path(target.patch("gain")), "utf8");
  const files = ["src/least.awk", "src/most.awk", "src/total.awk"];
  const heard: Record<string, TurnWork[]> = { lead: [], reader: [] };
  const turns = { leader: "performance", workers: ["qa"], ask: "Remember what was found", turnWithin: "60s" };
  const file = writeQuest(place, { fixers: [{ turns }], budget: { passes: 2 }, guards: [], profile: "none" });
  const running = startQuestbus(place, ["run", file, "--state", "state", "--json"]);
  journal = watchJournal(place.path("state"));
  await journal.until("quest.submitted");

  await join("performance", "lead", (work) => {
    heard.lead?.push(work);
    const last = work.conversation.at(-1);
    if (work.pass === 1) return { status: "blocked", message: "nobody has told me what is slow" };
    if (last?.kind !== "answer" || last.by !== "qa/reader")
      return { status: "clarification", message: "What is computed twice?", next: "qa", certainty: 1 };
    return { status: "completed", message: "the reader's change", files, change: { turn: last.turn } };
  });
  await join("qa", "reader", (work) => {
    heard.reader?.push(work);
    return { status: "completed", message: "All of them", files, change: { patch }, sources: files };
  });

  const ended = await running.ended;
  expect(summaryOf(ended), ended.stderr).toMatchObject({
    status: "accepted",
    passes: [
      { n: 1, fixer: "turns", verdict: "CRASH" },
      { n: 2, fixer: "turns", verdict: "ACCEPT" },
    ],
  });
  expect(ended.stderr).toContain("supplied by lead: turn 4, of lead");
  const [, opening] = heard.lead ?? [];
  expect(opening?.conversation.at(-1)).toMatchObject({
    kind: "word",
    by: "orchestrator/orchestrator",
    message: expect.stringMatching(/^pass 1 came to CRASH: .*nobody has told me/),
  });
  expect(heard.reader).toMatchObject([
    { part: "worker", leader: "performance", turn: 3, ask: "Remember what was found" },
  ]);
  const quest = summaryOf(ended).quest;
  const shown = await questbus(place, ["conversation", quest, "--state", "state"]);
  expect(shown.stdout).toMatch(/turn 1 {2}performance\/lead {2}blocked\n {2}nobody has told me/);
  expect(shown.stdout).toMatch(
    /turn 3 {2}qa\/reader {2}completed\n {2}All of them\n {2}a change: src\/least.awk/,
  );
  expect(shown.stdout).toContain("the change of turn 3");
  const verified = await questbus(place, ["audit", "verify", "--json", "--state", "state"]);
  expect(verified.exit, verified.stderr).toBe(0);
});
