import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "@questbus/store";
import { expect, onTestFinished, test } from "vitest";
import { denyApproval, grantApproval } from "../src/command-approval.ts";
import { forgetMemories } from "../src/command-memory.ts";
import { pauseScope, resumeScope } from "../src/command-pause.ts";
import { verifyAudit } from "../src/command-read.ts";
import { type Common, cancelQuest, ruleOn } from "../src/command-run.ts";
import { buildProgram, withState } from "../src/program.ts";
import { readSettings } from "../src/setting.ts";
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

const ruling = { decision: "revert", reason: "x", guidance: null } as const;
test.each<[string, (common: Common) => Promise<number>]>([
  ["cancel", (common) => cancelQuest("q-aaaaaaaa", "x", common)],
  ["rule", (common) => ruleOn("e-aaaaaaaa", ruling, common)],
  ["pause of a quest", (common) => pauseScope("q-aaaaaaaa", "x", common)],
  ["resume", (common) => resumeScope("all", common)],
  ["approvals grant", (common) => grantApproval("p-aaaaaaaa", undefined, common)],
  ["approvals deny", (common) => denyApproval("p-aaaaaaaa", "x", common)],
  ["memory forget", (common) => forgetMemories(["m-1"], "x", common)],
])("%s is about what is stored: where nothing is, it makes no state", async (_, command) => {
  const above = mkdtempSync(join(tmpdir(), "questbus-state-"));
  onTestFinished(() => rmSync(above, { recursive: true }));
  const state = join(above, "state");
  const done = command({ state, json: true, signal: new AbortController().signal });
  await expect(done).rejects.toMatchObject({ code: "STATE_MISSING" });
  expect(existsSync(state)).toBe(false);
});

test.each([
  ["an empty one", ""],
  ["one of comments alone", "# sandbox: off\n"],
])("config.yaml, %s: the defaults, as without one", async (_, text) => {
  const dir = mkdtempSync(join(tmpdir(), "questbus-state-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const without = await readSettings(dir);
  writeFileSync(join(dir, "config.yaml"), text);
  expect(await readSettings(dir)).toEqual(without);
  writeFileSync(join(dir, "config.yaml"), "sandbx: off\n");
  const next = expect.stringContaining("did you mean sandbox?");
  await expect(readSettings(dir)).rejects.toMatchObject({ faults: [{ code: "CONFIG_INVALID", next }] });
});

test.each([
  [
    "of another installation",
    "questbus/0000000000000000+01234567+AYsyHcN3iSy1JAcDnJyRMdTv5lOV8HVkXlRAiaqz37GH\n",
  ],
  ["emptied", ""],
])("a verifier-key in the state, %s, is a fault of the audit; one that was given is not", async (_, line) => {
  const state = mkdtempSync(join(tmpdir(), "questbus-state-"));
  onTestFinished(() => rmSync(state, { recursive: true }));
  openStore({ dir: state, mode: "write" }).close();
  const where = join(state, "checkpoints/verifier-key");
  mkdirSync(join(state, "checkpoints"));
  writeFileSync(where, line);
  const verified = (key?: string) =>
    verifyAudit({ key }, { state, json: true, signal: new AbortController().signal });
  const next = expect.stringContaining("--key");
  await expect(verified()).rejects.toMatchObject({ faults: [{ code: "AUDIT_BROKEN", where, next }] });
  await expect(verified(line)).rejects.toMatchObject({ code: "USAGE" });
});

test.each([
  ["list them: questbus list", "list them: questbus list --state s"],
  ["run questbus audit verify on the live state", "run questbus audit verify --state s on the live state"],
  [
    "questbus backup list, then questbus backup restore NAME",
    "questbus backup list --state s, then questbus backup restore --state s NAME",
  ],
  ["the output of `questbus audit`", "the output of `questbus audit --state s`"],
  ["run questbus up once, or check --state DIR", "run questbus up once, or check --state DIR"],
  ["see questbus help backup verify", "see questbus help backup verify"],
  ["questbus keeps its files there", "questbus keeps its files there"],
])("what to do next names the state directory that was named: %s", (next, shown) => {
  const program = buildProgram(new AbortController().signal, () => {});
  expect(withState(next, program, "s")).toBe(shown);
  expect(withState(next, program, ".questbus")).toBe(next);
});
