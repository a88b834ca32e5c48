import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { ChangelogEntry } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { commitCandidate } from "../src/candidate.ts";
import { insertEntry } from "../src/changelog.ts";
import { type IntegrationOrder, integrate } from "../src/integration.ts";
import { checkout } from "../src/tree.ts";
import { openWorkspace, type Workspace } from "../src/workspace.ts";
import {
  commitAll,
  hashDir,
  makeTarget,
  plantHooks,
  refused,
  run,
  sourceFiles,
  tempDir,
  write,
} from "./fixture.ts";

const atMs = Date.UTC(2026, 1, 3, 12);
const entry: ChangelogEntry = {
  path: "CHANGELOG.md",
  description: "Word search is faster — «très» vite",
  impact: "p95 down by 24 %\n(90 pairs)",
  rollback: "git revert the commit",
  author: "performance/perf-1",
};
const text = `- Word search is faster — «très» vite (version: Unreleased, date: 2026-02-03, author: performance/perf-1)
  - Impact: p95 down by 24 % (90 pairs)
  - Rollback: git revert the commit`;

type Made = { target: string; ws: Workspace; order: IntegrationOrder };

async function make(target = makeTarget()): Promise<Made> {
  const ws = await openWorkspace({
    dir: join(tempDir(), "quest"),
    targetRoot: target,
    commit: run(target, "rev-parse", "HEAD"),
  });
  const path = await checkout(ws, "work", ws.commit);
  write(path, { "src/main.js": "first\n" });
  const first = await commitCandidate(ws, path, ws.commit, "kept");
  write(path, { "src/new.js": "second\n" });
  const second = await commitCandidate(ws, path, first?.commit ?? "", "accepted");
  const order = {
    targetRoot: target,
    baseCommit: ws.commit,
    commit: second?.commit ?? "",
    branch: "questbus/q-12345678",
    atMs,
    message: "Make it faster\n\nEvidence: …",
    changelog: entry,
  };
  return { target, ws, order };
}

describe("integrate", () => {
  it("makes one branch at one commit on the base, with the files and a changelog entry", async () => {
    const { target, ws, order } = await make();
    const done = await integrate(ws, order);
    const show = (format: string): string =>
      run(target, "show", "--no-patch", `--format=${format}`, order.branch);
    expect(done).toEqual({ branch: order.branch, commit: show("%H"), tree: show("%T") });
    expect(show("%P|%an <%ae>|%cn|%aI|%B")).toBe(
      `${order.baseCommit}|Questbus <questbus@localhost>|Questbus|2026-02-03T12:00:00+00:00|${order.message}`,
    );
    expect(run(target, "diff", "--name-only", order.baseCommit, order.branch).split("\n")).toEqual([
      "CHANGELOG.md",
      "src/main.js",
      "src/new.js",
    ]);
    expect(run(target, "show", `${order.branch}:CHANGELOG.md`)).toContain(
      `## [Unreleased]\n\n### Changed\n\n${text}`,
    );
    run(target, "fsck", "--strict");
  });

  it("N1: touches neither files, index nor HEAD, and runs no hook", async () => {
    const { target, ws, order } = await make();
    plantHooks(target);
    write(target, { "untracked.txt": "x" });
    const kept = (): string[] => ["src", "test"].map((dir) => hashDir(join(target, dir)));
    const bytes = (): Buffer[] =>
      [".git/index", ".git/HEAD", ".git/refs/heads/main"].map((file) => readFileSync(join(target, file)));
    const before = [kept(), bytes()];
    await integrate(ws, order);
    expect([kept(), bytes()]).toEqual(before);
    expect(existsSync(join(target, "hook-ran"))).toBe(false);
    expect(run(target, "status", "--porcelain")).toBe("?? untracked.txt");
  });

  it("N2: repeated, also after a crash before the branch was made, does the same once", async () => {
    const { target, ws, order } = await make();
    const done = await integrate(ws, order);
    const after = hashDir(target, { times: false });
    expect(await integrate(ws, order)).toEqual(done);
    expect(hashDir(target, { times: false })).toBe(after);
    run(target, "branch", "--quiet", "-D", order.branch);
    expect(await integrate(ws, order)).toEqual(done);
  });

  it("N2: a lock that a killed git left on the branch stops nothing", async () => {
    const { target, ws, order } = await make();
    write(target, { [`.git/refs/heads/${order.branch}.lock`]: "" });
    const { commit } = await integrate(ws, order);
    expect(run(target, "rev-parse", order.branch)).toBe(commit);
    expect(existsSync(join(target, `.git/refs/heads/${order.branch}.lock`))).toBe(false);
  });

  it("refuses a branch that is elsewhere, and writes nothing then", async () => {
    const { target, ws, order } = await make();
    run(target, "branch", order.branch);
    const before = hashDir(target);
    await refused("BRANCH_EXISTS", () => integrate(ws, order));
    expect(hashDir(target)).toBe(before);
  });

  it("refuses a branch whose directory is a branch, and one that HEAD waits for", async () => {
    const { target, ws, order } = await make();
    run(target, "branch", "questbus");
    await refused("BRANCH_EXISTS", () => integrate(ws, order));
    run(target, "symbolic-ref", "HEAD", "refs/heads/unborn");
    await refused("BRANCH_EXISTS", () => integrate(ws, { ...order, branch: "unborn" }));
  });

  it.each(["a..b", "-x", "a b", "x.lock", "@{-1}", "refs/heads/", "HEAD"])(
    "refuses %j as a branch",
    async (branch) => {
      const { ws, order } = await make();
      await refused("QUEST_FILE_INVALID", () => integrate(ws, { ...order, branch }));
    },
  );

  it("writes no changelog when there is to be none", async () => {
    const { target, ws, order } = await make();
    await integrate(ws, { ...order, changelog: { ...entry, path: null } });
    expect(run(target, "diff", "--name-only", order.baseCommit, order.branch).split("\n")).toEqual([
      "src/main.js",
      "src/new.js",
    ]);
  });

  it("keeps the bytes of a changelog that is there, in a directory, with CRLF, not UTF-8", async () => {
    const old = Buffer.from(
      "# Changelog\r\n\r\n## [Unreleased]\r\n\r\n### Changed\r\n\r\n- caf\xe9\r\n",
      "latin1",
    );
    const { target, ws, order } = await make(makeTarget({ ...sourceFiles, "docs/CHANGELOG.md": old }));
    await integrate(ws, { ...order, changelog: { ...entry, path: "docs/CHANGELOG.md" } });
    run(target, "checkout", "--quiet", order.branch);
    const expected = old
      .toString("latin1")
      .replace("- caf", `${Buffer.from(text.replaceAll("\n", "\r\n")).toString("latin1")}\r\n- caf`);
    expect(readFileSync(join(target, "docs/CHANGELOG.md"), "latin1")).toBe(expected);
  });

  it("refuses a changelog that is no plain file of the tree", async () => {
    const target = makeTarget();
    symlinkSync("/etc", join(target, "link"));
    commitAll(target, "link");
    const { ws, order } = await make(target);
    const to = (path: string) => () => integrate(ws, { ...order, changelog: { ...entry, path } });
    for (const path of ["link", "link/CHANGELOG.md", "src", "README.md/x"])
      await refused("PATH_FORBIDDEN", to(path));
    for (const path of ["../x", "/etc/x", ".git/x"]) await refused("PATH_ESCAPES", to(path));
  });

  it("brings a change into a shallow clone, a worktree, and a repository of SHA-256", async () => {
    const origin = makeTarget();
    write(origin, { "src/other.js": "x" });
    commitAll(origin, "second");
    const base = tempDir();
    run(base, "clone", "--quiet", "--depth=1", `file://${origin}`, join(base, "shallow"));
    run(origin, "worktree", "add", "--quiet", join(base, "worktree"), "-b", "side");
    const sha256 = makeTarget(sourceFiles, "--object-format=sha256");
    for (const each of [join(base, "shallow"), join(base, "worktree"), sha256]) {
      const { target, ws, order } = await make(each);
      const { commit } = await integrate(ws, order);
      rmSync(ws.dir, { recursive: true });
      expect(run(target, "rev-parse", order.branch)).toBe(commit);
      run(target, "fsck", "--strict", "--connectivity-only");
    }
  });
});

describe("insertEntry", () => {
  const group = `## [Unreleased]\n\n### Changed\n\n${text}\n`;
  const cases: [string, string | null, string][] = [
    [
      "no file",
      null,
      `# Changelog\n\nThe form is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n\n${group}`,
    ],
    [
      "an empty file",
      "\n",
      `# Changelog\n\nThe form is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n\n${group}`,
    ],
    ["releases only", "# Log\n\n## [1.0.0]\n\n- x\n", `# Log\n\n${group}\n## [1.0.0]\n\n- x\n`],
    ["an empty section", "# Log\n\n## [Unreleased]\n\n## [1.0.0]\n", `# Log\n\n${group}\n## [1.0.0]\n`],
    ["a section with other groups", "## [Unreleased]\n\n### Added\n\n- y\n", `${group}\n### Added\n\n- y\n`],
    ["earlier changes", "## Unreleased\n### Changed\n- y\n", `## Unreleased\n### Changed\n\n${text}\n- y\n`],
    [
      "changes of an older release",
      "## [Unreleased]\n\n## 1.0\n\n### Changed\n\n- y\n",
      `${group}\n## 1.0\n\n### Changed\n\n- y\n`,
    ],
    ["no newline at the end", "# Log", `# Log\n\n${group}`],
  ];
  it.each(cases)("into %s", (_, before, after) => {
    expect(insertEntry(before, entry, atMs)).toBe(after);
  });
});
