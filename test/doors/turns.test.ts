import { readFileSync } from "node:fs";
import { join } from "node:path";
import { turnCases } from "@questbus/testkit/turn-case";
import { expect, test } from "vitest";
import { playTable } from "./turn-table.ts";

test("docs/turns.md has every case of the table, and no other", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/turns.md"), "utf8");
  const told = [...text.matchAll(/^\| (.+?) \| \[([A-Z_]+)\]\(errors\.md#[a-z_]+\) \| (yes|no) \|$/gm)].map(
    ([, row, code, isBreach]) => `${row} ${code} ${isBreach}`,
  );
  const tried = turnCases.map(({ row, code, isBreach }) => `${row} ${code} ${isBreach ? "yes" : "no"}`);
  expect(told).toEqual([...new Set(tried)]);
});

test("on the real bus each case is refused with its code, recorded, and moves nothing", {
  timeout: 120_000,
}, async () => {
  const { tried, repeated } = await playTable();
  const found = tried.map(({ case: { name }, code, breaches, isMoved }) => ({
    name,
    code,
    breaches,
    isMoved,
  }));
  const wanted = tried.map(({ case: { name, code }, breachesWanted }) => {
    return { name, code, breaches: breachesWanted, isMoved: false };
  });
  expect(found).toEqual(wanted);
  expect(tried).toHaveLength(turnCases.length);
  // The same command again is the same answer, and nothing more.
  expect(repeated.again).toEqual(repeated.first);
  expect(repeated.rows).toBe(0);
});
