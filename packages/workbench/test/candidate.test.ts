import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  adoptCommit,
  applyPatch,
  type CommittedCandidate,
  commitCandidate,
  diffFiles,
} from "../src/candidate.ts";
import { checkout, restore, treeHash } from "../src/tree.ts";
import { openWorkspace, treeOf, type Workspace } from "../src/workspace.ts";
import {
  commitAll,
  faultsOf,
  makeTarget,
  patchOf,
  refused,
  run,
  sourceFiles,
  tempDir,
  write,
} from "./fixture.ts";

type Bench = { target: string; ws: Workspace; path: string };

async function open(target = makeTarget()): Promise<Bench> {
  const ws = await openWorkspace({
    dir: join(tempDir(), "quest"),
    targetRoot: target,
    commit: run(target, "rev-parse", "HEAD"),
  });
  return { target, ws, path: await checkout(ws, "work", ws.commit) };
}

const commit = ({ ws, path }: Bench, since?: string): Promise<CommittedCandidate | null> =>
  commitCandidate(ws, path, ws.commit, "candidate", since);

describe("commitCandidate", () => {
  it("answers with commit, tree, files, lines and a diff that applies", async () => {
    const bench = await open();
    write(bench.path, {
      "src/main.js": "export const one = 11;\n",
      "src/added.bin": Buffer.from([0, 1, 2, 255]),
      "src/other.js": null,
    });
    const made = await commit(bench);
    expect(made).toMatchObject({
      files: ["src/added.bin", "src/main.js", "src/other.js"],
      linesAdded: 1,
      linesRemoved: 4,
    });
    expect(await treeHash(bench.ws, bench.path)).toBe(made?.tree);
    expect(await treeOf(bench.ws, made?.commit ?? "")).toBe(made?.tree);
    const fresh = await checkout(bench.ws, "fresh", bench.ws.commit);
    await applyPatch(bench.ws, fresh, made?.diffText ?? "", "diff");
    expect(await treeHash(bench.ws, fresh)).toBe(made?.tree);
  });

  it("is deterministic, and null when nothing changed", async () => {
    const bench = await open();
    expect(await commit(bench)).toBe(null);
    write(bench.path, { "src/main.js": "x\n", "debug.log": "ignored" });
    const first = await commit(bench);
    const other = await open(bench.target);
    write(other.path, { "src/main.js": "x\n" });
    expect((await commit(other))?.commit).toBe(first?.commit);
    const shown = run(
      bench.ws.dir,
      "--git-dir",
      bench.ws.gitDir,
      "show",
      "--no-patch",
      "--format=%an <%ae> %at %P",
      first?.commit ?? "",
    );
    expect(shown).toBe(
      `questbus <questbus@localhost> ${run(bench.target, "show", "--no-patch", "--format=%ct")} ${bench.ws.commit}`,
    );
  });

  const forbidden: [string, string, (path: string) => void][] = [
    ["a symbolic link", "PATH_FORBIDDEN", (path) => symlinkSync("/etc/passwd", join(path, "link"))],
    [
      "a repository in it",
      "PATH_FORBIDDEN",
      (path) => {
        mkdirSync(join(path, "nested"));
        run(join(path, "nested"), "init", "--quiet");
        commitAll(join(path, "nested"), "x");
      },
    ],
    [
      "a repository without commits",
      "PATH_FORBIDDEN",
      (path) => {
        mkdirSync(join(path, "nested"));
        run(join(path, "nested"), "init", "--quiet");
      },
    ],
    [".gitmodules", "PATH_FORBIDDEN", (path) => write(path, { ".gitmodules": "[submodule]" })],
    ["a directory .GIT", "PATH_FORBIDDEN", (path) => write(path, { "sub/.GIT/config": "x" })],
    ["a directory git~1", "PATH_FORBIDDEN", (path) => write(path, { "git~1/config": "x" })],
  ];
  it.each(forbidden)("refuses %s", async (_, code, edit) => {
    const bench = await open();
    edit(bench.path);
    expect(await faultsOf(() => commit(bench))).toMatchObject([{ code }]);
  });

  it("refuses a symbolic link that is changed, removed, or put in place of a directory; every path is named", async () => {
    const target = makeTarget();
    symlinkSync("src", join(target, "old-link"));
    symlinkSync("src", join(target, "kept-link"));
    commitAll(target, "links");
    const bench = await open(target);
    expect(await commit(bench)).toBe(null);
    rmSync(join(bench.path, "old-link"));
    rmSync(join(bench.path, "src"), { recursive: true });
    symlinkSync("/etc", join(bench.path, "src"));
    const faults = await faultsOf(() => commit(bench));
    expect(faults.map((each) => each.where)).toEqual(["old-link", "src"]);
  });

  it("keeps what prepare left out of the candidate", async () => {
    const bench = await open();
    write(bench.path, { "lock.json": "made by prepare", "src/other.js": "touched by prepare" });
    const since = await treeHash(bench.ws, bench.path);
    expect(await commit(bench, since)).toBe(null);
    write(bench.path, { "src/main.js": "x\n", "lock.json": "made by prepare" });
    expect((await commit(bench, since))?.files).toEqual(["src/main.js"]);
    write(bench.path, { "lock.json": null, "src/main.js": null });
    expect((await commit(bench, since))?.files).toEqual(["src/main.js"]);
  });

  it("takes files that a patch adds although .gitignore names them, modes, and odd names", async () => {
    const bench = await open();
    const names = {
      "dist.log": "x\n",
      "a b.txt": "x\n",
      'q"uote.txt': "x\n",
      "ü\n.txt": "x\n",
      "*.glob": "x\n",
      "-dash": "x\n",
    };
    await applyPatch(bench.ws, bench.path, patchOf(bench.target, names), "odd.patch");
    chmodSync(join(bench.path, "README.md"), 0o755);
    const made = await commit(bench);
    expect(made?.files).toEqual([...Object.keys(names), "README.md"].sort());
    expect(await restore(bench.ws, "work", made?.commit ?? "")).toBe(made?.tree);
  });

  it("counts binary content as no lines, and a rename as both paths", async () => {
    const bench = await open();
    write(bench.path, {
      "src/other.js": null,
      "src/moved.js": sourceFiles["src/other.js"],
      "x.bin": Buffer.from([0, 1]),
    });
    const made = await commit(bench);
    expect(await diffFiles(bench.ws, bench.ws.commit, made?.commit ?? "")).toEqual({
      files: ["src/moved.js", "src/other.js", "x.bin"],
      linesAdded: 1,
      linesRemoved: 1,
      changes: [
        { path: "src/moved.js", added: 1, removed: 0 },
        { path: "src/other.js", added: 0, removed: 1 },
        { path: "x.bin", added: null, removed: null },
      ],
    });
  });
});

describe("adoptCommit", () => {
  it("makes a candidate of a commit of the target", async () => {
    const target = makeTarget();
    run(target, "checkout", "--quiet", "-b", "side");
    write(target, { "src/main.js": "side\n" });
    const side = commitAll(target, "side");
    run(target, "checkout", "--quiet", "main");
    const { ws } = await open(target);
    const made = await adoptCommit(ws, side, ws.commit, "judge side");
    expect(made).toMatchObject({ files: ["src/main.js"], tree: run(target, "rev-parse", `${side}^{tree}`) });
    expect(await adoptCommit(ws, ws.commit, ws.commit, "same")).toBe(null);
  });
});

describe("applyPatch", () => {
  it("says where a patch does not apply, and leaves the files as they were", async () => {
    const bench = await open();
    const patch = patchOf(bench.target, {
      "src/main.js": sourceFiles["src/main.js"].replace("two", "zwei"),
      "src/other.js": "x\n",
    });
    write(bench.path, { "src/main.js": "quite different\n" });
    run(bench.path, "add", "--all");
    const before = await treeHash(bench.ws, bench.path);
    const fault = await refused("PATCH_DOES_NOT_APPLY", () =>
      applyPatch(bench.ws, bench.path, patch, "a.patch"),
    );
    expect(fault.where).toMatch(/^a\.patch:\d+$/);
    expect(fault.message).toContain("src/main.js");
    expect(await treeHash(bench.ws, bench.path)).toBe(before);
  });

  it("does not write through a symbolic link of the target", async () => {
    const target = makeTarget();
    const outside = tempDir();
    symlinkSync(outside, join(target, "out"));
    commitAll(target, "link");
    const bench = await open(target);
    const patch =
      "diff --git a/out/x b/out/x\nnew file mode 100644\n--- /dev/null\n+++ b/out/x\n@@ -0,0 +1 @@\n+x\n";
    await refused("PATH_ESCAPES", () => applyPatch(bench.ws, bench.path, patch, "a.patch"));
    expect(existsSync(join(outside, "x"))).toBe(false);
  });

  it("takes text that is no UTF-8, and CRLF", async () => {
    const target = makeTarget({ "latin.txt": Buffer.from("caf\xe9\n", "latin1"), "dos.txt": "a\r\nb\r\n" });
    const bench = await open(target);
    const patch = Buffer.from(
      "--- a/latin.txt\n+++ b/latin.txt\n@@ -1 +1 @@\n-caf\xe9\n+th\xe9\n--- a/dos.txt\n+++ b/dos.txt\n@@ -1,2 +1,2 @@\n a\r\n-b\r\n+c\r\n",
      "latin1",
    );
    await applyPatch(bench.ws, bench.path, patch, "a.patch");
    expect(readFileSync(join(bench.path, "latin.txt"), "latin1")).toBe("th\xe9\n");
    expect((await commit(bench))?.files).toEqual(["dos.txt", "latin.txt"]);
  });
});
