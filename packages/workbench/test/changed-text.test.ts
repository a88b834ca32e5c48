import { join } from "node:path";
import { expect, it } from "vitest";
import { changedTexts, textsAt } from "../src/changed-text.ts";
import { openWorkspace } from "../src/workspace.ts";
import { commitAll, makeTarget, run, tempDir, write } from "./fixture.ts";

it("gives both texts of every changed path, whatever its name", async () => {
  const target = makeTarget();
  write(target, {
    "src/a b\n.js": "one\n",
    "gone.js": "1\n",
    "kept.js": "same\n",
    "was.bin": Buffer.from([0, 1]),
  });
  const from = commitAll(target, "from");
  write(target, {
    "src/a b\n.js": "two\n",
    "gone.js": null,
    "new/ü.js": "neu\n",
    "new.bin": Buffer.from([0, 1, 2]),
    "large.js": "x".repeat(2_097_153),
    "was.bin": "text\n",
    "empty.js": "",
  });
  const to = commitAll(target, "to");
  const dir = join(tempDir(), "quest");
  const ws = await openWorkspace({ dir, targetRoot: target, commit: run(target, "rev-parse", "HEAD") });

  const changed = await changedTexts(ws, from, to);
  const there = changed.filter(({ oid }) => oid !== null);
  expect(there).toHaveLength(changed.length - 1);
  for (const { path, oid } of there) expect(run(target, "rev-parse", `${to}:${path}`).trim(), path).toBe(oid);
  expect(changed.map(({ oid: _, ...each }) => each)).toEqual([
    { path: "empty.js", base: null, candidate: "", binary: false },
    { path: "gone.js", base: "1\n", candidate: null, binary: false },
    { path: "large.js", base: null, candidate: null, binary: true },
    { path: "new.bin", base: null, candidate: null, binary: true },
    { path: "new/ü.js", base: null, candidate: "neu\n", binary: false },
    { path: "src/a b\n.js", base: "one\n", candidate: "two\n", binary: false },
    { path: "was.bin", base: null, candidate: "text\n", binary: false },
  ]);
  expect(await changedTexts(ws, to, to)).toEqual([]);
  expect(await textsAt(ws, to, ["kept.js", "new/ü.js", "new.bin", "none.js"])).toEqual(
    new Map([
      ["kept.js", "same\n"],
      ["new/ü.js", "neu\n"],
    ]),
  );
});
