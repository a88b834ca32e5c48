import { describe, expect, it } from "vitest";
import type { AskTask } from "../src/asks.ts";
import { no, type Outcome, type TaskContext, yes } from "../src/behaviour.ts";
import { answeredPhases, answerWith, behaviourOf, saidOnTop, type Work } from "../src/handler.ts";
import { outcome } from "./rig.ts";

const found: Outcome = { ...outcome, summary: "suite: green", signOff: yes("green") };
const builtIn = { test: async () => found, fix: async () => found, validate: async () => found };
const context = { step: () => {} } as unknown as TaskContext;

describe("what a handler says becomes the report", () => {
  it.each([
    ["nothing: the built-in agent's own", undefined, found],
    ["an outcome of its own", outcome, outcome],
    [
      "a word on top of what was found",
      { summary: "and I like it", signOff: yes("short") },
      {
        ...found,
        summary: "suite: green; and I like it",
        signOff: yes("green", "short"),
        suspicions: [],
      },
    ],
  ] as const)("%s", async (_, said, reported) => {
    const { validate } = behaviourOf({ validate: () => said }, builtIn);
    expect(await validate(context)).toMatchObject(reported);
  });

  it("an outcome of its own without a summary is given one: a report has to have it", async () => {
    const { summary: _, ...unsaid } = outcome;
    const { test } = behaviourOf({ test: () => unsaid }, builtIn);
    expect((await test(context)).summary).toMatch(/./);
  });

  it("a phase without a handler is done as the built-in agent does it", async () => {
    const seen: string[] = [];
    const behaviour = behaviourOf({ test: (work: Work) => void seen.push(work.phase) }, builtIn);
    expect(await behaviour.fix(context)).toBe(found);
    expect(seen).toEqual([]);
  });

  it.each([
    ["yes", "yes", "yes"],
    ["yes", "no", "no"],
    ["no", "yes", "no"],
    ["no", "no", "no"],
  ] as const)("a %s of the built-in agent and a %s on top are a %s", (own, said, both) => {
    const vote = { yes: yes("a reason"), no: no("a reason") };
    const joined = saidOnTop({ ...found, signOff: vote[own] }, { signOff: vote[said] });
    expect(joined.signOff).toEqual({ vote: both, reasons: ["a reason", "a reason"] });
  });

  it("no sign-off is made up where none is asked for, and no suspicion is lost", () => {
    const suspicion = { kind: "clock", message: "it sets the clock", where: null } as const;
    const joined = saidOnTop(
      { ...outcome, suspicions: [suspicion] },
      { signOff: yes("fine"), suspicions: [suspicion] },
    );
    expect(joined.signOff).toBeUndefined();
    expect(joined.suspicions).toEqual([suspicion, suspicion]);
  });
});

describe("an ask", () => {
  const task = {
    phase: "test",
    text: "why?",
    data: 1,
    results: [],
    signal: AbortSignal.any([]),
    progress: () => {},
  };

  it("goes to the handler of its phase", async () => {
    const answer = answerWith({ test: (work) => work.kind === "ask" && `${work.text} ${work.data}` });
    expect(answer(task as unknown as AskTask)).toBe("why? 1");
  });

  it("is taken in the phases that have a handler", () => {
    expect(answeredPhases({ validate: () => 1, test: () => 1, turn: () => [] as never })).toEqual([
      "test",
      "validate",
    ]);
  });
});
