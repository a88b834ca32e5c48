import { appendFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { git, must } from "./process.ts";

/**
 * A repository outside this one, made from two published versions of the npm package semver: 7.1.3 as the base, and
 * 7.6.3, which parses versions and ranges with less work, as the candidate. Tests and benchmark are ours.
 */
export type PublishedTarget = { dir: string; repo: string; quest(name: string, candidate: string): string };

const versions = { base: "7.1.3", candidate: "7.6.3" } as const;

const bench = `
const semver = require(".");
const versions = [];
for (let minor = 0; minor < 60; minor++) {
  for (let patch = 0; patch < 8; patch++) versions.push(\`\${minor % 5}.\${minor}.\${patch}\${patch % 4 === 3 ? "-beta." + patch : ""}\`);
}
const ranges = ["^1.2.3", ">=1.0.0 <2.0.0", "~3.4", "1.x || >=2.5.0 || 5.0.0 - 7.2.3", "*", "^0.0.3", ">2.1"];
let best = Infinity;
for (let round = 0; round < 6; round++) {
  const since = process.hrtime.bigint();
  let matched = 0;
  for (const range of ranges) for (const version of versions) if (semver.satisfies(version, range)) matched++;
  best = Math.min(best, Number(process.hrtime.bigint() - since) / 1e6);
  if (matched !== 996) throw new Error(\`matched \${matched}\`);
}
console.log(\`METRIC match_ms=\${best}\`);
`;

const tests = `
const test = require("node:test");
const assert = require("node:assert/strict");
const semver = require("..");
test("orders versions", () => {
  assert.equal(semver.compare("1.2.3", "1.2.4"), -1);
  assert.equal(semver.compare("1.0.0", "1.0.0-rc.1"), 1);
  assert.deepEqual(semver.sort(["2.0.0", "1.0.0", "1.5.0"]), ["1.0.0", "1.5.0", "2.0.0"]);
});
test("matches ranges", () => {
  assert.ok(semver.satisfies("1.2.9", "^1.2.3"));
  assert.ok(!semver.satisfies("2.0.0", "^1.2.3"));
  assert.ok(semver.satisfies("5.1.0", "1.x || >=2.5.0 || 5.0.0 - 7.2.3"));
  assert.ok(!semver.satisfies("1.3.0-beta.1", "^1.2.3"));
});
test("increments", () => assert.equal(semver.inc("1.2.3", "minor"), "1.3.0"));
test("finds the best match", () => assert.equal(semver.maxSatisfying(["1.2.3", "1.9.0", "2.0.0"], "^1.0.0"), "1.9.0"));
`;

async function unpack(version: string, into: string, scratch: string): Promise<void> {
  mkdirSync(scratch, { recursive: true });
  const packed = await must("npm", ["pack", "--silent", `semver@${version}`], { cwd: scratch });
  const archive = packed.stdout.trim().split("\n").at(-1) as string;
  await must("tar", ["xzf", archive], { cwd: scratch });
  for (const name of readdirSync(into)) if (name !== ".git") rmSync(join(into, name), { recursive: true });
  cpSync(join(scratch, "package"), into, { recursive: true });
  rmSync(scratch, { recursive: true });
  mkdirSync(join(into, "test"));
  writeFileSync(join(into, "test/semver.test.js"), tests);
  writeFileSync(join(into, "bench.js"), bench);
}

export async function makePublishedTarget(dir: string): Promise<PublishedTarget> {
  const repo = join(dir, "semver");
  mkdirSync(repo, { recursive: true });
  await git(repo, "init", "--quiet", "--initial-branch=main");
  await unpack(versions.base, repo, join(dir, "pack"));
  await git(repo, "add", "--all");
  await git(repo, "commit", "--quiet", "-m", `semver ${versions.base}`);
  await git(repo, "checkout", "--quiet", "-b", "candidate");
  await unpack(versions.candidate, repo, join(dir, "pack"));
  await git(repo, "add", "--all");
  await git(repo, "commit", "--quiet", "-m", `semver ${versions.candidate}`);
  const diff = (await must("git", ["diff", "--binary", "main", "candidate"], { cwd: repo })).stdout;
  writeFileSync(join(dir, "gain.patch"), diff);
  await git(repo, "checkout", "--quiet", "main");
  await git(repo, "branch", "--quiet", "identical", "main");
  await git(repo, "checkout", "--quiet", "-b", "no-op");
  appendFileSync(join(repo, "classes/range.js"), "// the same program, with one more comment\n");
  await git(repo, "commit", "--quiet", "--all", "-m", "a comment");
  await git(repo, "checkout", "--quiet", "main");
  return { dir, repo, quest: (name, candidate) => writeQuest(dir, name, candidate) };
}

/** A quest file; `candidate` is the YAML of its fixers, or of the change to validate. */
function writeQuest(dir: string, name: string, candidate: string): string {
  const file = join(dir, `${name}.yaml`);
  const validate = candidate.startsWith("candidate:");
  const lines = [
    "version: 1",
    "title: Match versions 20 % faster",
    `intent: ${validate ? "validate" : "optimize"}`,
    "target:",
    "  repo: ./semver",
    ...(validate ? [`  ${candidate}`] : []),
    "measure:",
    "  command: node bench.js",
    "  metric: { name: match_ms, from: metric-line, unit: ms }",
    "goal: { improveBy: 20% }",
    "tests: { command: node --test }",
    "guards:",
    "  - { name: max_rss, from: max-rss, worseBy: 10% }",
    ...(validate ? [] : ["fixers:", `  - ${candidate}`]),
    "budget: { passes: 3, pairs: 90, wallClock: 10m }",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  return file;
}
