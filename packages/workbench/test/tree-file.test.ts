import { lstatSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readTreeFile, writeTreeFile } from "../src/tree-file.ts";
import { openWorkspace } from "../src/workspace.ts";
import { commitAll, makeTarget, refused, tempDir, write } from "./fixture.ts";

describe("a file of a commit", () => {
  it("is read as it is there, not as it is on the disk; a file that is not there is null", async () => {
    const target = makeTarget({ "a b/c.env": "POOL=4\n" });
    const commit = commitAll(target, "one");
    write(target, { "a b/c.env": "POOL=5\n" });
    const ws = await openWorkspace({ dir: tempDir(), targetRoot: target, commit });
    expect(await readTreeFile(ws, commit, "a b/c.env")).toBe("POOL=4\n");
    expect(await readTreeFile(ws, commit, "a b/none")).toBeNull();
    expect(await readTreeFile(ws, commit, "*")).toBeNull();
  });

  it("is refused where it is a link, a folder, no text, or leads out", async () => {
    const target = makeTarget({ "dir/a": "a", binary: Buffer.from([0xff, 0xfe, 0]) });
    symlinkSync("/etc/hostname", join(target, "link"));
    const commit = commitAll(target, "links");
    const ws = await openWorkspace({ dir: tempDir(), targetRoot: target, commit });
    await refused("PATH_FORBIDDEN", () => readTreeFile(ws, commit, "link"));
    await refused("PATH_FORBIDDEN", () => readTreeFile(ws, commit, "dir"));
    await refused("PATH_FORBIDDEN", () => readTreeFile(ws, commit, "binary"));
    await refused("PATH_ESCAPES", () => readTreeFile(ws, commit, "../a"));
    await refused("PATH_ESCAPES", () => readTreeFile(ws, commit, ".git/config"));
  });
});

describe("a file of a tree", () => {
  it("is written with the folders above it, keeps its mode, and can be removed", async () => {
    const root = tempDir();
    await writeTreeFile(root, "a/b/c.env", "POOL=4\n");
    expect(readFileSync(join(root, "a/b/c.env"), "utf8")).toBe("POOL=4\n");
    await writeTreeFile(root, "a/b/c.env", "P=1\n");
    expect(readFileSync(join(root, "a/b/c.env"), "utf8")).toBe("P=1\n");
    await writeTreeFile(root, "a/b/c.env", null);
    await writeTreeFile(root, "a/b/c.env", null);
    expect(lstatSync(join(root, "a/b/c.env"), { throwIfNoEntry: false })).toBeUndefined();
  });

  it("never goes through a symbolic link, be it the file or a folder", async () => {
    const root = tempDir();
    const outside = tempDir();
    write(outside, { secret: "mine" });
    symlinkSync(join(outside, "secret"), join(root, "file"));
    symlinkSync(outside, join(root, "folder"));
    mkdirSync(join(root, "dir"));
    for (const text of ["x", null]) {
      await refused("PATH_FORBIDDEN", () => writeTreeFile(root, "file", text));
      await refused("PATH_FORBIDDEN", () => writeTreeFile(root, "folder/secret", text));
    }
    await refused("PATH_FORBIDDEN", () => writeTreeFile(root, "dir", "x"));
    await refused("PATH_ESCAPES", () => writeTreeFile(root, "../x", "x"));
    expect(readFileSync(join(outside, "secret"), "utf8")).toBe("mine");
  });
});
