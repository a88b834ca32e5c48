import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import {
  makeTarget,
  openPlace,
  type Place,
  questbus,
  type Target,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { summaryOf, verdictsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Coding CLIs played by scripts that end as the real ones do: exit codes, words, JSON, edits left half way. */

let place: Place;
let target: Target;
let bin: string;
const env = () => ({
  PATH: [bin, process.env.PATH].join(delimiter),
  ANTHROPIC_API_KEY: "sk-test-0123456789",
});

beforeAll(() => {
  place = openPlace("cli");
  target = makeTarget(place);
  target.patch("gain");
  bin = place.path("bin");
  mkdirSync(bin);
});
afterAll(() => place.close());

/** Installs a program; `$CALL` counts its calls from then on, and `$DIR` is a folder of its own. */
function install(name: string, body: string): string {
  const dir = place.path(`calls-${name}`);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  const script = `#!/bin/sh
DIR="${dir}"
CALL=$(($(ls "$DIR" | grep -c '^call-') + 1))
printf '%s\\n' "$@" > "$DIR/call-$CALL"
${body}`;
  writeFileSync(join(bin, name), script);
  chmodSync(join(bin, name), 0o755);
  return dir;
}

const gain = () => `git apply "${place.path("fixes", "gain.patch")}"`;
const asked = (dir: string): number =>
  [1, 2, 3, 4].filter((at) => existsSync(join(dir, `call-${at}`))).length;

describe("a CLI whose quota is used up on the first call, half way through its edits", () => {
  let run: Awaited<ReturnType<typeof questbus>>;
  let dir: string;

  beforeAll(async () => {
    dir = install(
      "claude",
      `cat > "$DIR/prompt-$CALL"
ls > "$DIR/files-$CALL"
if [ $CALL = 1 ]; then
  echo broken > src/total.awk
  echo new > src/leftover.awk
  echo '{"type":"result","is_error":true,"result":"API Error: 429 rate_limit_error, try again in 300ms"}'
  exit 1
fi
[ -e src/leftover.awk ] && exit 9
${gain()} || exit 8
echo "{\\"type\\":\\"result\\",\\"is_error\\":false,\\"result\\":\\"done with key $ANTHROPIC_API_KEY\\"}"`,
    );
    const quest = writeQuest(place, {
      fixers: [{ cli: "claude", model: "best", extraArgs: ["--max-turns", "9"] }],
    });
    run = await questbus(place, ["run", quest, "--state", "state", "--json"], { env: env() });
  });

  test("is asked again in the same pass, from a clean worktree, and its candidate accepted", () => {
    expect(summaryOf(run), run.stderr).toMatchObject({
      status: "accepted",
      passes: [{ n: 1, fixer: "claude (best)" }],
    });
    expect(asked(dir)).toBe(2);
    expect(run.stderr).toMatch(/waits 1 s for the quota of claude \(best\): .*rate_limit_error/);
  });

  test("gets the prompt on standard input and none of it in its arguments", () => {
    const prompt = readFileSync(join(dir, "prompt-2"), "utf8");
    expect(prompt).toContain("Improve `steps` (steps) by 20 % or more; lower is better.");
    expect(prompt).toContain("- Never: `test/**`, `*.sh`");
    const args = readFileSync(join(dir, "call-2"), "utf8");
    expect(args).not.toContain("steps");
    expect(args).toContain("--model\nbest\n--max-turns\n9\n");
  });

  test("is handed its key, and the key is in no evidence", () => {
    const journal = watchJournal(place.path("state"));
    const report = journal.of("task.reported").find(({ body }) => body.report.task === "produce");
    journal.close();
    const texts = (report?.body.report.artifacts ?? []).map(({ sha256 }) =>
      readFileSync(place.path("state", "artifacts", sha256.slice(0, 2), sha256.slice(2)), "utf8"),
    );
    expect(texts.some((text) => text.includes("done with key [key]"))).toBe(true);
    expect(texts.join()).not.toContain("sk-test-0123456789");
  });
});

test("a quota that is back later holds no agent meanwhile, and costs no pass", async () => {
  const dir = install(
    "codex",
    `[ $CALL = 1 ] && { echo "You've hit your usage limit. Try again in 3 seconds." >&2; exit 1; }
${gain()}`,
  );
  const quest = writeQuest(place, { fixers: [{ cli: "codex" }] }, "later.json");
  const run = await questbus(place, ["run", quest, "--state", "later", "--json"], { env: env() });
  expect(summaryOf(run), run.stderr).toMatchObject({ status: "accepted", passes: [{ n: 1 }] });
  expect(asked(dir)).toBe(2);
  expect(run.stderr).toMatch(/waits 3 s for the quota of codex: .*usage limit/);
  const journal = watchJournal(place.path("later"));
  const [awaited] = journal.of("quota.awaited");
  const produced = journal.of("assignment.offered").filter(({ body }) => body.task === "produce");
  journal.close();
  expect(awaited?.body).toMatchObject({ pass: 1, pauseMs: 3_000 });
  expect(produced).toHaveLength(2);
});

test("a quota that outlasts quotaWait ends the fixer, and the quest waits for an arbiter after one pass", async () => {
  const dir = install(
    "codex",
    `echo "You've hit your usage limit. Try again in 3 hours 20 minutes." >&2; exit 1`,
  );
  const quest = writeQuest(place, { fixers: [{ cli: "codex", quotaWait: "10m" }] }, "codex.json");
  const run = await questbus(place, ["run", quest, "--state", "codex", "--json"], { env: env() });
  expect(run.exit, run.stderr).toBe(7);
  expect(verdictsOf(summaryOf(run))).toEqual(["CRASH"]);
  expect(asked(dir)).toBe(1);
  expect(run.stderr).toContain("FIXER_QUOTA");
});

test("a CLI that fails is asked again in the next pass, knowing why; what aider leaves behind is no candidate", async () => {
  const dir = install(
    "aider",
    `for each; do [ -f "$each" ] && cp "$each" "$DIR/prompt-$CALL"; done
echo history > .aider.tags
[ $CALL = 1 ] && { echo "cannot think today" >&2; exit 1; }
${gain()}`,
  );
  const quest = writeQuest(place, { fixers: [{ cli: "aider" }] }, "aider.json");
  const run = await questbus(place, ["run", quest, "--state", "aider", "--json"], { env: env() });
  const summary = summaryOf(run);
  expect(verdictsOf(summary), run.stderr).toEqual(["CRASH", "ACCEPT"]);
  expect(readFileSync(join(dir, "prompt-2"), "utf8")).toContain("pass 1 (aider): CRASH: ");
  expect(target.git("ls-tree", "--name-only", summary.accepted?.branch ?? "")).not.toContain(".aider");
});

test("programs that are not there cost one pass each, however many are left, and say what to do", async () => {
  const fixers = [{ cli: "gemini" }, { command: "./no-such-program.sh" }];
  const quest = writeQuest(place, { fixers }, "gemini.json");
  const run = await questbus(place, ["run", quest, "--state", "gemini", "--json"], { env: env() });
  expect(run.exit, run.stderr).toBe(7);
  expect(verdictsOf(summaryOf(run))).toEqual(["CRASH", "CRASH"]);
  expect(run.stderr).toContain("FIXER_MISSING: there is no program gemini");
  expect(run.stderr).toContain("no candidate is left to try: ");
});
