import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createBackup } from "../src/index.ts";
import { filled, newDir } from "./rig.ts";

/** Backups that do not come to their end: real files. */

let dir: string;
let remove: () => void;
beforeAll(() => {
  ({ dir, remove } = newDir());
  filled(join(dir, "state"), 20);
});
afterAll(() => remove());

test("one that is aborted ends, and leaves nothing", async () => {
  const backups = join(dir, "aborted");
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(createBackup(join(dir, "state"), backups, { signal })).rejects.toThrow("enough");
  expect(readdirSync(backups)).toEqual([]);
});
