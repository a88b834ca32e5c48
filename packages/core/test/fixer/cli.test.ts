import type { CliName, FixerSpec } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CliEnd, type CliRun, classifyCliRun, cliStart } from "../../src/fixer/cli.ts";
import { quotaPauseMs, statedWaitMs } from "../../src/fixer/quota.ts";

/** 2026-04-14, 16:00 UTC; midnight in Shanghai. */
const nowMs = Date.UTC(2026, 3, 14, 16);
const minutes = (count: number): number => count * 60_000;

const ended = (part: Partial<CliRun>): CliRun => ({
  exit: 1,
  timedOut: false,
  stdout: "",
  stderr: "",
  changed: false,
  ...part,
});
const state = (cli: CliName, part: Partial<CliRun>): CliEnd["state"] =>
  classifyCliRun(cli, ended(part), nowMs).state;

describe("the end of a coding CLI", () => {
  test.each<[string, CliName, Partial<CliRun>, CliEnd["state"]]>([
    [
      "claude, done",
      "claude",
      { exit: 0, stdout: '{"type":"result","is_error":false,"result":"made it faster"}' },
      "done",
    ],
    [
      "claude, an error told in JSON with exit 0",
      "claude",
      { exit: 0, stdout: '{"is_error":true,"result":"Invalid API key"}' },
      "failed",
    ],
    [
      "claude, a limit told in JSON with exit 0",
      "claude",
      { exit: 0, stdout: '{"is_error":true,"result":"Claude AI usage limit reached|1776182700"}' },
      "quota",
    ],
    ["claude, a limit", "claude", { stdout: "You've hit your limit · resets 7pm (Asia/Shanghai)" }, "quota"],
    [
      "claude, a rate limit of the API",
      "claude",
      { stdout: 'API Error: 429 {"type":"error","error":{"type":"rate_limit_error"}}' },
      "quota",
    ],
    ["claude, not signed in", "claude", { stderr: "Invalid API key · Please run /login" }, "failed"],
    [
      "codex, done",
      "codex",
      { exit: 0, stdout: "done", stderr: "warning: 429 Too Many Requests, retrying" },
      "done",
    ],
    [
      "codex, a limit",
      "codex",
      { stderr: "ERROR: You've hit your usage limit. Try again in 3 hours 20 minutes." },
      "quota",
    ],
    [
      "codex, a rate limit",
      "codex",
      { stderr: "exceeded retry limit, last status: 429 Too Many Requests" },
      "quota",
    ],
    ["codex, another error", "codex", { stderr: "error: unexpected argument '--fast'" }, "failed"],
    ["gemini, done", "gemini", { exit: 0, stdout: '{"response":"ok","stats":{}}' }, "done"],
    [
      "gemini, an error in its JSON",
      "gemini",
      { stdout: '{"error":{"type":"ApiError","message":"bad","code":500}}' },
      "failed",
    ],
    [
      "gemini, a quota",
      "gemini",
      { stderr: 'status: "RESOURCE_EXHAUSTED", Please retry in 31.5s.' },
      "quota",
    ],
    ["gemini, a bad argument", "gemini", { exit: 42, stderr: "unknown option" }, "failed"],
    ["gemini, the turn limit", "gemini", { exit: 53, stderr: "turn limit exceeded" }, "failed"],
    ["aider, done", "aider", { exit: 0, changed: true, stdout: "Applied edit to src/a.js" }, "done"],
    [
      "aider, a limit that it got over",
      "aider",
      { exit: 0, changed: true, stdout: "litellm.RateLimitError\nRetrying" },
      "done",
    ],
    [
      "aider exits with 0 on a limit",
      "aider",
      { exit: 0, stdout: "litellm.RateLimitError: RateLimitError" },
      "quota",
    ],
    ["aider found nothing to do", "aider", { exit: 0, stdout: "No changes needed" }, "done"],
    ["a program that is not there", "codex", { exit: 127, stderr: "sh: codex: not found" }, "missing"],
    ["a program that cannot be started", "claude", { exit: 126 }, "missing"],
    ["no end", "gemini", { exit: null, timedOut: true, stdout: "RESOURCE_EXHAUSTED" }, "timeout"],
    ["killed", "claude", { exit: null }, "failed"],
  ])("%s", (_, cli, run, wanted) => {
    expect(state(cli, run)).toBe(wanted);
  });

  test("a failure is told in the program's own words", () => {
    const end = classifyCliRun(
      "claude",
      ended({ exit: 0, stdout: '{"is_error":true,"result":"Invalid API key"}' }),
      nowMs,
    );
    expect(end).toEqual({ state: "failed", message: "exit code 0: Invalid API key" });
  });

  test("so is one that its JSON tells on stderr, and one that ends in braces", () => {
    const json = '{\n  "error": {\n    "type": "AuthError"\n  }\n}\n';
    const end = (stderr: string) => classifyCliRun("gemini", ended({ exit: 41, stderr }), nowMs);
    expect(end(json)).toEqual({ state: "failed", message: 'exit code 41: {"type":"AuthError"}' });
    expect(end(`no key is set\n${json}}`)).toEqual({
      state: "failed",
      message: 'exit code 41: "type": "AuthError"',
    });
  });

  test("is total, and 0 is never a failure without a word of the program", () => {
    const run = fc.record({
      exit: fc.option(fc.integer({ min: 0, max: 255 })),
      timedOut: fc.boolean(),
      stdout: fc.string(),
      stderr: fc.string(),
      changed: fc.boolean(),
    });
    const cli = fc.constantFrom<CliName>("claude", "codex", "gemini", "aider");
    fc.assert(
      fc.property(cli, run, (name, given) => {
        const end = classifyCliRun(name, given, nowMs);
        if (given.exit === 0 && !given.timedOut && !given.stdout.includes("{"))
          expect(end.state).toBe("done");
      }),
    );
  });
});

describe("when to ask again", () => {
  test.each<[string, number | null]>([
    [
      "Claude AI usage limit reached|1776182700",
      nowMs + minutes(5) === 1776182700000 ? minutes(5) : Number.NaN,
    ],
    ["resets_in_seconds: 90", 90_000],
    ['"resets_at":1776182460', minutes(1)],
    ["retry-after: 12", 12_000],
    ["Please retry in 31.5s.", 31_500],
    ['"retryDelay": "7s"', 7_000],
    ["try again in 3 hours 20 minutes.", minutes(200)],
    ["Try again in 4 days 3 hours", minutes(99 * 60)],
    ["try again in 200ms", 200],
    ["You've hit your limit · resets 1:30am (Asia/Shanghai)", minutes(90)],
    ["Your limit will reset at 10am (America/Lima).", minutes(23 * 60)],
    ["resets 12am (Asia/Shanghai)", 0],
    ["resets 11:55pm (Asia/Shanghai)", 0],
    ["resets 9am (Nowhere/None)", null],
    ["try again later", null],
    ["", null],
  ])("%s", (text, wanted) => {
    expect(statedWaitMs(text, nowMs)).toBe(wanted);
  });

  test.each([
    ["as it is stated", { statedMs: 5_000, waits: 0, waitedMs: 0 }, 5_000],
    ["never in a storm", { statedMs: 0, waits: 3, waitedMs: 0 }, 250],
    ["a minute, where nothing is stated", { statedMs: null, waits: 0, waitedMs: 0 }, 60_000],
    ["then longer", { statedMs: null, waits: 2, waitedMs: 180_000 }, 240_000],
    ["at most a quarter of an hour", { statedMs: null, waits: 9, waitedMs: 0 }, 900_000],
    ["not beyond what may be waited", { statedMs: minutes(59), waits: 1, waitedMs: minutes(2) }, null],
  ])("%s", (_, given, wanted) => {
    expect(quotaPauseMs({ ...given, waitMsMax: minutes(60) })).toBe(wanted);
  });

  test("all waits of a pass together stay within their bound", () => {
    const stated = fc.array(fc.option(fc.nat({ max: minutes(30) })), { maxLength: 50 });
    fc.assert(
      fc.property(stated, fc.integer({ min: 1, max: minutes(60) }), (list, waitMsMax) => {
        let waitedMs = 0;
        for (const [waits, statedMs] of list.entries()) {
          const pauseMs = quotaPauseMs({ statedMs, waits, waitedMs, waitMsMax });
          if (pauseMs === null) break;
          waitedMs += pauseMs;
        }
        expect(waitedMs).toBeLessThanOrEqual(waitMsMax);
      }),
    );
  });
});

describe("the command line", () => {
  const fixer = (cli: CliName): Extract<FixerSpec, { kind: "cli" }> => ({
    kind: "cli",
    name: cli,
    cli,
    model: "best'; rm -rf /",
    extraArgs: ["--max-turns", "$(id)"],
    env: ["MY_PROXY"],
    timeoutMs: 1,
    quotaWaitMs: 1,
  });

  test.each<[CliName, RegExp]>([
    [
      "claude",
      /^claude -p '.*' --output-format json --permission-mode acceptEdits .* < "\$QUESTBUS_PROMPT"$/,
    ],
    [
      "codex",
      /^codex exec --sandbox workspace-write --skip-git-repo-check --color never .* - < "\$QUESTBUS_PROMPT"$/,
    ],
    ["gemini", /^gemini -p '.*' --approval-mode auto_edit --output-format json .* < "\$QUESTBUS_PROMPT"$/],
    ["aider", /^aider --message-file "\$QUESTBUS_PROMPT" --yes-always --no-auto-commits .*$/],
  ])("of %s takes the prompt from a file, and every argument as one word", (cli, line) => {
    const { command, keeps } = cliStart(fixer(cli));
    expect(command).toMatch(line);
    expect(command).toContain(` '--model' 'best'\\''; rm -rf /' '--max-turns' '$(id)'`);
    expect(keeps).toContain("MY_PROXY");
  });
});
