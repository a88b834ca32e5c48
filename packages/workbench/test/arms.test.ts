import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type ArmName,
  type ArmsOptions,
  carriedBy,
  closeArms,
  openArms,
  prepareTree,
  runArm,
} from "../src/arms.ts";
import { commitCandidate } from "../src/candidate.ts";
import { runCommand } from "../src/command.ts";
import { checkout } from "../src/tree.ts";
import { openWorkspace, type Workspace } from "../src/workspace.ts";
import { makeTarget, refused, run, tempDir, write } from "./fixture.ts";

type Made = { ws: Workspace; options: ArmsOptions };

async function make(prepare: string | null = null): Promise<Made> {
  const target = makeTarget();
  const ws = await openWorkspace({
    dir: join(tempDir(), "quest"),
    targetRoot: target,
    commit: run(target, "rev-parse", "HEAD"),
  });
  const path = await checkout(ws, "work", ws.commit);
  write(path, { "src/main.js": "candidate\n" });
  const made = await commitCandidate(ws, path, ws.commit, "candidate");
  return { ws, options: { base: ws.commit, candidate: made?.commit, origin: ws.commit, prepare } };
}

const see = async (cwd: string, command: string): Promise<string> =>
  (await runCommand({ command, cwd, timeoutMs: 20_000 })).stdout.trim();

describe("arms", () => {
  it("A1: are prepared once and run at one path, and keep what is their own", async () => {
    const { ws, options } = await make("pwd >> prepared.log");
    const arms = await openArms(ws, options);
    const names: ArmName[] = ["base", "candidate", "base", "origin", "candidate"];
    const command = "pwd; head -n 1 src/main.js; cat prepared.log; git status --porcelain";
    for (const name of names) {
      const line = name === "candidate" ? "candidate" : "export const one = 1;";
      expect(await runArm(arms, name, (cwd) => see(cwd, command))).toBe(
        [arms.current, line, arms.current].join("\n"),
      );
    }
    expect(readdirSync(arms.dir).sort()).toEqual(["base", "candidate", "origin"]);
    await closeArms(arms);
    expect(existsSync(arms.dir)).toBe(false);
  });

  it("A1: are parked again when the work fails", async () => {
    const { ws, options } = await make();
    const arms = await openArms(ws, { base: options.base, prepare: null });
    await expect(runArm(arms, "base", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(readdirSync(arms.dir)).toEqual(["base"]);
    await expect(runArm(arms, "candidate", async () => 1)).rejects.toThrow(/ENOENT/);
    expect(await runArm(arms, "base", async () => 1)).toBe(1);
  });

  it("A2: run one at a time", async () => {
    const { ws, options } = await make();
    const arms = await openArms(ws, options);
    await runArm(arms, "base", async () => {
      await expect(runArm(arms, "candidate", async () => 1)).rejects.toThrow("another arm is running");
    });
  });

  it("A3: are built afresh over what a crash left", async () => {
    const { ws, options } = await make();
    write(ws.dir, {
      "arms/current/src/main.js": "left over",
      "arms/base/src/main.js": "left over",
      "arms/origin": "a file",
    });
    const arms = await openArms(ws, options);
    expect(await runArm(arms, "base", (cwd) => see(cwd, "git status --porcelain; ls"))).toBe(
      "README.md\nsrc\ntest",
    );
    expect(readdirSync(arms.dir).sort()).toEqual(["base", "candidate", "origin"]);
  });
});

describe("A5: a run leaves nothing to the next", () => {
  const open = async (prepare: string | null = null) => {
    const { ws, options } = await make(prepare);
    const arms = await openArms(ws, { base: options.base, candidate: options.candidate, prepare });
    const inArm = (name: ArmName, command: string): Promise<string> =>
      runArm(arms, name, async (cwd, env) => {
        const run = await runCommand({ command, cwd, env, timeoutMs: 20_000 });
        return `${run.stdout}${run.stderr}`.trim();
      });
    return { arms, inArm };
  };

  it("in HOME and TMPDIR, which are empty, and at one path for all arms", async () => {
    const { arms, inArm } = await open();
    const command =
      'echo "$HOME $TMPDIR $TMP $TEMP"; ls -A "$HOME" "$TMPDIR"; touch "$HOME/.x" "$TMPDIR/y"; env';
    const [first, second] = [await inArm("base", command), await inArm("candidate", command)];
    expect(first.replaceAll(/QUESTBUS_RUN=.*/g, "")).toBe(second.replaceAll(/QUESTBUS_RUN=.*/g, ""));
    const [home = "", temporary = ""] = first.split(/\s/);
    expect(home).not.toBe(process.env.HOME);
    expect(first.split("\n").slice(1, 5)).toEqual([
      `${home}:`,
      "",
      `${temporary}:`,
      expect.stringMatching("="),
    ]);
    expect(first).not.toMatch(/^XDG_/m);
    expect([existsSync(home), existsSync(temporary)]).toEqual([false, false]);
    expect(carriedBy(arms, "candidate")).toEqual([]);
  });

  it("in the tree: what it adds, changes, moves, closes and removes is as it was", async () => {
    const { arms, inArm } = await open(
      "mkdir -p node_modules/dep; echo made > node_modules/dep/a.js; echo x >> README.md",
    );
    const list =
      "find . -path ./.git -prune -o -printf '%p %m %y\\n' | sort; cat README.md src/*.js test/* node_modules/dep/a.js";
    const before = await inArm("base", list);
    const edits = [
      "echo x > new.txt; mkdir -p a/b && echo x > a/b/c; ln -s / link; printf x > \"$(printf 'bad\\377')\"",
      "echo more >> src/main.js; rm src/other.js; chmod +x test/main.test.js",
      "rm -r src; ln -s /tmp src",
      "rm test/main.test.js; mkdir test/main.test.js; chmod 0 test",
      "mkdir -p deep/er && chmod 0 deep; touch -d 2001-01-01 src/main.js",
      "cp -p src/main.js /tmp/.$$; echo y > src/main.js; touch -r /tmp/.$$ src/main.js; rm /tmp/.$$; mkfifo pipe",
      "git status; git add -A; echo x > .git/mine",
    ];
    for (const edit of edits) {
      await inArm("base", edit);
      expect(await inArm("base", list), edit).toBe(before);
    }
    expect(before).toContain("node_modules/dep/a.js");
    expect(await inArm("base", "ls .git/mine")).toContain("No such file");
    expect(carriedBy(arms, "candidate")).toEqual([]);
  });

  it("but prepared files that are changed are told, where the other arm's runs do not do so", async () => {
    const prepare =
      "mkdir -p node_modules/.cache node_modules/dep; echo 0 > node_modules/.cache/one; echo x > node_modules/dep/a; echo x >> README.md";
    const { arms, inArm } = await open(prepare);
    await inArm("base", "echo b >> node_modules/.cache/one");
    await inArm("candidate", "echo c >> node_modules/.cache/one");
    expect(carriedBy(arms, "candidate")).toEqual([]);
    expect(await inArm("candidate", "cat node_modules/.cache/one")).toBe("0\nc");
    await inArm("candidate", "rm node_modules/dep/a; echo x > node_modules/dep/new; echo y > README.md");
    expect(carriedBy(arms, "candidate")).toEqual(["README.md", "node_modules/dep/a"]);
    expect(carriedBy(arms, "base")).toEqual([]);
    expect(await inArm("candidate", "ls node_modules/dep")).toBe("");
  });
});

describe("prepareTree", () => {
  it("refuses a preparation that fails or hangs", async () => {
    const { ws, options } = await make("echo cannot resolve; exit 4");
    expect((await refused("PREPARE_FAILED", () => openArms(ws, options))).message).toMatch(
      /exit code 4:\ncannot resolve/,
    );
    const hangs = () => prepareTree(tempDir(), "sleep 600", { timeoutMs: 100 });
    expect((await refused("PREPARE_FAILED", hangs)).message).toContain("0.1 s");
    await prepareTree(tempDir(), "true");
  });
});
