import type { Knob, KnobPlace, KnobValue } from "@questbus/protocol";
import { QuestbusError } from "@questbus/protocol";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { knobFiles, renderKnobs } from "../src/knob-place.ts";

type Given = KnobPlace extends infer P ? (P extends KnobPlace ? Omit<P, "file" | "create"> : never) : never;

const at = (given: Given, create = false): Knob => ({
  name: "x",
  domain: { kind: "values", values: [1] },
  place: { ...given, file: "file", create } as KnobPlace,
});
const rendered = (knob: Knob, text: string | null, value: KnobValue, more: [string, string][] = []): string =>
  renderKnobs([knob], { x: value }, new Map([["file", text], ...more])).get("file") ?? "";

function refusal(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof QuestbusError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return "no refusal";
}

const env = (key: string) => ({ kind: "env", key }) as const;
const json = (pointer: string) => ({ kind: "json", pointer }) as const;
const yaml = (pointer: string) => ({ kind: "yaml", pointer }) as const;

describe("a value is written in its place, and nothing else changes", () => {
  test.each<[string, Knob, string | null, KnobValue, string]>([
    ["a line", at(env("POOL")), "A=1\nPOOL=4\nB=2\n", 8, "A=1\nPOOL=8\nB=2\n"],
    ["a line with a comment", at(env("POOL")), "POOL = 4  # connections\n", 8, "POOL = 8  # connections\n"],
    ["an exported line in quotes", at(env("POOL")), 'export POOL="a # b"\n', "c d", 'export POOL="c d"\n'],
    ["every line of that key: the last one counts", at(env("P")), "P=1\nPP=1\nP=2", 3, "P=3\nPP=1\nP=3"],
    ["an empty line", at(env("P")), "P=\nQ=1\n", 3, "P=3\nQ=1\n"],
    ["a line that is made", at(env("P"), true), "Q=1", 3, "Q=1\nP=3\n"],
    ["a file that is made", at(env("P"), true), null, 3, "P=3\n"],
    ["a commented line is no line", at(env("P"), true), "#P=1\n", 3, "#P=1\nP=3\n"],
    ["JSON", at(json("/a/b")), '{ "a": { "b": 1, "c": [1,2] } }', 2, '{ "a": { "b": 2, "c": [1,2] } }'],
    ["JSON text", at(json("/a")), '{"a":"x"}', 'y"', '{"a":"y\\""}'],
    ["in a list", at(json("/a/1")), '{"a":[1, 2, 3]}', 9, '{"a":[1, 9, 3]}'],
    ["escaped keys", at(json("/a~1b/~0")), '{"a/b":{"~":true}}', false, '{"a/b":{"~":false}}'],
    [
      "JSON that is made",
      at(json("/a/b"), true),
      '{\n    "c": 1\n}\n',
      2,
      '{\n    "c": 1,\n    "a": {\n        "b": 2\n    }\n}\n',
    ],
    [
      "YAML, with its comments",
      at(yaml("/pool/size")),
      "# top\npool:\n  size: 4 # few\n  name: x\n",
      8,
      "# top\npool:\n  size: 8 # few\n  name: x\n",
    ],
    ["YAML text that would read as a number", at(yaml("/a")), "a: x\n", "8", 'a: "8"\n'],
    ["YAML text in a list in one line", at(yaml("/a/1")), "a: [x, y]\n", "p, q", 'a: [x, "p, q"]\n'],
    ["YAML text that would read as a boolean", at(yaml("/a")), "a: x\n", "true", 'a: "true"\n'],
    ["YAML that is made", at(yaml("/a/b"), true), "# top\nc: 1\n", 2, "# top\nc: 1\na:\n  b: 2\n"],
  ])("%s", (_, knob, text, value, wanted) => {
    expect(rendered(knob, text, value)).toBe(wanted);
  });

  test("a template is rendered from its own text each time; $ means nothing", () => {
    const knob = at({ kind: "template", from: "file.tmpl", placeholder: "@N@" });
    expect(rendered(knob, "old", "$&", [["file.tmpl", "n @N@ and @N@\n"]])).toBe("n $& and $&\n");
  });

  test("several parameters in one file", () => {
    const second: Knob = { ...at(env("B")), name: "y" };
    const texts = renderKnobs([at(env("A")), second], { x: 3, y: 4 }, new Map([["file", "A=1\nB=2\n"]]));
    expect(texts.get("file")).toBe("A=3\nB=4\n");
    expect(knobFiles([at(env("A")), second])).toEqual({ written: ["file"], read: ["file"] });
  });

  test("whatever value is written in YAML and JSON reads back as itself", () => {
    const values = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
    );
    /** JSON has no minus zero, and YAML reads one or the other. */
    const plain = (value: unknown): unknown => (Object.is(value, -0) ? 0 : value);
    fc.assert(
      fc.property(values, (value) => {
        const wanted = plain(value);
        expect(JSON.parse(rendered(at(json("/a")), '{"b":1,"a":2}', value)).a).toEqual(wanted);
        const read = parse(rendered(at(yaml("/o/a")), "o:\n  a: 2 # two\n  b: 1\n", value));
        expect(plain(read.o.a)).toEqual(wanted);
        expect(read.o.b).toBe(1);
      }),
    );
  });
});

describe("a place that is not there is refused, and named", () => {
  test.each<[string, Knob, string | null, string]>([
    ["no file", at(env("P")), null, "no such file"],
    ["no line", at(env("P")), "PQ=1\n", "no line P="],
    ["no JSON", at(json("/a")), "{", "not JSON"],
    ["nothing at the pointer", at(json("/a/c")), '{"a":{"b":1}}', "nothing at /a/c"],
    ["a map at the pointer", at(yaml("/a")), "a:\n  b: 1\n", "no plain value"],
    ["an alias at the pointer", at(yaml("/b")), "a: &x 1\nb: *x\n", "no plain value"],
    ["broken YAML", at(yaml("/a")), "a: [1\n", "cannot be read"],
    ["no template", at({ kind: "template", from: "t", placeholder: "@" }), "x", "no template t"],
    ["nothing can be made below a number", at(json("/a/b"), true), '{"a":1}', "cannot be made"],
  ])("%s", (_, knob, text, said) => {
    expect(refusal(() => rendered(knob, text, 1))).toMatch(/^KNOB_PLACE_MISSING: /);
    expect(refusal(() => rendered(knob, text, 1))).toContain(said);
  });

  test("a placeholder that the template does not have", () => {
    const knob = at({ kind: "template", from: "t", placeholder: "@" });
    expect(refusal(() => rendered(knob, "x", 1, [["t", "plain"]]))).toContain("t has no @");
  });
});
