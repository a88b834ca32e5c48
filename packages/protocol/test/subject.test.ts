import { describe, expect, test } from "vitest";
import {
  commandSubject,
  commandsAll,
  commandsOf,
  deadSubject,
  eventSubject,
  eventsAll,
  parseCommandSubject,
  principals,
  verbs,
  verbsOf,
} from "../src/index.ts";

describe("the subject of a command", () => {
  test("is read back for every principal and every verb it may send", () => {
    for (const role of principals) {
      for (const verb of verbsOf[role]) {
        expect(parseCommandSubject(`local.cmd.${role}.${role}-1.${verb}`)).toEqual({
          actor: { role, name: `${role}-1` },
          verb,
        });
      }
    }
  });

  test.each([
    "",
    "local",
    "local.cmd.qa.qa-1",
    "local.cmd.qa.qa-1.claim.now",
    "local.cmd.qa.qa-1.steal",
    "local.cmd.qa.qa-1.toString",
    "local.cmd.qa.qa-1.Claim",
    "local.cmd.boss.qa-1.claim",
    "local.cmd.orchestrator.orchestrator.claim",
    "local.cmd.qa..claim",
    "local.cmd.qa.QA.claim",
    "local.cmd.qa.-qa.claim",
    "local.cmd.qa.*.claim",
    "local.cmd.qa.>.claim",
    `local.cmd.qa.${"a".repeat(64)}.claim`,
    "local.event.qa.qa-1.claim",
    "local.qa.qa-1.claim",
    "cmd.qa.qa-1.claim",
  ])("%j is none", (subject) => {
    expect(parseCommandSubject(subject)).toBeNull();
  });

  test("as its sender publishes it, it names the space, who sends, and what", () => {
    expect(commandSubject("local", { role: "qa", name: "qa-1" }, "claim")).toBe("local.qa.qa-1.claim");
  });
});

test("the wildcards cover what they are for", () => {
  expect(commandsOf("local", "qa")).toBe("local.cmd.qa.>");
  expect(commandsAll("local")).toBe("local.cmd.>");
  expect(eventsAll("local")).toBe("local.event.>");
});

test("an event of no quest belongs to the stack; a dead letter names its reason", () => {
  expect(eventSubject("local", "q-abcdefgh", "pass.started")).toBe("local.event.q-abcdefgh.pass.started");
  expect(eventSubject("local", null, "agent.joined")).toBe("local.event.stack.agent.joined");
  expect(deadSubject("local", "MESSAGE_INVALID")).toBe("local.dead.message_invalid");
});

describe("who may send what", () => {
  test("every verb has a sender, and no principal is without one", () => {
    const allowed = Object.values(verbsOf).flat();
    expect(verbs.filter((verb) => !allowed.includes(verb))).toEqual([]);
    expect(principals.filter((principal) => verbsOf[principal].length === 0)).toEqual([]);
  });

  test("no agent submits, cancels or rules; the operator does not rule; the arbiter does nothing else", () => {
    for (const role of ["architect", "performance", "qa", "ops"] as const) {
      expect(verbsOf[role].filter((verb) => ["submit", "cancel", "rule"].includes(verb))).toEqual([]);
    }
    expect(verbsOf.operator).not.toContain("rule");
    expect(verbsOf.arbiter).toEqual(["rule"]);
  });
});
