import { verbs, wrap } from "@questbus/protocol";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readCommand } from "../src/incoming.ts";

const subject = "local.cmd.qa.qa1.hello";
const hello = { incarnation: "one", pid: 1 };
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const message = (data: unknown, verb = "hello"): Uint8Array =>
  encode(wrap(`command.${verb}`, { id: "1", source: "test", timeMs: 0 }, data));

test("a valid message is read", () => {
  expect(readCommand(subject, message(hello))).toEqual({
    ok: true,
    command: { id: "1", actor: { role: "qa", name: "qa1" }, verb: "hello", data: hello, traceparent: null },
  });
});

test.each([
  "local.cmd.qa.qa1.unknown",
  "local.cmd.nobody.x.hello",
  "local.cmd.qa.hello",
  "local.event.x",
  "x",
  "",
])("the subject %j is refused", (wrong) => {
  expect(readCommand(wrong, message(hello))).toMatchObject({
    ok: false,
    dead: { actor: null, subject: wrong },
  });
});

test("whatever the bytes, the answer is a command or its faults", () => {
  const anySubject = fc.constantFrom(...verbs).map((verb) => `local.cmd.qa.qa1.${verb}`);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => new TextEncoder().encode(text)),
    fc.jsonValue().map((value) => message(value)),
    fc.tuple(fc.constantFrom(...verbs), fc.jsonValue()).map(([verb, value]) => message(value, verb)),
  );
  fc.assert(
    fc.property(anySubject, bytes, (to, given) => {
      const reading = readCommand(to, given);
      if (reading.ok) return;
      expect(reading.faults.length).toBeGreaterThan(0);
      expect(reading.dead.faults).toHaveLength(reading.faults.length);
      expect(reading.dead.excerpt.isWellFormed()).toBe(true);
    }),
    { numRuns: 500 },
  );
});

test("half a surrogate pair is refused where it stands: it could not be stored", () => {
  const text = new TextDecoder().decode(message({ incarnation: "XX", pid: 1 }));
  for (const half of ["\\ud800", "\\uDFFF", "\\uDc00"]) {
    expect(readCommand(subject, new TextEncoder().encode(text.replace("XX", half)))).toMatchObject({
      ok: false,
      faults: [{ where: "data.incarnation" }],
    });
  }
  expect(readCommand(subject, new TextEncoder().encode(text.replace("XX", "\\ud83d\\ude00"))).ok).toBe(true);
});

test("a message of very deep nesting is refused, not choked on", () => {
  const deep = `{"data":${"[".repeat(200)}"\\ud800"${"]".repeat(200)}}`;
  expect(readCommand(subject, new TextEncoder().encode(deep)).ok).toBe(false);
  const deeper = `${"[".repeat(20_000)}"\\ud800"${"]".repeat(20_000)}`;
  expect(readCommand(subject, new TextEncoder().encode(deeper)).ok).toBe(false);
});

test("of a union, the faults of the nearest branch are told", () => {
  const submit = {
    document: {
      version: 1,
      title: "t",
      target: { repo: "." },
      measure: { command: "x", metric: { name: "m", from: "wall-time" } },
      goal: { improveBy: "5%" },
      tests: { command: "x" },
      fixers: [{ patch: "" }],
    },
    questDir: "/x",
    base: { commit: "0", tree: "0".repeat(40) },
    resolved: [],
    digest: "0".repeat(64),
  };
  const reading = readCommand("local.cmd.operator.me.submit", message(submit, "submit"));
  expect(reading.ok ? [] : reading.faults.map((fault) => fault.where)).toEqual([
    "data.document.fixers[0].patch",
    "data.base.commit",
  ]);
});

test("many faults are counted, not all told", () => {
  const result = { values: Array.from({ length: 200 }, () => "x") };
  const reading = readCommand("local.cmd.qa.qa1.report", message({ task: "base-measure", result }, "report"));
  expect(reading.ok ? 0 : reading.faults.length).toBe(65);
  expect(reading.ok ? "" : reading.faults.at(-1)?.message).toMatch(/^and \d+ more$/);
});

test("a fault that repeats the sender's words keeps them short and storable", () => {
  const data = { ...hello, ["x".repeat(100_000)]: 1, "y\ud800": 1 };
  for (const given of [message(data), message({ ...hello, "\ud800": 1 })]) {
    const reading = readCommand(subject, given);
    expect(reading.ok).toBe(false);
    const texts = reading.ok ? [] : reading.dead.faults;
    expect(texts.every((text) => text.length < 1_000 && text.isWellFormed())).toBe(true);
  }
});

test("data that grow beyond the limit when they are passed on are too large", () => {
  const values = `[${Array.from({ length: 200_000 }, () => "1e20").join(",")}]`;
  const report = {
    assignment: "q-aaaaaaaa.performance",
    epoch: 1,
    pass: 1,
    phase: "test",
    task: "base-measure",
    summary: "s",
    fault: null,
    result: { values: "VALUES", cv: 0, detectable: 0, pairsNeeded: null, wallMs: 1 },
    signOff: null,
    artifacts: [],
  };
  const text = new TextDecoder().decode(message(report, "report")).replace('"VALUES"', values);
  const bytes = new TextEncoder().encode(text);
  expect(bytes.length).toBeLessThan(1_048_576);
  expect(readCommand("local.cmd.performance.p1.report", bytes)).toMatchObject({
    ok: false,
    dead: { code: "MESSAGE_TOO_LARGE" },
  });
});
