import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type ArmName, type ArmsOptions, closeArms, openArms, prepareTree, runArm } from "../src/arms.ts";
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
