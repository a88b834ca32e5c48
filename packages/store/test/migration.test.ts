import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { migrationsIn } from "../src/migration.ts";
import { newDir } from "./rig.ts";

let dir: string;
let remove: () => void;
beforeEach(() => {
  ({ dir, remove } = newDir());
});
afterEach(() => remove());

test("migrations are read in the order of their numbers, with their checksums", () => {
  for (const name of ["0002-b.sql", "0001-a.sql", "README.md"]) writeFileSync(join(dir, name), `-- ${name}`);
  const checksum = createHash("sha256").update("-- 0001-a.sql").digest("hex");
  expect(migrationsIn(dir)).toMatchObject([{ version: 1, name: "0001-a.sql", checksum }, { version: 2 }]);
});

test.each([
  ["a gap", ["0001-a.sql", "0003-c.sql"]],
  ["a number used twice", ["0001-a.sql", "0001-b.sql"]],
  ["no number", ["a.sql"]],
])("%s is refused", (_what, names) => {
  for (const name of names) writeFileSync(join(dir, name), "");
  expect(() => migrationsIn(dir)).toThrow(/out of order/);
});

test("the shipped ones are as they were released", () => {
  // A released migration is never changed: add the next number instead, and its line here.
  expect(
    migrationsIn().map(({ name, checksum }) => `${name} ${checksum.slice(0, 16)}`),
  ).toMatchInlineSnapshot(`
    [
      "0001-journal.sql 9ac1169eb4fc277e",
      "0002-projection.sql 1760813a255f0881",
      "0003-timer.sql 3d90dd0663cc33de",
      "0004-ask.sql be818391600760e9",
      "0005-dead-letter.sql f5525f54f10a2423",
      "0006-memory.sql 0419fa2cf4d69cdc",
    ]
  `);
});
