import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { groupsDir } from "@questbus/agent";
import type { BusClient } from "@questbus/bus";
import { openMemoryStore } from "@questbus/store";
import { expect, test } from "vitest";
import { cancelOn } from "../src/command-run.ts";

test.each([
  ["the stack's own agent", "qa", "qa"],
  ["an agent of a user's own", "mine", "qa-mine"],
])("a quest's trees stay until what %s runs for it has ended", async (_, holder, session) => {
  const stateDir = mkdtempSync(join(tmpdir(), "questbus-cancel-"));
  const records = join(groupsDir(stateDir), session);
  mkdirSync(records, { recursive: true });
  const record = join(records, "4194303");
  writeFileSync(record, "1");
  const store = openMemoryStore("test");
  const quest = "q-aaaaaaaa";
  const listAssignments = () => [{ quest, role: "qa", holder }] as ReturnType<typeof store.listAssignments>;
  let hasEnded = false;
  const end = (): void => {
    hasEnded = true;
    rmSync(record);
  };
  const operator = {
    request: async () => {
      setTimeout(end, 50);
      return {};
    },
  } as unknown as BusClient;
  const reading = { ...store, listAssignments };
  expect(await cancelOn(operator, { quest, reason: "x" }, { store: reading, stateDir })).toEqual({
    answer: {},
    ended: true,
  });
  expect(hasEnded).toBe(true);
  store.close();
  rmSync(stateDir, { recursive: true });
});
