import { describe, expect, it } from "vitest";
import { askAnswerIn, taskAnswerIn } from "../src/command-answer.ts";

describe("what a program prints", () => {
  it.each([
    ["JSON alone", '{"n":1}\n', { n: 1 }],
    ["the last fenced block", 'so:\n```json\n{"n":1}\n```\nno:\n```\n{"n":2}\n```\n', { n: 2 }],
    ["the last one that is JSON", '```json\n{"n":1}\n```\nas in\n```sh\nls\n```\n', { n: 1 }],
    ["plain words", " the parser's own\n", "the parser's own"],
    ["nothing", "", ""],
  ])("to an ask: %s", (_, output, answer) => {
    expect(askAnswerIn(output)).toEqual(answer);
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
});
