import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import asyncapiSchema from "@asyncapi/specs/schemas/3.1.0-without-$id.json" with { type: "json" };
import {
  answer,
  commandData,
  envelope,
  eventBody,
  eventPage,
  eventTypes,
  journalRow,
  limit,
  taskResult,
  tasks,
  type Verb,
  verbs,
} from "@questbus/protocol";
import { Ajv } from "ajv";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";

/**
 * What other languages are given: one recorded message of each type (schemas/examples), which both the contracts and the
 * schemas made from them must take, and the description of the bus. An example is never changed: a message that was
 * valid once stays valid.
 */
const folder = join(import.meta.dirname, "../../schemas");
const read = (path: string): unknown => JSON.parse(readFileSync(join(folder, path), "utf8"));

const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false });
for (const file of readdirSync(folder)) if (file.endsWith(".json")) ajv.addSchema(read(file) as object);

/** Every fault that a JSON Schema of schemas/ finds. */
function faultsBySchema(name: string, value: unknown): unknown[] {
  const check = ajv.getSchema(`questbus:${name}.v1`);
  if (!check) throw new Error(`schemas/ has no ${name}`);
  return check(value) ? [] : (check.errors ?? []);
}

const files = readdirSync(join(folder, "examples"));
const names = files.map((file) => file.replace(/\.v1\.json$/, "")).sort();

test("every type of message has its example", () => {
  const wanted = [
    ...verbs.map((verb) => `command.${verb}`),
    ...eventTypes.map((type) => `event.${type}`),
    `event.${eventPage}`,
  ];
  expect(names.filter((name) => !name.startsWith("answer."))).toEqual(wanted.sort());
  expect(names).toContain("answer.refused");
});

/** Every fault of an example's data: each contract throws, and each schema names its own. */
function faultsOf(kind: string, type: string, data: unknown): unknown[] {
  if (kind === "command") {
    commandData[type as Verb].parse(data);
    return faultsBySchema(`command.${type}`, data);
  }
  const rows = type === eventPage ? (data as { rows: unknown[] }).rows : [data];
  return rows.flatMap((each) => {
    const row = journalRow.parse(each);
    eventBody[row.type].parse(row.body);
    if (type !== eventPage) expect(row.type).toBe(type);
    return [...faultsBySchema("row", each), ...faultsBySchema(`event.${row.type}`, row.body)];
  });
}

test.each(names)("the example %s holds what its contract and its schema ask for", (name) => {
  const [kind = "", ...rest] = name.split(".");
  const example = read(`examples/${name}.v1.json`);
  if (kind === "answer") {
    answer.parse(example);
    return expect(faultsBySchema("answer", example)).toEqual([]);
  }
  const { type, data } = envelope.parse(example);
  expect(type).toBe(`questbus.${name}.v1`);
  expect(faultsBySchema("envelope", example)).toEqual([]);
  expect(faultsOf(kind, rest.join("."), data)).toEqual([]);
});

test("a wrong message is refused by the schemas too", () => {
  const claim = { waitMs: -1, more: true };
  expect(commandData.claim.safeParse(claim).success).toBe(false);
  expect(faultsBySchema("command.claim", claim)).toHaveLength(2);
});

describe("schemas/asyncapi.yaml", () => {
  const text = readFileSync(join(folder, "asyncapi.yaml"), "utf8");
  const document = parse(text) as Record<string, unknown>;

  test("is valid AsyncAPI", () => {
    const check = new Ajv({ strict: false, allErrors: true, validateFormats: false, logger: false }).compile(
      asyncapiSchema,
    );
    expect(check(document), JSON.stringify(check.errors?.slice(0, 3))).toBe(true);
    expect(check({ ...document, operations: { claim: { action: "shout" } } })).toBe(false);
  });

  test("refers to nothing that is not there", () => {
    const refs = [...text.matchAll(/\$ref: "?([^"\n]+)"?/g)].map(([, target = ""]) => target);
    expect(refs.length).toBeGreaterThan(100);
    const isThere = (target: string): boolean => {
      if (!target.startsWith("#/")) return readdirSync(folder).includes(target.replace("./", ""));
      let here: unknown = document;
      for (const part of target.slice(2).split("/"))
        here = (here as Record<string, unknown> | undefined)?.[part];
      return here !== undefined;
    };
    expect(refs.filter((target) => !isThere(target))).toEqual([]);
  });
});

describe("docs/protocol.md", () => {
  const text = readFileSync(join(folder, "../docs/protocol.md"), "utf8");
  /** The first and the other cells of each row of a table. */
  const rows = [...text.matchAll(/^\| (.*) \|$/gm)].map(([, row = ""]) => row.split(" | "));

  test("has every verb, and no other", () => {
    const isVerb = ([, by = ""]: string[]): boolean => /^(agents|worker|operator|arbiter)/.test(by);
    const named = rows.filter(isVerb).flatMap(([verb = ""]) => verb.match(/[a-z]+/g) ?? []);
    expect(named.sort()).toEqual([...verbs].sort());
  });

  test("has every task with its role's phase, and with each key of its result that it names", () => {
    const told = rows.filter((cells) => /^(test|fix|validate)$/.test(cells[1] ?? ""));
    expect(told.map(([, , task = ""]) => task.replaceAll("`", "")).sort()).toEqual([...tasks].sort());
    for (const [, , task = "", result = ""] of told) {
      const named = [...result.matchAll(/`([a-zA-Z]+)\??`/g)].map(([, key = ""]) => key);
      const { shape } = taskResult[task.replaceAll("`", "") as keyof typeof taskResult];
      expect(Object.keys(shape), task).toEqual(expect.arrayContaining(named));
    }
  });

  test("has the bounds as they are", () => {
    const {
      messageBytesMax,
      claimWaitMsMax,
      leaseMs,
      renewEveryMs,
      suppliedPatchCharsMax,
      queueOfSenderMax,
    } = limit;
    const { stepCharsMax, placeCharsMax, noteCharsMax, reasonCharsMax, suspicionsMax, asksClaimedMax } =
      limit;
    const large = [
      messageBytesMax,
      claimWaitMsMax,
      leaseMs,
      renewEveryMs,
      suppliedPatchCharsMax,
      queueOfSenderMax,
    ];
    const small = [stepCharsMax, placeCharsMax, noteCharsMax, reasonCharsMax, suspicionsMax, asksClaimedMax];
    const bounds = text.slice(text.indexOf("## Bounds"));
    for (const value of [...large, ...small]) expect(bounds).toContain(` ${value.toLocaleString("en-US")}`);
  });
});
