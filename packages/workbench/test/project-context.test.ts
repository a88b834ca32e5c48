import { createHash } from "node:crypto";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { limit, projectContext } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { documentsAmong, readProjectContext } from "../src/project-context.ts";
import { commitAll, hashDir, makeTarget, run, write } from "./fixture.ts";

const among = (...paths: string[]) => documentsAmong(paths.map((path) => ({ path }))).map(({ path }) => path);

describe("documents of a project", () => {
  test.each([
    ["those for agents, not the README", ["README.md", "CLAUDE.md", "AGENTS.md"], ["CLAUDE.md", "AGENTS.md"]],
    ["else the README", ["src/a.js", "README"], ["README"]],
    [
      "docs after them, the outer ones first",
      ["docs/b/c.md", "docs/z.md", "docs/a.md", "README.md"],
      ["README.md", "docs/a.md", "docs/z.md", "docs/b/c.md"],
    ],
    ["no code, no README of a part", ["docs/conf.py", "packages/a/README.md", "src/AGENTS.md"], []],
  ])("are %s", (_what, paths, wanted) => {
    expect(among(...paths)).toEqual(wanted);
  });

  test("are read from the commit, with the hash of the whole file; the target is left as it is", async () => {
    const target = makeTarget();
    const long = `${"a line of the guide\n".repeat(1_000)}`;
    write(target, {
      "AGENTS.md": "Run the suite with TZ=UTC.\n",
      "docs/guide.md": long,
      "docs/blob.md": "a\0b",
    });
    symlinkSync("/etc/passwd", join(target, "docs", "link.md"));
    commitAll(target, "docs");
    const commit = run(target, "rev-parse", "HEAD");
    write(target, { "AGENTS.md": "changed since" });
    const before = hashDir(target);
    const files = await readProjectContext(target, commit);
    expect(hashDir(target)).toBe(before);
    expect(files.map(({ path }) => path)).toEqual(["AGENTS.md", "docs/guide.md"]);
    const [agents, guide] = files;
    expect(agents).toMatchObject({ text: "Run the suite with TZ=UTC.\n", sizeBytes: 27 });
    expect(guide).toMatchObject({
      sizeBytes: long.length,
      sha256: createHash("sha256").update(long).digest("hex"),
    });
    expect(guide?.text.length).toBeLessThanOrEqual(limit.contextFileBytesMax);
    expect(guide?.text.endsWith("guide\n")).toBe(true);
    expect(projectContext.parse(files)).toEqual(files);
  });

  test("are bounded in number and bytes, and cut between characters", async () => {
    const target = makeTarget();
    const names = Array.from({ length: 20 }, (_, at) => `docs/${String(at).padStart(2, "0")}.md`);
    write(target, Object.fromEntries(names.map((name) => [name, "ü€𐐷".repeat(400)])));
    commitAll(target, "docs");
    const files = await readProjectContext(target, "HEAD");
    expect(files.length).toBeLessThanOrEqual(limit.contextFilesMax);
    const bytes = files.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    expect(bytes).toBeLessThanOrEqual(limit.contextBytesMax);
    expect(bytes).toBeGreaterThan(limit.contextBytesMax - 8);
    for (const { text } of files) expect(text).not.toContain("\ufffd");
  });

  test("there may be none", async () => {
    const target = makeTarget();
    write(target, { "README.md": null });
    commitAll(target, "no readme");
    expect(await readProjectContext(target, "HEAD")).toEqual([]);
  });
});
