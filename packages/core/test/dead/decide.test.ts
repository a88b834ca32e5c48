import { createHash } from "node:crypto";
import { type DeadLetter, limit, type Verb, verbs } from "@questbus/protocol";
import { expect, test } from "vitest";
import {
  decideRetried,
  isKept,
  isWhole,
  openLetter,
  refuseMomentary,
  textToRetry,
} from "../../src/dead/decide.ts";

const letter = (part: Partial<DeadLetter> = {}): DeadLetter => ({
  seq: 17,
  role: "qa",
  name: "qa",
  subject: "local.cmd.qa.qa.report",
  code: "MESSAGE_INVALID",
  fault: "data.epoch: expected a number",
  timeMs: 1,
  status: "open",
  retries: 0,
  counted: 0,
  ...part,
});
const bodyOf = (sent: string | Uint8Array, excerpt: string) => ({
  subject: "local.cmd.qa.qa.report",
  code: "MESSAGE_INVALID",
  faults: [],
  sha256: createHash("sha256").update(sent).digest("hex"),
  excerpt,
});

const codeOf = (work: () => unknown): string => {
  try {
    work();
    return "ok";
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test.each([
  [null, "DEAD_NOT_FOUND"],
  [letter(), "ok"],
  [letter({ retries: 3 }), "ok"],
  [letter({ status: "retried" }), "DEAD_CLOSED"],
  [letter({ status: "dropped" }), "DEAD_CLOSED"],
  [letter({ status: "dropped", counted: 9 }), "DEAD_CLOSED"],
])("I1: a letter that is closed or unknown is refused: %j", (given, code) => {
  expect(codeOf(() => openLetter(given, "d-17"))).toBe(code);
});

test.each([
  ["a whole text", letter(), bodyOf("{}", "{}"), "ok"],
  ["one of which a part was kept", letter(), bodyOf("{} and more", "{}"), "DEAD_NOT_RETRYABLE"],
  ["bytes that are no text", letter(), bodyOf(new Uint8Array([0xff]), "\ufffd"), "DEAD_NOT_RETRYABLE"],
  ["a text whose mark of byte order was lost", letter(), bodyOf("\ufeff{}", "{}"), "DEAD_NOT_RETRYABLE"],
  ["a count", letter({ counted: 2 }), null, "DEAD_NOT_RETRYABLE"],
])("I2: only what was kept byte for byte is read again: %s", (_what, given, body, code) => {
  expect(codeOf(() => textToRetry(given, body))).toBe(code);
  if (body) expect(isWhole(body)).toBe(code === "ok");
});

test("what means nothing without its sender is not carried out late, and neither is what acts on letters", () => {
  const taken = verbs.filter((verb: Verb) => codeOf(() => refuseMomentary(letter(), verb)) === "ok");
  expect(taken.sort()).toEqual([
    "ask",
    "cancel",
    "deny",
    "forget",
    "grant",
    "pause",
    "release",
    "remember",
    "report",
    "resume",
    "rule",
    "submit",
    "supply",
  ]);
});

test("I3: as many letters of a sender are kept as the limit says", () => {
  const kept = [0, limit.deadLettersMax - 1, limit.deadLettersMax, limit.deadLettersMax + 1].map(isKept);
  expect(kept).toEqual([true, true, false, false]);
});

test("what a retry found is recorded by the letter's id", () => {
  const actor = { role: "operator", name: "olga" } as const;
  expect(decideRetried(letter(), ["data: no"], actor)).toEqual({
    type: "dead.retried",
    quest: null,
    actor,
    body: { letter: "d-17", faults: ["data: no"] },
  });
});

test("a letter out of which a secret was taken says so, and is not read again without it", () => {
  const kept = bodyOf('{"text":"hunter2"}', '{"text":"[redacted: API key]"}');
  expect(() => textToRetry(letter(), kept)).toThrow(
    expect.objectContaining({
      code: "DEAD_NOT_RETRYABLE",
      message: expect.stringContaining("a secret was taken out"),
    }),
  );
});
