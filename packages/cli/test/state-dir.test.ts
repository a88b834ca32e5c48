import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { makeStateDir, refuseReadOnly } from "../src/state-dir.ts";

// The superuser may write anywhere.
test.skipIf(process.getuid?.() === 0)("a state directory that must not be written is told as that", () => {
  const dir = mkdtempSync(join(tmpdir(), "questbus-state-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  expect(makeStateDir(dir)).toBe(dir);
  chmodSync(dir, 0o500);
  for (const refuse of [makeStateDir, refuseReadOnly])
    expect(() => refuse(dir)).toThrow(expect.objectContaining({ code: "STATE_UNUSABLE" }));
});
