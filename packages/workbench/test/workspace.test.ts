import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyPatch, commitCandidate, diffFiles } from "../src/candidate.ts";
import { checkout, restore, treeHash } from "../src/tree.ts";
import { openWorkspace, removeTrees, removeWorkspace, treeOf, type Workspace } from "../src/workspace.ts";
import {
  commitAll,
  hashDir,
  makeTarget,
  patchOf,
  plantHooks,
  refused,
  run,
  sourceFiles,
  tempDir,
  write,
} from "./fixture.ts";

const open = (target: string, dir = join(tempDir(), "quest")): Promise<Workspace> =>
  openWorkspace({ dir, targetRoot: target, commit: run(target, "rev-parse", "HEAD") });

describe("a workspace", () => {
  it("W1: leaves the target byte for byte as it was, through candidate and restore", async () => {
    const target = makeTarget();
    const patch = patchOf(target, { "src/main.js": "export const one = 11;\n", "src/new.js": "new\n" });
    plantHooks(target);
    const before = hashDir(target);
    const ws = await open(target);
    const path = await checkout(ws, "work", ws.commit);
    await applyPatch(ws, path, patch, "a.patch");
    const made = await commitCandidate(ws, path, ws.commit, "candidate");
    expect(made?.files).toEqual(["src/main.js", "src/new.js"]);
    expect(await restore(ws, "work", ws.commit)).toBe(run(target, "rev-parse", "HEAD^{tree}"));
    await removeTrees(ws);
    await removeWorkspace(ws);
    expect(hashDir(target)).toBe(before);
    expect(existsSync(ws.dir)).toBe(false);
  });

  it("copies no objects of the target", async () => {
    const ws = await open(makeTarget({ "big.bin": Buffer.alloc(3_000_000, "x") }));
    await checkout(ws, "work", ws.commit);
    expect(readdirSync(join(ws.gitDir, "objects")).sort()).toEqual(["info", "pack"]);
  });

  it("reads a target that is a worktree, shallow, of SHA-256, or borrows its objects", async () => {
    const target = makeTarget();
    commitAll(target, "second");
    const base = tempDir();
    run(target, "worktree", "add", "--quiet", join(base, "worktree"));
    run(base, "clone", "--quiet", "--depth=1", `file://${target}`, join(base, "shallow"));
    run(base, "clone", "--quiet", "--shared", target, join(base, "borrowed"));
    run(base, "clone", "--quiet", "--shared", join(base, "borrowed"), join(base, "twice"));
    cpSync(target, join(base, "origin"), { recursive: true });
    run(base, "clone", "--quiet", "--shared", "origin", join(base, "relative"));
    writeFileSync(join(base, "relative/.git/objects/info/alternates"), "../../../origin/.git/objects\n");
    const targets = ["worktree", "shallow", "borrowed", "twice", "relative"].map((name) => join(base, name));
    for (const each of [...targets, makeTarget(sourceFiles, "--object-format=sha256")]) {
      const ws = await open(each);
      const path = await checkout(ws, "work", ws.commit);
      write(path, { "src/main.js": "changed\n" });
      const made = await commitCandidate(ws, path, ws.commit, "candidate");
      expect(made?.files, each).toEqual(["src/main.js"]);
      expect(run(path, "status", "--porcelain"), each).toBe("M src/main.js");
      expect(await restore(ws, "work", made?.commit ?? ""), each).toBe(made?.tree);
    }
  });

  const crashes: [string, (dir: string) => void][] = [
    ["nothing but the directory", (dir) => rmSync(join(dir, "repo.git"), { recursive: true })],
    [
      "an empty repository directory",
      (dir) => {
        rmSync(join(dir, "repo.git"), { recursive: true });
        mkdirSync(join(dir, "repo.git"));
      },
    ],
    ["a repository without HEAD", (dir) => rmSync(join(dir, "repo.git/HEAD"))],
    ["a repository with an empty config", (dir) => writeFileSync(join(dir, "repo.git/config"), "")],
    ["no alternates yet", (dir) => rmSync(join(dir, "repo.git/objects/info/alternates"))],
    [
      "a repository that was being built by a process that is gone",
      (dir) => mkdirSync(join(dir, `repo.git.4194304-${randomUUID()}/objects`), { recursive: true }),
    ],
    [
      "a tree that was being laid out",
      (dir) => mkdirSync(join(dir, `trees/.work.4194304-${randomUUID()}/.git`), { recursive: true }),
    ],
    ["half a tree", (dir) => rmSync(join(dir, "trees/work/.git/HEAD"))],
    ["a tree without its .git", (dir) => rmSync(join(dir, "trees/work/.git"), { recursive: true })],
    ["an index lock in a tree", (dir) => writeFileSync(join(dir, "trees/work/.git/index.lock"), "")],
    ["half a removal", (dir) => rmSync(join(dir, "trees/work/src"), { recursive: true })],
    [
      "a file where a tree should be",
      (dir) => {
        rmSync(join(dir, "trees"), { recursive: true });
        write(dir, { "trees/work": "x" });
      },
    ],
  ];
  it.each(crashes)("W2: opens again after a crash that left %s", async (_, crash) => {
    const target = makeTarget();
    const ws = await open(target);
    await checkout(ws, "work", ws.commit);
    crash(ws.dir);
    const again = await open(target, ws.dir);
    expect(await restore(again, "work", again.commit)).toBe(await treeOf(again, again.commit));
    expect(readdirSync(ws.dir).sort()).toEqual(["repo.git", "trees"]);
    expect(readdirSync(join(ws.dir, "trees"))).toEqual(["work"]);
  });

  it("W2: keeps its candidates when it is opened again, also with a lock left on their ref", async () => {
    const target = makeTarget();
    const ws = await open(target);
    const commitOnce = async (): Promise<string> => {
      const path = await checkout(ws, "work", ws.commit);
      write(path, { "src/main.js": "changed\n" });
      return (await commitCandidate(ws, path, ws.commit, "candidate"))?.commit ?? "";
    };
    const commit = await commitOnce();
    rmSync(join(ws.gitDir, "refs/questbus", commit));
    writeFileSync(join(ws.gitDir, "refs/questbus", `${commit}.lock`), "");
    expect(await commitOnce()).toBe(commit);
    const again = await open(target, ws.dir);
    expect((await diffFiles(again, ws.commit, commit)).files).toEqual(["src/main.js"]);
  });

  it("opens in several processes at once", async () => {
    const target = makeTarget();
    const dir = join(tempDir(), "quest");
    const all = await Promise.all(Array.from({ length: 4 }, () => open(target, dir)));
    await Promise.all(all.map((ws, at) => checkout(ws, `tree-${at}`, ws.commit)));
    expect(readdirSync(dir).sort()).toEqual(["repo.git", "trees"]);
    expect(readdirSync(join(dir, "trees"))).toHaveLength(4);
  });

  it("refuses a commit that the target does not have, and names that are no names", async () => {
    const target = makeTarget();
    const dir = join(tempDir(), "quest");
    await refused("TARGET_REF_MISSING", () =>
      openWorkspace({ dir, targetRoot: target, commit: "1".repeat(40) }),
    );
    // It was moved away, or is no repository any more.
    for (const targetRoot of [join(target, "moved"), tempDir()])
      await refused("TARGET_NOT_A_REPOSITORY", () =>
        openWorkspace({ dir, targetRoot, commit: "1".repeat(40) }),
      );
    const ws = await open(target);
    for (const name of ["../x", "", ".", "a/b", ".git"])
      await expect(checkout(ws, name, ws.commit)).rejects.toThrow(RangeError);
  });
});

describe("a tree", () => {
  it("W4: holds its files byte for byte, whatever .gitattributes says", async () => {
    const files = {
      ".gitattributes": "* text eol=crlf\n*.id ident filter=lfs\n",
      "dos.txt": "a\r\nb\r\n",
      "unix.txt": "a\nb\n",
      "x.id": "$Id$\n",
    };
    const target = makeTarget({ "unix.txt": "x\n" });
    write(target, files);
    run(target, "config", "core.autocrlf", "false");
    write(target, { ".git/info/attributes": "* -text -filter -ident\n" });
    commitAll(target, "mixed line ends");
    const ws = await open(target);
    expect(await restore(ws, "work", ws.commit)).toBe(await treeOf(ws, ws.commit));
    for (const [name, content] of Object.entries(files))
      expect(readFileSync(join(ws.dir, "trees/work", name), "utf8")).toBe(content);
  });

  it("has a hash over files that count: new ones, not ignored ones unless tracked", async () => {
    const target = makeTarget({ ...sourceFiles, "tracked.log": "tracked though ignored\n" });
    const ws = await open(target);
    const path = await checkout(ws, "work", ws.commit);
    const tree = await treeOf(ws, ws.commit);
    expect(await treeHash(ws, path)).toBe(tree);
    write(path, { "node_modules/x/index.js": "x", "debug.log": "x" });
    expect(await treeHash(ws, path)).toBe(tree);
    write(path, { "tracked.log": "other" });
    expect(await treeHash(ws, path)).not.toBe(tree);
    write(path, { "tracked.log": "tracked though ignored\n", "src/new.js": "x" });
    expect(await treeHash(ws, path)).not.toBe(tree);
    write(path, { "src/new.js": null, "README.md": null });
    expect(await treeHash(ws, path)).not.toBe(tree);
    write(path, { "README.md": sourceFiles["README.md"] });
    chmodSync(join(path, "README.md"), 0o755);
    expect(await treeHash(ws, path)).not.toBe(tree);
    expect(existsSync(join(ws.gitDir, "index"))).toBe(false);
    expect(readdirSync(ws.gitDir).filter((name) => name.startsWith("index"))).toEqual([]);
  });

  it("is a repository of its own: no git command in it reaches the workspace's or the target's", async () => {
    const target = makeTarget();
    const ws = await open(target);
    const path = await checkout(ws, "work", ws.commit);
    expect(run(path, "status", "--porcelain")).toBe("");
    expect(run(path, "log", "--format=%s")).toBe("start");
    const before = hashDir(target, { times: false });
    write(path, { "src/main.js": "changed\n" });
    run(path, "commit", "--quiet", "--all", "--message", "a fixer's own commit");
    run(path, "branch", "fixers-branch");
    run(path, "gc", "--quiet", "--prune=now");
    run(path, "config", "core.fsmonitor", `touch ${target}/never; false`);
    const made = await commitCandidate(ws, path, ws.commit, "candidate");
    expect(made?.files).toEqual(["src/main.js"]);
    expect(await treeHash(ws, path)).toBe(made?.tree);
    expect(run(ws.dir, "--git-dir", ws.gitDir, "for-each-ref", "--format=%(refname)")).toBe(
      `refs/questbus/${made?.commit}`,
    );
    expect(hashDir(target, { times: false })).toBe(before);
  });

  it("is removed also where directories are read-only", async () => {
    const dir = join(tempDir(), "tree");
    write(dir, { "cache/deep/file": "x", "cache/other": "x" });
    const own = process.getuid?.() === 0 ? 65_534 : undefined;
    if (own)
      for (const each of ["", "..", "cache", "cache/deep", "cache/deep/file", "cache/other"])
        chownSync(join(dir, each), own, own);
    chmodSync(join(dir, "cache/deep"), 0o500);
    chmodSync(join(dir, "cache"), 0o100);
    const script = `import { removeTree } from ${JSON.stringify(join(import.meta.dirname, "../src/removal.ts"))}; await removeTree(${JSON.stringify(dir)});`;
    const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      ...(own ? { uid: own, gid: own } : {}),
      cwd: "/",
      encoding: "utf8",
    });
    expect(done.stderr).toBe("");
    expect(existsSync(dir)).toBe(false);
    expect(existsSync(dirname(dir))).toBe(true);
  });

  it("is refused as rolled back when its files are not those of the commit", async () => {
    const target = makeTarget({ ".gitattributes": "* text eol=crlf\n", "dos.txt": "a\n" });
    write(target, { ".git/info/attributes": "* -text\n", "dos.txt": "a\r\n" });
    commitAll(target, "a blob that conversion would change");
    const ws = await open(target);
    rmSync(join(ws.gitDir, "info/attributes"));
    await refused("ROLLBACK_UNPROVEN", () => restore(ws, "work", ws.commit));
  });
});
