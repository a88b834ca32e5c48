import { join } from "node:path";
import { limit } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { commitCandidate } from "../src/candidate.ts";
import { readSupply } from "../src/supply.ts";
import { checkout, treePath } from "../src/tree.ts";
import { openWorkspace, treeOf, type Workspace } from "../src/workspace.ts";
import { commitAll, makeTarget, patchOf, refused, run, sourceFiles, tempDir, write } from "./fixture.ts";

const main = (two: string) => ({ "src/main.js": sourceFiles["src/main.js"].replace("two = 2", two) });
const authority = { write: ["src/**"], never: ["test/**"] };

/** A target, a branch off its first commit, and a quest that starts from a commit after that. */
async function opened(): Promise<{ target: string; ws: Workspace; quest: Parameters<typeof readSupply>[2] }> {
  const target = makeTarget();
  run(target, "checkout", "--quiet", "-b", "topic");
  write(target, main("two = 22"));
  commitAll(target, "topic");
  run(target, "checkout", "--quiet", "main");
  write(target, { "README.md": "# More\n" });
  const commit = commitAll(target, "more");
  const ws = await openWorkspace({ dir: tempDir(), targetRoot: target, commit });
  return { target, ws, quest: { lastGood: { commit, tree: await treeOf(ws, commit) }, authority } };
}

describe("a branch", () => {
  it("is what it changed since it left the quest's line, not what it lacks", async () => {
    const { ws, quest } = await opened();
    const { name, patch } = await readSupply(ws, { branch: "topic" }, quest);
    expect(name).toMatch(/^topic \([0-9a-f]{7,}\)$/);
    expect(patch.toString()).toContain("+export const two = 22;");
    expect(patch.toString()).not.toContain("README");
  });

  it("goes on top of what was kept", async () => {
    const { ws, quest } = await opened();
    const path = await checkout(ws, "work", quest.lastGood.commit);
    write(treePath(ws, "work"), { "src/other.js": "export const other = false;\n" });
    const kept = await commitCandidate(ws, path, quest.lastGood.commit, "kept");
    const lastGood = { commit: kept?.commit ?? "", tree: kept?.tree ?? "" };
    const { patch } = await readSupply(ws, { branch: "topic" }, { ...quest, lastGood });
    expect(patch.toString()).not.toContain("other");
  });

  it("is refused where it does not apply, changes nothing, is not there, or writes what it may not", async () => {
    const { target, ws, quest } = await opened();
    await refused("TARGET_REF_MISSING", () => readSupply(ws, { branch: "nowhere" }, quest));
    await refused("PATCH_EMPTY", () => readSupply(ws, { branch: "main" }, quest));
    const closed = { ...quest, authority: { write: ["lib/**"], never: [] } };
    await refused("PATH_FORBIDDEN", () => readSupply(ws, { branch: "topic" }, closed));
    const base = commitAll(target, "same");
    write(target, main("two = 5"));
    const moved = commitAll(target, "moved");
    expect(moved).not.toBe(base);
    const lastGood = { commit: moved, tree: await treeOf(ws, moved) };
    await refused("PATCH_DOES_NOT_APPLY", () => readSupply(ws, { branch: "topic" }, { ...quest, lastGood }));
  });
});

describe("a patch file", () => {
  it("is taken as it is, byte for byte", async () => {
    const { target, ws, quest } = await opened();
    const dir = tempDir();
    const text = patchOf(target, main("two = 23"));
    write(dir, { "a.patch": text });
    const { patch } = await readSupply(ws, { patch: join(dir, "a.patch") }, quest);
    expect(patch.toString()).toBe(text);
  });

  it("is refused where it is not there, too large, no patch, or leads out", async () => {
    const { ws, quest } = await opened();
    const dir = tempDir();
    write(dir, {
      large: Buffer.alloc(limit.patchBytesMax + 1),
      text: "faster please\n",
      out: "--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n",
    });
    const at = (name: string) => ({ patch: join(dir, name) });
    await refused("PATCH_MISSING", () => readSupply(ws, at("none"), quest));
    await refused("PATCH_INVALID", () => readSupply(ws, at("large"), quest));
    await refused("PATCH_INVALID", () => readSupply(ws, at("text"), quest));
    await refused("PATH_ESCAPES", () => readSupply(ws, at("out"), quest));
  });
});
