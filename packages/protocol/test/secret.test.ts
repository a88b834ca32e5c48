import fc from "fast-check";
import { expect, test } from "vitest";
import { redact, redactLine, redactText } from "../src/index.ts";

// Put together here, so that no scanner takes this file for a leak.
const seed = `SU${"AC4X7PQ2".repeat(7)}`;
const secrets: readonly [string, string, string][] = [
  ["an nkey seed", seed, "[redacted: nkey seed]"],
  ["a GitHub token", `ghp_${"a1B2".repeat(9)}`, "[redacted: GitHub token]"],
  ["an API key", `sk-${"ant"}-api03-${"xY9z".repeat(6)}`, "[redacted: API key]"],
  ["an API key of a removed line", `-sk-${"ant"}-api03-${"xY9z".repeat(6)}`, "-[redacted: API key]"],
  ["an AWS key", `AKIA${"Z2".repeat(8)}`, "[redacted: AWS key]"],
  ["an npm token", `npm_${"q7Rt".repeat(9)}`, "[redacted: npm token]"],
  [
    "a web token",
    `eyJ${"hbGciOiJ".repeat(2)}.eyJ${"zdWIiOiI".repeat(2)}.${"s1gN".repeat(5)}`,
    "[redacted: JSON web token]",
  ],
  [
    "a private key",
    `-----BEGIN ${"PRIVATE"} KEY-----\nMIIE\n-----END ${"PRIVATE"} KEY-----`,
    "[redacted: private key]",
  ],
  ["an address", "postgres://app:hunter2@db/x", "postgres://app:[redacted: password]@db/x"],
];
test.each(secrets)("%s is not kept", (_, secret, kept) => {
  expect(redactText(`before ${secret} after`)).toBe(`before ${kept} after`);
  expect(redact({ a: ["x", { b: secret }], n: 1 })).toEqual({ a: ["x", { b: kept }], n: 1 });
});

test.each([
  "https://example.org/a?b=c",
  "the task-runner of the disk-cache is fast",
  "sk-learn and risk-assessment-of-the-whole-thing",
  "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  "npm_config_registry",
])("%s is kept as it is", (text) => {
  expect(redactText(text)).toBe(text);
});

test("a value without secrets is the same value", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(redact(value)).toBe(value);
    }),
    { numRuns: 50 },
  );
});

test("a line of a log stays JSON, also with a key that has no end", () => {
  const key = `-----BEGIN ${"PRIVATE"} KEY-----\nMIIEvQIBADANBgkq`;
  const line = `${JSON.stringify({ level: 30, err: { message: key }, msg: "and on" })}\n`;
  expect(JSON.parse(redactLine(line))).toEqual({
    level: 30,
    err: { message: "[redacted: private key]" },
    msg: "and on",
  });
  expect(redactLine("plain\n")).toBe("plain\n");
  expect(redactLine(`not JSON ${seed}\n`)).toBe("not JSON [redacted: nkey seed]\n");
});
