import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import type { QuestbusError } from "@questbus/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { credentialPath, ensureCredentials, readCredential, readNamedCredential } from "../src/index.ts";
import { newDir } from "./rig.ts";

let dir: string;
beforeEach(() => {
  dir = newDir();
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const agents = [
  { role: "qa", name: "qa-1" },
  { role: "operator", name: "me" },
] as const;

test("one file a principal, private to its owner", () => {
  const made = ensureCredentials({ dir, agents });
  expect(made.agents.map(({ role, name }) => ({ role, name }))).toEqual(agents);
  expect(made.orchestrator.role).toBe("orchestrator");
  expect(statSync(join(dir, "credentials")).mode & 0o777).toBe(0o700);
  for (const each of [made.orchestrator, made.system, ...made.agents]) {
    expect(statSync(each.path).mode & 0o777).toBe(0o600);
    expect(each.publicKey).toMatch(/^U[A-Z2-7]{55}$/);
  }
});

test("what is there is kept; rights that were opened are closed again", () => {
  const first = ensureCredentials({ dir, agents: [agents[0]] });
  const path = credentialPath(dir, "qa", "qa-1");
  chmodSync(path, 0o644);
  const second = ensureCredentials({ dir, agents });
  expect(second.agents[0]?.publicKey).toBe(first.agents[0]?.publicKey);
  expect(second.orchestrator.publicKey).toBe(first.orchestrator.publicKey);
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("a seed is in nothing that can be printed", () => {
  const { orchestrator } = ensureCredentials({ dir, agents: [] });
  const seed = readFileSync(orchestrator.path, "utf8").trim();
  expect(seed).toMatch(/^SU/);
  const printed = inspect(orchestrator, { depth: 9, showHidden: true }) + JSON.stringify(orchestrator);
  expect(printed).not.toContain(seed);
});

test("a file that is no credential is named, and its content is not", () => {
  ensureCredentials({ dir, agents });
  const path = credentialPath(dir, "qa", "qa-1");
  writeFileSync(path, "SUSECRET");
  const broken = expect.objectContaining({
    code: "STATE_BROKEN",
    message: expect.not.stringContaining("SUSECRET"),
  });
  expect(() => readCredential(path)).toThrow(broken);
  expect(() => readCredential(join(dir, "credentials", "qa-gone.nk"))).toThrow(
    expect.objectContaining({ code: "AGENT_NOT_FOUND" }),
  );
  expect(() => readCredential(join(dir, "credentials", "nobody-1.nk"))).toThrow(broken);
});

test("a file that somebody named is their mistake, and not the state's; one that is not there is not found", () => {
  const { agents: made } = ensureCredentials({ dir, agents });
  const strange = join(dir, "some.nk");
  writeFileSync(strange, readFileSync(made[0]?.path ?? ""));
  const garbage = join(dir, "qa-garbage.nk");
  writeFileSync(garbage, "SUSECRET");
  const codeOf = (path: string): string => {
    try {
      return readNamedCredential(path).name;
    } catch (error) {
      return (error as QuestbusError).code;
    }
  };
  expect(codeOf(join(dir, "nope.nk"))).toBe("AGENT_NOT_FOUND");
  expect(codeOf(join(dir, "qa-nope.nk"))).toBe("AGENT_NOT_FOUND");
  expect(codeOf(strange)).toBe("USAGE");
  expect(codeOf(garbage)).toBe("USAGE");
  expect(codeOf(made[0]?.path ?? "")).toBe("qa-1");
});

test("a name that is no token of a subject is refused", () => {
  expect(() => ensureCredentials({ dir, agents: [{ role: "qa", name: "a.b" }] })).toThrow();
  expect(() => ensureCredentials({ dir, agents: [{ role: "qa", name: "../x" }] })).toThrow();
});
