import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commitCandidate } from "../src/candidate.ts";
import { sweepRunHomes, withRunHome } from "../src/run-home.ts";
import { checkout, restore } from "../src/tree.ts";
import { openWorkspace, treeOf } from "../src/workspace.ts";
import { hashDir, makeTarget, run, sourceFiles, tempDir, until, write } from "./fixture.ts";

/** Whether a tree, laid out or being laid out, has the file. */
const inTree = (dir: string, file: string): boolean =>
  existsSync(join(dir, "trees")) &&
  readdirSync(join(dir, "trees")).some((name) => existsSync(join(dir, "trees", name, file)));

/** Real kills, each when a file of one step shows: wherever they hit, the next opening must find its way. */
const killPoints: [string, (dir: string) => boolean][] = [
  [
    "the private repository is being built",
    (dir) => readdirSync(dir).some((name) => name.startsWith("repo.git.")),
  ],
  ["the private repository stands", (dir) => existsSync(join(dir, "repo.git"))],
  ["a tree is being made", (dir) => inTree(dir, ".git")],
  ["a tree is a repository", (dir) => inTree(dir, ".git/objects/info/alternates")],
  ["files are being checked out", (dir) => inTree(dir, "many/0.txt")],
  ["a tree is laid out", (dir) => existsSync(join(dir, "trees/work"))],
  ["a candidate is kept", (dir) => existsSync(join(dir, "repo.git/refs/questbus"))],
];

const source = (file: string): string => JSON.stringify(join(import.meta.dirname, "../src", file));
const program = (of: { dir: string; targetRoot: string; commit: string }): string => `
  import { openWorkspace } from ${source("workspace.ts")};
  import { checkout, restore } from ${source("tree.ts")};
  import { commitCandidate } from ${source("candidate.ts")};
  import { writeFileSync } from "node:fs";
  for (;;) {
    const ws = await openWorkspace(${JSON.stringify(of)});
    const path = await checkout(ws, "work", ws.commit);
    writeFileSync(path + "/src/main.js", "changed\\n");
    await commitCandidate(ws, path, ws.commit, "candidate");
    await restore(ws, "work", ws.commit);
  }`;

it("a run that was killed leaves no HOME behind once the next stack starts, and a running one keeps its own", async () => {
  const tmp = tempDir();
  const [killed, alive] = [join(tmp, "questbus-run-killed"), join(tmp, "questbus-run-alive")];
  const script = join(tempDir(), "hold.ts");
  write(join(script, ".."), {
    "hold.ts": `
      import { withRunHome } from ${source("run-home.ts")};
      await withRunHome(${JSON.stringify(killed)}, () => new Promise(() => setInterval(() => {}, 1_000)));`,
  });
  const child = spawn(process.execPath, [script], { stdio: "ignore" });
  const gone = new Promise((done) => child.once("exit", done));
  await until(() => existsSync(join(killed, "owner")) && readFileSync(join(killed, "owner")).length > 0);
  await sweepRunHomes(tmp);
  expect(readdirSync(tmp)).toEqual(["questbus-run-killed"]);
  child.kill("SIGKILL");
  await gone;
  write(tmp, { "questbus-load-unknown/load.json": "{}", "questbus-other/owner": "1 1" });
  await withRunHome(alive, () => sweepRunHomes(tmp));
  await withRunHome(alive, async () => {
    expect(readdirSync(tmp).sort()).toEqual([
      "questbus-load-unknown",
      "questbus-other",
      "questbus-run-alive",
    ]);
    await sweepRunHomes(tmp);
    expect(existsSync(alive)).toBe(true);
  });
});

it("what a process of another container left is not touched, and a temporary directory that cannot be read holds nothing up", async () => {
  const tmp = tempDir();
  const path = join(tmp, "questbus-run-theirs");
  let owner = "";
  await withRunHome(path, async () => {
    owner = readFileSync(join(path, "owner"), "utf8");
  });
  const [, start, ...space] = owner.split(" ");
  // no process of this machine has this id
  const ofGone = (...of: string[]): string => ["99999999", start, ...of].join(" ");
  const ours = ["run", "load", "brief", "admission"].map((name) => [
    `questbus-${name}-ours/owner`,
    ofGone(...space),
  ]);
  write(tmp, { "questbus-run-theirs/owner": ofGone("pid:[1]"), ...Object.fromEntries(ours) });
  await sweepRunHomes(tmp);
  expect(readdirSync(tmp)).toEqual(["questbus-run-theirs"]);
  await sweepRunHomes(join(tmp, "not-there"));
});

it.each(killPoints)("a workspace survives a kill -9 when %s", async (_, point) => {
  const many = Object.fromEntries(Array.from({ length: 200 }, (__, at) => [`many/${at}.txt`, `${at}\n`]));
  const target = makeTarget({ ...sourceFiles, ...many });
  const commit = run(target, "rev-parse", "HEAD");
  const before = hashDir(target);
  const dir = tempDir();
  const script = join(tempDir(), "loop.ts");
  write(join(script, ".."), { "loop.ts": program({ dir, targetRoot: target, commit }) });
  const child = spawn(process.execPath, [script], { stdio: "ignore" });
  const gone = new Promise((done) => child.once("exit", done));
  await until(() => point(dir));
  child.kill("SIGKILL");
  await gone;
  const ws = await openWorkspace({ dir, targetRoot: target, commit });
  const path = await checkout(ws, "work", commit);
  write(path, { "src/main.js": "changed\n" });
  const made = await commitCandidate(ws, path, commit, "candidate");
  expect(made?.files).toEqual(["src/main.js"]);
  expect(await restore(ws, "work", commit)).toBe(await treeOf(ws, commit));
  expect(await restore(ws, "work", made?.commit ?? "")).toBe(made?.tree);
  expect(readdirSync(dir).sort()).toEqual(["repo.git", "trees"]);
  expect(readdirSync(join(dir, "trees"))).toEqual(["work"]);
  expect(hashDir(target)).toBe(before);
});
