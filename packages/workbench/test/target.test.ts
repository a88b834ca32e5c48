import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, symlinkSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { inspectTarget, isMerged, targetState } from "../src/target.ts";
import { commitAll, hashDir, makeTarget, refused, run, tempDir, write } from "./fixture.ts";

describe("inspectTarget", () => {
  it("finds root, commit and tree, and writes nothing", async () => {
    const target = makeTarget();
    // a file time that makes git want to refresh its index
    utimesSync(join(target, "README.md"), 1, 1);
    const before = hashDir(target);
    expect(await inspectTarget(target, "HEAD")).toEqual({
      root: target,
      commit: run(target, "rev-parse", "HEAD"),
      tree: run(target, "rev-parse", "HEAD^{tree}"),
    });
    expect(hashDir(target)).toBe(before);
  });

  it("takes a symbolic link to a repository, a tag, and a worktree", async () => {
    const target = makeTarget();
    run(target, "tag", "-a", "v1", "-m", "one");
    const link = join(tempDir(), "link");
    symlinkSync(target, link);
    const tree = join(tempDir(), "tree");
    run(target, "worktree", "add", "--quiet", tree, "-b", "side");
    expect((await inspectTarget(link, "v1")).root).toBe(target);
    expect((await inspectTarget(tree, "HEAD")).root).toBe(tree);
  });

  it("refuses what is no repository of its own", async () => {
    const target = makeTarget();
    const bare = join(tempDir(), "bare.git");
    run(dirname(bare), "init", "--quiet", "--bare", bare);
    const refuse = (dir: string) => refused("TARGET_NOT_A_REPOSITORY", () => inspectTarget(dir, "HEAD"));
    await refuse(join(target, "absent"));
    await refuse(join(target, "README.md"));
    await refuse(tempDir());
    await refuse(bare);
    expect((await refuse(join(target, "src"))).message).toContain(target);
  });

  it.skipIf(process.getuid?.() !== 0)("says how to allow a repository of another user", async () => {
    const target = makeTarget();
    spawnSync("chown", ["-R", "65534", target]);
    const fault = await refused("TARGET_NOT_A_REPOSITORY", () => inspectTarget(target, "HEAD"));
    expect(fault.next).toBe(`git config --global --add safe.directory ${target}`);
  });

  it("refuses a ref that is not there, and a repository without commits", async () => {
    const target = makeTarget();
    for (const ref of ["absent", "--all", "HEAD~5", "", "a b"]) {
      await refused("TARGET_REF_MISSING", () => inspectTarget(target, ref));
    }
    const empty = tempDir();
    run(empty, "init", "--quiet");
    expect((await refused("TARGET_REF_MISSING", () => inspectTarget(empty, "HEAD"))).message).toContain(
      "no commit yet",
    );
  });

  it("refuses changed and staged files where the ref is what is checked out", async () => {
    const target = makeTarget();
    run(target, "branch", "old");
    write(target, { "untracked.txt": "fine" });
    await inspectTarget(target, "HEAD");
    write(target, { "src/main.js": "changed\n" });
    expect((await refused("TARGET_UNCLEAN", () => inspectTarget(target, "old"))).message).toContain(
      "src/main.js",
    );
    run(target, "add", "src/main.js");
    await refused("TARGET_UNCLEAN", () => inspectTarget(target, "HEAD"));
    commitAll(target, "next");
    write(target, { "src/main.js": "again\n" });
    expect((await inspectTarget(target, "old")).commit).toBe(run(target, "rev-parse", "old"));
  });

  it("refuses submodules", async () => {
    const target = makeTarget();
    run(target, "update-index", "--add", "--cacheinfo", `160000,${run(target, "rev-parse", "HEAD")},lib/sub`);
    run(target, "commit", "--quiet", "-m", "submodule");
    mkdirSync(join(target, "lib/sub"), { recursive: true });
    expect((await refused("PATH_FORBIDDEN", () => inspectTarget(target, "HEAD"))).message).toContain(
      "lib/sub",
    );
  });
});

describe("targetState", () => {
  it("is equal while nothing is touched, also after the operator's own git status", async () => {
    const target = makeTarget();
    write(target, { "src/main.js": "changed\n", "new file.txt": "one", "nested/.git/HEAD": "ref: x" });
    const before = hashDir(target);
    const state = await targetState(target);
    expect(hashDir(target)).toBe(before);
    utimesSync(join(target, "README.md"), 1, 1);
    run(target, "status");
    expect(await targetState(target)).toEqual(state);
  });

  const touches: [string, (target: string) => void][] = [
    ["a tracked file", (target) => write(target, { "src/other.js": "x" })],
    ["a changed file, changed again", (target) => write(target, { "src/main.js": "twice" })],
    ["an untracked file", (target) => write(target, { "untracked.txt": "two" })],
    ["the index", (target) => run(target, "add", "untracked.txt")],
    ["an index flag", (target) => run(target, "update-index", "--assume-unchanged", "README.md")],
    ["a ref", (target) => run(target, "tag", "new")],
    ["HEAD", (target) => run(target, "checkout", "--quiet", "--detach")],
    ["a mode", (target) => run(target, "update-index", "--chmod=+x", "README.md")],
  ];
  it.each(touches)("differs after a change of %s", async (_, touch) => {
    const target = makeTarget();
    write(target, { "src/main.js": "once", "untracked.txt": "one" });
    const before = await targetState(target);
    touch(target);
    expect(await targetState(target)).not.toEqual(before);
  });
});

it.skipIf(process.getuid?.() !== 0)(
  "targetState takes a file that it may not read for what is seen of it",
  async () => {
    const target = makeTarget();
    write(target, { "data/db": "a database of another user" });
    chmodSync(dirname(target), 0o755);
    for (const path of [target, join(target, ".git"), join(target, "data")]) chownSync(path, 65_534, 65_534);
    chmodSync(join(target, "data/db"), 0o600);
    const asOther = async (): Promise<unknown> => {
      vi.stubEnv("HOME", target);
      process.seteuid?.(65_534);
      return targetState(target)
        .finally(() => process.seteuid?.(0))
        .finally(vi.unstubAllEnvs);
    };
    const before = await asOther();
    expect(await asOther()).toEqual(before);
    write(target, { "data/db": "and more of it" });
    expect(await asOther()).not.toEqual(before);
  },
);

describe("isMerged", () => {
  /** A target on main, and beside it the branch `faster` that changes src/main.js and the changelog. */
  function accepted() {
    const target = makeTarget();
    const base = run(target, "rev-parse", "HEAD");
    const commit = (files: Record<string, string>): string => {
      write(target, files);
      return commitAll(target, "more");
    };
    run(target, "checkout", "--quiet", "-b", "faster");
    const change = { base, accepted: commit({ "src/main.js": "fast\n", "CHANGES.md": "faster\n" }) };
    run(target, "checkout", "--quiet", "main");
    const merged = (ref: string, but: string | null = "CHANGES.md") =>
      isMerged(target, ref, { ...change, but });
    return { target, commit, merged, git: (...args: string[]) => run(target, ...args) };
  }

  it("no: nothing came since the base, or only what touched none of its files; the changelog is no sign", async () => {
    const { commit, merged } = accepted();
    expect(await merged("main")).toBe("no");
    commit({ "src/other.js": "other\n", "CHANGES.md": "something else\n", "src/main.js.md": "x\n" });
    expect(await merged("main")).toBe("no");
    expect(await merged("main", null)).toBe("maybe");
  });

  it("yes: its commit is in the history, also where it was reverted", async () => {
    const { target, merged, git } = accepted();
    git("merge", "--quiet", "--no-ff", "faster");
    expect(await merged("main")).toBe("yes");
    run(target, "revert", "--mainline", "1", "--no-edit", "HEAD");
    expect(await merged("main")).toBe("yes");
  });

  it("maybe: squashed, squashed and reverted, or the same file changed otherwise", async () => {
    const { target, commit, merged, git } = accepted();
    git("merge", "--quiet", "--squash", "faster");
    commitAll(target, "squashed");
    expect(await merged("main")).toBe("maybe");
    git("revert", "--no-edit", "HEAD");
    expect(git("diff", "main~2", "main")).toBe("");
    expect(await merged("main")).toBe("maybe");
    git("reset", "--quiet", "--hard", "main~2");
    commit({ "src/main.js": "by hand\n" });
    expect(await merged("main")).toBe("maybe");
  });

  it("maybe: the history was rewritten since, or is another one", async () => {
    const { target, merged, git } = accepted();
    git("commit", "--quiet", "--amend", "--allow-empty", "--message", "begun anew");
    expect(await merged("main")).toBe("maybe");
    git("checkout", "--quiet", "--orphan", "another");
    commitAll(target, "another");
    expect(await merged("another")).toBe("maybe");
  });
});
