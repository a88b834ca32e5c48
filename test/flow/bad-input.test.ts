import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  fingerprint,
  makeTarget,
  openPlace,
  type PatchName,
  type Place,
  questbus,
  runGit,
  type Target,
  tamper,
  writeQuest,
} from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { expectClearError, expectNoTrace, faultsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** "Bad input" of the issue, as far as it is refused before anything runs: nothing is stored, nothing is touched. */

let place: Place;
let target: Target;
let untouched: string;

beforeAll(() => {
  place = openPlace("bad-input");
  target = makeTarget(place);
  target.branch("gain");
  untouched = fingerprint(target.dir);
});
afterAll(() => place.close());

const state = (): string => place.path("state");
const run = (file: string, ...more: string[]) => questbus(place, ["run", file, "--state", state(), ...more]);

/** The target is byte for byte as it was, and neither quest nor patch nor anything else was stored. */
function expectNothingDone(): void {
  expect(fingerprint(target.dir)).toBe(untouched);
  expect(existsSync(state()) ? readdirSync(state(), { recursive: true }) : []).toEqual([]);
  expect(place.leftInTmp()).toEqual([]);
}

const quest = (overrides: Record<string, unknown>): string => writeQuest(place, overrides);
const withPatch = (name: PatchName, more: Record<string, unknown> = {}): string =>
  quest({ fixers: [{ patch: target.patch(name) }], ...more });

/** A folder beside the target, made by git or not, with one file in it. */
function folder(name: string, steps: (dir: string) => void): { repo: string } {
  const dir = place.path(name);
  mkdirSync(dir);
  writeFileSync(`${dir}/file.txt`, "x\n");
  steps(dir);
  return { repo: `./${name}` };
}

function committed(dir: string): void {
  runGit(dir, "init", "--quiet");
  runGit(dir, "add", "--all");
  runGit(dir, "commit", "--quiet", "--message", "x");
}

describe("the quest file", () => {
  const yaml = `version: 1
title: Fewer steps
target: { repo: ./target }
measure:
  command: sh bench.sh
  metric: { name: steps, from: metric-line }
goal: { improveBy: 20% }
tests: { command: sh test.sh }
fixers: [{ patch: fixes/gain.patch }]
`;
  const write = (text: string): string => {
    writeFileSync(place.path("quest.yaml"), text);
    return "quest.yaml";
  };

  test.each([
    ["an unknown key", yaml.replace("tests:", "tets:"), "quest.yaml:8:", /tets: unknown key/],
    [
      "an unknown key below another",
      yaml.replace("from: metric-line", "form: metric-line"),
      "quest.yaml:6:26",
      /metric\.form: unknown key/,
    ],
    [
      "a missing key",
      yaml.replace("title: Fewer steps\n", ""),
      "quest.yaml:1:1",
      /title: missing; it is text/,
    ],
    ["a wrong type", yaml.replace("title: Fewer steps", "title: [a, b]"), "quest.yaml:2:8", /title/],
    ["a wrong number", yaml.replace("20%", "a lot"), "quest.yaml:7:20", /percentage/],
    ["no YAML", yaml.replace("{ repo: ./target }", "{ repo: [ }"), "quest.yaml:3:", /./],
    ["another version", yaml.replace("version: 1", "version: 2"), "quest.yaml:1:10", /version 1/],
    [
      "more aliases than a quest needs",
      `a: &a [x]\nb: &b [${"*a,".repeat(60)}]\nc: [${"*b,".repeat(60)}]\n`,
      "quest.yaml:1:1",
      /alias/i,
    ],
    ["an empty file", "", "quest.yaml:1:1", /./],
    ["a list", "- a\n- b\n", "quest.yaml:1:1", /./],
  ])("%s is told with file, line and column", async (_, text, where, message) => {
    const done = await run(write(text), "--json");
    expect(done.exit).toBe(2);
    expectNoTrace(done);
    const faults = faultsOf(done);
    expect(faults.every(({ code, next }) => code === "QUEST_FILE_INVALID" && next)).toBe(true);
    const fault = faults.find((each) => message.test(each.message) && each.where?.startsWith(where));
    expect(fault, JSON.stringify(faults)).toBeDefined();
    expectNothingDone();
  });

  test("people are told the same in plain words, every fault of it", async () => {
    const done = await run(write(yaml.replace("title:", "titel:")));
    expect(done.exit).toBe(2);
    expect(done.stderr).toMatch(
      /error QUEST_FILE_INVALID at quest\.yaml:2:1: titel: unknown key\n {2}next: did you mean title\? Known keys here: /,
    );
    expectNoTrace(done);
  });

  test.each([
    ["no file", "missing.yaml"],
    ["a folder", "target"],
  ])("%s", async (_, file) => {
    expectClearError(await run(file), "QUEST_FILE_MISSING", 2);
    expectNothingDone();
  });

  test("a branch name that git cannot have", async () => {
    expectClearError(await run(withPatch("gain", { onAccept: { branch: "a..b" } })), "QUEST_FILE_INVALID", 2);
    expectNothingDone();
  });
});

describe("the target", () => {
  test.each<[string, string, () => Record<string, unknown>]>([
    ["no such folder", "TARGET_NOT_A_REPOSITORY", () => ({ repo: "./nowhere" })],
    ["not a repository", "TARGET_NOT_A_REPOSITORY", () => folder("plain", () => {})],
    ["a part of a repository", "TARGET_NOT_A_REPOSITORY", () => ({ repo: "./target/src" })],
    ["a missing ref", "TARGET_REF_MISSING", () => ({ ref: "v9" })],
    ["a ref that is an option", "TARGET_REF_MISSING", () => ({ ref: "--all" })],
    [
      "no commit yet",
      "TARGET_REF_MISSING",
      () => folder("unborn", (dir) => void runGit(dir, "init", "--quiet")),
    ],
    [
      "unclean",
      "TARGET_UNCLEAN",
      () =>
        folder("unclean", (dir) => {
          committed(dir);
          writeFileSync(`${dir}/file.txt`, "y\n");
        }),
    ],
  ])("%s: %s", async (_, code, where) => {
    const file = quest({ fixers: [{ command: "true" }], target: where() });
    const before = fingerprint(place.dir);
    expectClearError(await run(file), code, 2);
    expect(fingerprint(place.dir)).toBe(before);
    expectNothingDone();
  });

  test("a branch that is there already", async () => {
    expectClearError(await run(withPatch("gain", { onAccept: { branch: "main" } })), "BRANCH_EXISTS", 5);
    expectNothingDone();
  });
});

describe("patches", () => {
  test.each<[PatchName, string]>([
    ["does-not-apply", "PATCH_DOES_NOT_APPLY"],
    ["escapes", "PATH_ESCAPES"],
    ["absolute", "PATH_ESCAPES"],
    ["git-folder", "PATH_ESCAPES"],
    ["symlink", "PATH_FORBIDDEN"],
    ["submodule", "PATH_FORBIDDEN"],
    ["forbidden", "PATH_FORBIDDEN"],
    ["empty", "PATCH_EMPTY"],
    ["not-a-patch", "PATCH_INVALID"],
  ])("%s: %s", async (name, code) => {
    const file = withPatch(name);
    const before = fingerprint(place.dir);
    expectClearError(await run(file), code, 2);
    expect(fingerprint(place.dir)).toBe(before);
    expectNothingDone();
  });

  test("a missing patch", async () => {
    expectClearError(await run(quest({ fixers: [{ patch: "fixes/none.patch" }] })), "PATCH_MISSING", 2);
    expectNothingDone();
  });

  test("every fault of a quest is told at once", async () => {
    const fixers = (["empty", "symlink", "gain"] as const).map((name) => ({ patch: target.patch(name) }));
    const done = await run(quest({ fixers, target: { ref: "v9" } }), "--json");
    expect(done.exit).toBe(2);
    expect(
      faultsOf(done)
        .map(({ code }) => code)
        .sort(),
    ).toEqual(["PATCH_EMPTY", "PATH_FORBIDDEN", "TARGET_REF_MISSING"]);
    expectNothingDone();
  });
});

describe("usage", () => {
  test.each<[string, string[], RegExp]>([
    ["no command", [], /a command is missing\n {2}next: see questbus help\n$/],
    ["no command of a group", ["verdict"], /a command is missing\n {2}next: see questbus help verdict\n$/],
    ["an unknown command", ["fly"], /: unknown command 'fly'\n {2}next: see questbus help\n$/],
    [
      "a command that is misspelt",
      ["stats"],
      /'stats'\n {2}next: did you mean status\? Else see questbus help\n$/,
    ],
    ["an unknown option", ["list", "--fast"], /unknown option '--fast'\n {2}next: see questbus help list\n$/],
    ["an option that is misspelt", ["list", "--sate", "x"], /'--sate'\n {2}next: did you mean --state\?/],
    ["no file", ["run"], /missing required argument 'file'\n {2}next: see questbus help run/],
    [
      "an id that is none",
      ["status", "seven"],
      /: 'seven' cannot be the argument 'quest': a quest id looks like q-7k3m9x2p\n/,
    ],
    [
      "data that is no JSON",
      ["ask", "x", "--role", "qa", "--data", "{bad"],
      /: '\{bad' cannot be the value of '--data <json>': write JSON\n {2}next: see questbus help ask\n/,
    ],
    [
      "a question without words",
      ["ask", " ", "--role", "qa"],
      /: ask takes a question, .*\n {2}next: write questbus ask TEXT, /,
    ],
    [
      "a command of a group, its argument missing",
      ["backup", "verify"],
      /missing required argument 'backup'\n {2}next: see questbus help backup verify\n$/,
    ],
    [
      "a command that none has and help is asked of",
      ["help", "backup", "fly"],
      /unknown command 'backup fly'\n {2}next: see questbus help backup\n$/,
    ],
    ["no decision", ["rule", "e-aaaaaaaa", "--reason", "x"], /'--decision <decision>' not specified/],
    [
      "an unknown decision",
      ["rule", "e-aaaaaaaa", "--decision", "maybe", "--reason", "x"],
      /'maybe' cannot be the value of '--decision <decision>': write one of accept, /,
    ],
    [
      "guidance for nobody",
      ["rule", "e-aaaaaaaa", "--decision", "revert", "--reason", "x", "--guidance", "y"],
      /--guidance goes with --decision retry/,
    ],
  ])("%s: USAGE, exit 2", async (_, args, says) => {
    const done = await questbus(place, args);
    expectClearError(done, "USAGE", 2);
    expect(done.stderr).toMatch(says);
    expect(done.stdout).toBe("");
    const told = await questbus(place, [...args, "--json"]);
    expect([told.exit, faultsOf(told).map(({ code }) => code)]).toEqual([2, ["USAGE"]]);
    expectNothingDone();
  });

  test("help of a command of a group is that of the command", async () => {
    const [backup, verdict] = await Promise.all([
      questbus(place, ["help", "backup", "verify"]),
      questbus(place, ["help", "verdict", "explain"]),
    ]);
    expect([backup.exit, verdict.exit]).toEqual([0, 0]);
    expect(backup.stdout).toContain("Usage: questbus backup verify ");
    expect(verdict.stdout).toContain("Usage: questbus verdict explain ");
  });

  test("--help and --version: exit 0, on stdout", async () => {
    const [help, version] = await Promise.all([questbus(place, ["--help"]), questbus(place, ["--version"])]);
    expect([help.exit, version.exit]).toEqual([0, 0]);
    expect(help.stdout).toContain("questbus run");
    expect(help.stderr + version.stderr).toBe("");
  });
});

describe("no stack, no state, no bus", () => {
  test.each([
    ["status", []],
    ["list", []],
    ["escalations", []],
    ["agents", []],
    ["audit", []],
    ["audit", ["verify"]],
    ["watch", []],
  ])(
    "%s %j without a state directory: STATE_MISSING or NOT_RUNNING, and none is made",
    async (command, more) => {
      const done = await questbus(place, [command, ...more, "--state", state()]);
      const watch = command === "watch";
      expectClearError(done, watch ? "NOT_RUNNING" : "STATE_MISSING", watch ? 4 : 3);
      expectNothingDone();
    },
  );

  test("submit without a stack: NOT_RUNNING, exit 4", async () => {
    const file = withPatch("gain");
    expectClearError(await questbus(place, ["submit", file, "--state", state()]), "NOT_RUNNING", 4);
    expectNothingDone();
  });

  test("a record of a stack that was killed, with the number that this process got: NOT_RUNNING", () => {
    const program = resolve(import.meta.dirname, "../../packages/cli/bin/questbus.cjs");
    const file = withPatch("gain");
    const dir = place.path("killed");
    mkdirSync(dir);
    const record = `{"id":"old","url":"nats://127.0.0.1:9","space":"local","pid":%d,"start":"1","since":"2025-01-01T00:00:00.000Z"}`;
    const line = `printf '${record}' $$ > ${dir}/stack.json; exec "${process.execPath}" ${program} submit ${file} --state ${dir}`;
    const done = spawnSync("/bin/sh", ["-c", line], { env: place.env, encoding: "utf8" });
    expect(done.stderr).toContain("error NOT_RUNNING");
    expect(done.status).toBe(4);
  });

  test("NATS_URL to a broker that is not there: BUS_UNAVAILABLE, exit 4", async () => {
    const env = { NATS_URL: "nats://127.0.0.1:9" };
    const args = ["run", withPatch("gain"), "--state", place.path("no-bus")];
    const done = await questbus(place, args, { env });
    expectClearError(done, "BUS_UNAVAILABLE", 4);
    expect(done.stderr).toMatch(/: the broker that NATS_URL names cannot be reached: \S/);
    expect(fingerprint(target.dir)).toBe(untouched);
  });
});

describe("the state directory", () => {
  const older = (): string => place.path("other-state");
  const cli = (...args: string[]) => questbus(place, [...args, "--state", older()]);

  beforeAll(async () => {
    const file = withPatch("no-effect", { budget: { passes: 1 } });
    const done = await cli("run", file);
    expect(done.exit, done.stderr).toBe(7);
  });

  test("the audit counts in words: one verdict is one verdict", async () => {
    expect((await cli("audit", "verify")).stdout).toMatch(/ rows, 1 verdict and the state recomputed/);
  });

  test("unknown ids: exit 3", async () => {
    const none = await cli("status", "q-aaaaaaaa");
    expectClearError(none, "QUEST_NOT_FOUND", 3);
    expect(none.stderr).toContain(`next: list them: questbus list --state ${older()}\n`);
    expectClearError(await cli("audit", "q-aaaaaaaa"), "QUEST_NOT_FOUND", 3);
    expectClearError(
      await cli("rule", "e-aaaaaaaa", "--decision", "revert", "--reason", "x"),
      "ESCALATION_NOT_FOUND",
      3,
    );
    expectClearError(await cli("cancel", "q-aaaaaaaa"), "QUEST_NOT_FOUND", 3);
  });

  test("written by a newer version: STATE_NEWER for every command, and it stays as it is", async () => {
    tamper(older(), "PRAGMA user_version = 999");
    const before = fingerprint(`${older()}/artifacts`);
    for (const args of [["list"], ["status"], ["audit", "verify"], ["run", withPatch("gain")], ["up"]]) {
      expectClearError(await cli(...args), "STATE_NEWER", 1);
    }
    expect(fingerprint(target.dir)).toBe(untouched);
    expect(fingerprint(`${older()}/artifacts`)).toBe(before);
  });

  test("one that cannot be made: STATE_UNUSABLE at once, for every command that would make it", async () => {
    writeFileSync(place.path("a-file"), "");
    const paths = ["a-file", "a-file/below", ...(process.platform === "linux" ? ["/proc/nope"] : [])];
    for (const path of paths) {
      for (const args of [["run", withPatch("gain")], ["up"]]) {
        expectClearError(await questbus(place, [...args, "--state", path]), "STATE_UNUSABLE", 2);
      }
    }
    for (const args of [["list"], ["watch"]])
      expectClearError(await questbus(place, [...args, "--state", "a-file"]), "STATE_UNUSABLE", 2);
    expect(fingerprint(target.dir)).toBe(untouched);
  });

  test("no database of ours: STATE_BROKEN", async () => {
    mkdirSync(place.path("broken"));
    writeFileSync(place.path("broken/questbus.db"), "this is a letter, and no database at all".repeat(200));
    for (const args of [["list"], ["run", withPatch("gain")]]) {
      expectClearError(await questbus(place, [...args, "--state", "broken"]), "STATE_BROKEN", 1);
    }
    expect(fingerprint(target.dir)).toBe(untouched);
  });
});
