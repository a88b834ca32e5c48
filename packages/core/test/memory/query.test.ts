import { limit } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { matchOf, topicOf, wordsOf } from "../../src/memory/query.ts";
import { at } from "../quest/play.ts";

describe("the words of a search", () => {
  test.each([
    ["Make the word search 20 % faster", ["make", "word", "search", "20", "faster"]],
    ["src/report-file.ts:41 #addToRoute", ["report", "file", "ts", "41", "addtoroute"]],
    ['"quoted" AND (NOT x*) NEAR/2 col:y ^z -- ;', ["quoted", "near", "col"]],
    ["größer Größer GRÖSSER", ["größer", "grösser"]],
    ["", []],
    ["!?", []],
  ])("of %j", (text, words) => {
    expect(wordsOf([text])).toEqual(words);
  });

  test("of any text: nothing in them can end its quotes, each once, and bounded", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "binary", maxLength: 200 })), (texts) => {
        const words = wordsOf(texts);
        expect(words.length).toBeLessThanOrEqual(limit.memoryWordsMax);
        expect(new Set(words).size).toBe(words.length);
        for (const word of words) expect(word).toMatch(/^[\p{L}\p{N}\p{M}]+$/u);
        const match = matchOf(words);
        if (words.length === 0) expect(match).toBeNull();
        else expect(match?.split(" OR ").map((each) => each.slice(1, -1))).toEqual(words);
      }),
    );
  });
});

test("a quest is about its role, goal, metric, fixers and the files of its candidate", () => {
  const words = topicOf(at("review").state, "architect");
  expect(words).toEqual(expect.arrayContaining(["architect", "search", "p95", "patch"]));
  expect(words.length).toBeLessThanOrEqual(limit.memoryWordsMax);
});
