import { describe, expect, it } from "vitest";
import { askAnswerIn, taskAnswerIn, turnAnswerIn } from "../src/command-answer.ts";
import { stated } from "../src/stated.ts";

describe("what a program prints", () => {
  it.each([
    ["JSON alone", '{"n":1}\n', { n: 1 }],
    ["the last fenced block", 'so:\n```json\n{"n":1}\n```\nno:\n```\n{"n":2}\n```\n', { n: 2 }],
    ["the last one that is JSON", '```json\n{"n":1}\n```\nas in\n```sh\nls\n```\n', { n: 1 }],
    ["plain words", " the parser's own\n", "the parser's own"],
    ["JSON null", "null\n", null],
    ["JSON null in a fenced block", "nobody knows\n```json\nnull\n```\n", null],
    ["a result beside other keys", '{"result":1,"n":2}', { result: 1, n: 2 }],
    ["a question beside other keys", '{"clarification":"?","n":2}', { clarification: "?", n: 2 }],
  ])("to an ask: %s", (_, output, answer) => {
    expect(askAnswerIn(output)).toEqual(answer);
  });

  it.each([
    ["its certainty", { certainty: 0.7 }],
    ["its sources", { sources: ["src/a.ts:3"] }],
    ["both", { certainty: 1, sources: [] }],
  ])("to an ask, a result with %s", (_, said) => {
    expect(askAnswerIn(JSON.stringify({ result: null, ...said }))).toEqual(stated(null, said));
  });

  it.each([
    ["a percentage", '{"result":1,"certainty":95}', "0.95"],
    ["a source that is no list", '{"result":1,"sources":"a.ts"}', "sources"],
    ["a certainty beside other keys", '{"result":1,"certainty":1,"n":2}', "n"],
  ])("to an ask, %s is a fault", (_, output, named) => {
    const fault = { code: "AGENT_COMMAND_FAILED", message: expect.stringContaining(named) };
    expect(() => askAnswerIn(output)).toThrow(expect.objectContaining(fault));
  });

  it("to an ask: a question back", () => {
    const back = { code: "CLARIFICATION_WANTED", message: "which parser?" };
    expect(() => askAnswerIn('{"clarification":" which parser? "}')).toThrow(expect.objectContaining(back));
  });

  it.each([
    ["words", "looks good to me", "no JSON"],
    ["a vote that is none", '{"signOff":{"vote":"maybe","reasons":["x"]}}', "signOff.vote"],
    ["a key that nobody knows", '{"approve":true}', "approve"],
    ["a list", "[]", "answer"],
  ])("to an assignment, %s are a fault", (_, output, named) => {
    const fault = { code: "AGENT_COMMAND_FAILED", message: expect.stringContaining(named) };
    expect(() => taskAnswerIn(output)).toThrow(expect.objectContaining(fault));
  });

  it("to an assignment: a word on top, or a result of its own", () => {
    const said = { summary: "no", signOff: { vote: "no", reasons: ["why"] } };
    expect(taskAnswerIn(JSON.stringify(said))).toEqual(said);
    expect(taskAnswerIn('{"result":null}')).toEqual({ result: null });
  });

  it.each(["completed", "clarification", "blocked"] as const)("to a turn: %s", (status) => {
    const said = { status, message: "so", next: "qa" };
    expect(turnAnswerIn(JSON.stringify(said))).toEqual({ ...said, files: [], change: null });
  });

  it.each([
    ["none of the three", '{"status":"done","message":"so"}', "status"],
    ["no message", '{"status":"completed"}', "message"],
    ["words alone", "done", "no JSON"],
    ["another key", '{"status":"completed","message":"so","vote":"yes"}', "vote"],
  ])("to a turn, %s is a fault", (_, output, named) => {
    const fault = { code: "AGENT_COMMAND_FAILED", message: expect.stringContaining(named) };
    expect(() => turnAnswerIn(output)).toThrow(expect.objectContaining(fault));
  });
});
