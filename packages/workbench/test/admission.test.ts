import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { commandData, type QuestDocument, questDocument } from "@questbus/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { admit } from "../src/admission.ts";
import { type Artifacts, openArtifacts } from "../src/artifact.ts";
import {
  commitAll,
  faultsOf,
  hashDir,
  makeTarget,
  patchOf,
  plantHooks,
  run,
  sourceFiles,
  tempDir,
  write,
} from "./fixture.ts";

const scratch = (): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith("questbus-admission-"));
let before: string[] = [];
beforeEach(() => {
  before = scratch();
});
afterEach(() => {
  expect(scratch()).toEqual(before);
});

type Place = { target: string; questDir: string; stateDir: string; artifacts: Artifacts };

/** A target, and next to it the folder of a quest. */
function place(target = makeTarget()): Place {
  const questDir = join(dirname(target), "quest");
  const stateDir = join(tempDir(), "artifacts");
  mkdirSync(questDir);
  return { target, questDir, stateDir, artifacts: openArtifacts(stateDir) };
}

const quest = (more: Record<string, unknown> = {}, patches: string[] = []): QuestDocument =>
  questDocument.parse({
    version: 1,
    title: "Faster",
    intent: "improve",
    target: { repo: "../target" },
    measure: { command: "node bench.mjs", metric: { name: "m", from: "wall-time" } },
    tests: { command: "npm test" },
    ...(more.intent === "validate"
      ? {}
      : { fixers: [...patches.map((patch) => ({ patch })), { command: "./improve.sh" }] }),
    ...more,
  });
const change = (two: string) => ({ "src/main.js": sourceFiles["src/main.js"].replace("two = 2", two) });

describe("admit", () => {
  it("answers with the command that submits the quest, and stores its patches", async () => {
    const { target, questDir, artifacts } = place();
    plantHooks(target);
    const patch = patchOf(target, change("two = 22"));
    write(questDir, { "fixes/one.patch": patch });
    const state = hashDir(target);
    const document = quest({}, ["fixes/one.patch"]);
    const found = await admit(document, questDir, artifacts.put);
    expect(commandData.submit.parse(found)).toEqual(found);
    expect(found).toMatchObject({
      document: { ...document, target: { repo: target, ref: "HEAD" } },
      questDir,
      base: { commit: run(target, "rev-parse", "HEAD"), tree: run(target, "rev-parse", "HEAD^{tree}") },
      resolved: [{ name: "fixes/one.patch" }],
    });
    const [fixer] = found.resolved;
    expect((await artifacts.get(fixer && "sha256" in fixer ? fixer.sha256 : "")).toString()).toBe(patch);
    expect((await admit(document, questDir, artifacts.put)).digest).toBe(found.digest);
    write(questDir, { "fixes/one.patch": patch.replace("22", "23") });
    expect((await admit(document, questDir, artifacts.put)).digest).not.toBe(found.digest);
    expect(hashDir(target)).toBe(state);
  });

  it("takes a patch that builds on the base alone, or on the base with all earlier ones", async () => {
    const { target, questDir, artifacts } = place();
    const first = patchOf(target, change("two = 22"));
    write(questDir, {
      "1.patch": first,
      "2.patch": first.replaceAll("two = 22", "two = 33"),
      "3.patch": first
        .replaceAll("-export const two = 2;", "-export const two = 22;")
        .replace("+export const two = 22;", "+export const two = 44;"),
    });
    expect(
      (await admit(quest({}, ["1.patch", "2.patch", "3.patch"]), questDir, artifacts.put)).resolved,
    ).toHaveLength(3);
    expect(await faultsOf(() => admit(quest({}, ["3.patch"]), questDir, artifacts.put))).toMatchObject([
      { code: "PATCH_DOES_NOT_APPLY" },
    ]);
  });

  it("tells every fault of every fixer at once, and stores nothing", async () => {
    const { target, questDir, stateDir, artifacts } = place();
    symlinkSync("src", join(target, "link"));
    commitAll(target, "link");
    const plainLink =
      "--- a/link\n+++ b/link\n@@ -1 +1 @@\n-src\n\\ No newline at end of file\n+/etc\n\\ No newline at end of file\n";
    write(questDir, {
      "good.patch": patchOf(target, change("two = 22")),
      "empty.patch": "",
      "prose.patch": "faster please\n",
      "escapes.patch": patchOf(target, { "x.js": "x\n" }).replaceAll("x.js", "../x.js"),
      "forbidden.patch": patchOf(target, {
        "test/main.test.js": "x\n",
        "bench.mjs": "x\n",
        "src/main.js": "x\n",
      }),
      "stale.patch": patchOf(target, change("two = 22")).replaceAll("three", "drei"),
      "link.patch": plainLink,
      "large.patch": "x".repeat(1_048_577),
    });
    const names = ["good", "absent", "empty", "prose", "escapes", "forbidden", "stale", "link", "large"].map(
      (name) => `${name}.patch`,
    );
    const document = quest(
      {
        authorities: { performance: { write: ["**"], never: ["test/**", "bench.mjs"] } },
        onAccept: { branch: "a..b", changelog: "../x.md" },
      },
      names,
    );
    const faults = await faultsOf(() => admit(document, questDir, artifacts.put));
    expect(faults.map((each) => [each.code, each.where])).toEqual([
      ["PATCH_MISSING", "fixers[1].patch"],
      ["PATCH_EMPTY", "empty.patch:1"],
      ["PATCH_INVALID", "prose.patch:1"],
      ["PATH_ESCAPES", "escapes.patch:1"],
      ["PATCH_INVALID", "fixers[8].patch"],
      ["QUEST_FILE_INVALID", "onAccept.branch"],
      ["PATH_ESCAPES", "onAccept.changelog"],
      ["PATH_FORBIDDEN", "fixers[5].patch"],
      ["PATCH_DOES_NOT_APPLY", "stale.patch:1"],
      ["PATH_FORBIDDEN", "fixers[7].patch"],
    ]);
    expect(faults.find((each) => each.where === "fixers[5].patch")?.message).toMatch(
      /bench\.mjs, test\/main\.test\.js$/,
    );
    expect(faults.every((each) => each.next)).toBe(true);
    expect(existsSync(stateDir)).toBe(false);
  });

  it("tells a bad target together with bad patches", async () => {
    const { questDir, artifacts } = place();
    const document = quest({ target: { repo: "../absent" } }, ["none.patch"]);
    expect((await faultsOf(() => admit(document, questDir, artifacts.put))).map((each) => each.code)).toEqual(
      ["TARGET_NOT_A_REPOSITORY", "PATCH_MISSING"],
    );
  });

  it("refuses a branch that is there already, or cannot be beside what is there", async () => {
    const { target, questDir, artifacts } = place();
    for (const each of ["questbus", "taken", "deep/er"]) run(target, "branch", each);
    const to = (branch: string) => () => admit(quest({ onAccept: { branch } }), questDir, artifacts.put);
    for (const branch of ["questbus/{quest}", "taken", "deep"]) {
      expect(await faultsOf(to(branch))).toMatchObject([{ code: "BRANCH_EXISTS", where: "onAccept.branch" }]);
    }
    await to("deeper/{quest}")();
    await to("tak")();
  });

  it("resolves the candidate of intent validate: a patch file, else a ref", async () => {
    const { target, questDir, artifacts } = place();
    run(target, "checkout", "--quiet", "-b", "side");
    write(target, change("two = 22"));
    const side = commitAll(target, "side");
    run(target, "checkout", "--quiet", "main");
    write(questDir, { "a.patch": patchOf(target, change("two = 33")) });
    const judge = (candidate: string, more: Record<string, unknown> = {}) =>
      admit(
        quest({ intent: "validate", target: { repo: "../target", candidate }, ...more }),
        questDir,
        artifacts.put,
      );
    expect((await judge("side")).resolved).toEqual([{ name: "side", commit: side }]);
    expect((await judge("a.patch")).resolved).toEqual([{ name: "a.patch", sha256: expect.any(String) }]);
    const where = "target.candidate";
    expect(await faultsOf(() => judge("absent"))).toMatchObject([{ code: "TARGET_REF_MISSING", where }]);
    expect(await faultsOf(() => judge("main"))).toMatchObject([{ code: "PATCH_EMPTY", where }]);
    const narrow = { authorities: { performance: { write: ["lib/**"] } } };
    expect(await faultsOf(() => judge("side", narrow))).toMatchObject([{ code: "PATH_FORBIDDEN", where }]);
    run(target, "checkout", "--quiet", "side");
    symlinkSync("/etc", join(target, "etc"));
    commitAll(target, "link");
    run(target, "checkout", "--quiet", "main");
    expect(await faultsOf(() => judge("side"))).toMatchObject([
      { code: "PATH_FORBIDDEN", where, message: "etc is a symbolic link" },
    ]);
  });
});
