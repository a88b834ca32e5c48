import { describe, expect, test } from "vitest";
import { envelope, eventTypes, verbs, wrap } from "../src/index.ts";

const head = { id: "c-1", source: "questbus/agent/qa-1", timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6) };
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("an envelope", () => {
  test("has the attributes of a CloudEvent", () => {
    expect(
      wrap("command.claim", { ...head, subject: "local.qa.qa-1.claim", traceparent }, { waitMs: 5 }),
    ).toEqual({
      specversion: "1.0",
      id: "c-1",
      type: "questbus.command.claim.v1",
      source: "questbus/agent/qa-1",
      subject: "local.qa.qa-1.claim",
      time: "2026-01-02T03:04:05.006Z",
      dataschema: "questbus:command.claim.v1",
      datacontenttype: "application/json",
      traceparent,
      data: { waitMs: 5 },
    });
  });

  test("of every command and event is valid", () => {
    const names = [...verbs.map((verb) => `command.${verb}`), ...eventTypes.map((type) => `event.${type}`)];
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) {
      const wrapped = wrap(name, head, { any: "thing" });
      expect(envelope.parse(JSON.parse(JSON.stringify(wrapped)))).toEqual(wrapped);
    }
  });

  test("leaves out what it was not given", () => {
    expect(Object.keys(wrap("command.claim", head, null))).not.toContain("traceparent");
    expect(Object.keys(wrap("command.claim", head, null))).not.toContain("subject");
  });

  test("takes JSON as its content type when none is named, and lets extensions pass", () => {
    const { datacontenttype, ...bare } = wrap("command.claim", head, null);
    expect(envelope.parse({ ...bare, extension: "x" }).datacontenttype).toBe(datacontenttype);
  });

  test.each<[string, unknown]>([
    ["specversion", "0.3"],
    ["id", ""],
    ["id", "x".repeat(129)],
    ["type", "questbus.claim.v1"],
    ["type", "questbus.command.claim"],
    ["type", "Questbus.command.claim.v1"],
    ["type", "other.command.claim.v1"],
    ["type", "questbus.command.claim.v1 "],
    ["source", ""],
    ["subject", ""],
    ["time", "yesterday"],
    ["time", "2026-01-02T03:04:05+01:00"],
    ["time", 1_767_323_045],
    ["dataschema", undefined],
    ["datacontenttype", "text/plain"],
    ["traceparent", "00-xyz-1-01"],
    ["traceparent", `01${traceparent.slice(2)}`],
  ])("is refused with %s = %j", (attribute, value) => {
    const result = envelope.safeParse({ ...wrap("command.claim", head, null), [attribute]: value });
    expect(result.error?.issues.map(({ path }) => path.join("."))).toEqual([attribute]);
  });
});
