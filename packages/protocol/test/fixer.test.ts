import { describe, expect, test } from "vitest";
import { fixer, limit, normaliseFixer } from "../src/index.ts";

const env = { file: ".env", key: "POOL_SIZE" };
const pool = { name: "pool", values: [1, 2, 4], env };
const batch = {
  name: "batch",
  from: 1,
  to: 4096,
  scale: "log",
  integer: true,
  json: { file: "c.json", pointer: "/b" },
};
const knobs = (parameters: unknown[], more: object = {}) => ({ knobs: { parameters, ...more } });

const faultsOf = (written: unknown): [string, string][] =>
  flat(fixer.safeParse(written).error?.issues ?? []).map(({ path, message }) => [path.join("."), message]);

type Issue = { path: PropertyKey[]; message: string; code?: string | undefined; errors?: Issue[][] };
const flat = (issues: readonly object[]): Issue[] =>
  (issues as Issue[]).flatMap((each) =>
    each.code === "invalid_union"
      ? flat(each.errors?.find((branch) => branch[0]?.path[0] === "knobs") ?? [])
      : [each],
  );

describe("a knobs fixer", () => {
  test("in plain units, with its defaults", () => {
    const spec = normaliseFixer(fixer.parse(knobs([pool, batch], { seed: 7 })), () => {
      throw new RangeError("no patch");
    });
    expect(spec).toEqual({
      kind: "knobs",
      name: "knobs pool, batch",
      trials: 16,
      seed: "7",
      parameters: [
        {
          name: "pool",
          domain: { kind: "values", values: [1, 2, 4] },
          place: { kind: "env", create: false, ...env },
        },
        {
          name: "batch",
          domain: { kind: "range", from: 1, to: 4096, scale: "log", integer: true },
          place: { kind: "json", create: false, file: "c.json", pointer: "/b" },
        },
      ],
    });
  });

  test("a template is beside its file unless it says where", () => {
    const template = { file: "nginx.conf", placeholder: "@N@", create: true };
    const spec = normaliseFixer(fixer.parse(knobs([{ name: "n", values: [1], template }])), () => {
      throw new RangeError("no patch");
    });
    expect(spec).toMatchObject({ parameters: [{ place: { kind: "template", from: "nginx.conf.tmpl" } }] });
  });

  test.each<[string, unknown[], string, string]>([
    ["neither values nor range", [{ name: "a", env }], "0", "give either values, or from and to"],
    ["both", [{ ...pool, from: 1, to: 2 }], "0", "give either values, or from and to"],
    ["half a range", [{ name: "a", from: 1, env }], "0", "a range has both from and to"],
    ["a range that goes down", [{ name: "a", from: 2, to: 1, env }], "0.to", "to must be more than from"],
    [
      "a log scale from 0",
      [{ name: "a", from: 0, to: 9, scale: "log", env }],
      "0.from",
      "a log scale starts above 0",
    ],
    [
      "integers between halves",
      [{ name: "a", from: 0.5, to: 9, integer: true, env }],
      "0.integer",
      "the ends of a range of integers are integers",
    ],
    [
      "no place",
      [{ name: "a", values: [1] }],
      "0",
      "say once where it is written: env, json, yaml or template",
    ],
    [
      "two places",
      [{ ...pool, json: { file: "a", pointer: "/a" } }],
      "0",
      "say once where it is written: env, json, yaml or template",
    ],
    ["the same name twice", [pool, pool], "1.name", "the name pool is used twice"],
    [
      "no pointer",
      [{ name: "a", values: [1], yaml: { file: "a", pointer: "a.b" } }],
      "0.yaml.pointer",
      "write a JSON pointer such as /pool/size (RFC 6901)",
    ],
  ])("%s", (_, parameters, path, message) => {
    expect(faultsOf(knobs(parameters))).toEqual([[`knobs.parameters.${path}`, message]]);
  });

  test("its numbers are bounded", () => {
    expect(faultsOf(knobs([pool], { trials: limit.knobTrialsMax + 1 }))).toHaveLength(1);
    expect(faultsOf(knobs([]))).toHaveLength(1);
  });
});

describe("a cli fixer", () => {
  const next = (): never => {
    throw new RangeError("no patch");
  };

  test("in plain units, with its defaults", () => {
    expect(normaliseFixer(fixer.parse({ cli: "codex" }), next)).toEqual({
      kind: "cli",
      name: "codex",
      cli: "codex",
      model: null,
      extraArgs: [],
      env: [],
      timeoutMs: 1_800_000,
      quotaWaitMs: 3_600_000,
    });
    expect(normaliseFixer(fixer.parse({ cli: "claude", model: "opus" }), next)).toMatchObject({
      name: "claude (opus)",
    });
  });

  test.each([{ cli: "copilot" }, { cli: "claude", env: ["KEY=value"] }, { cli: "claude", quotaWait: "1" }])(
    "%j is refused",
    (written) => {
      expect(fixer.safeParse(written).success).toBe(false);
    },
  );
});

describe("a turns fixer", () => {
  const turns = { leader: "performance", workers: ["qa", "ops"] };
  const none = (): never => {
    throw new RangeError("no patch");
  };

  test("in plain units, with its defaults", () => {
    expect(normaliseFixer(fixer.parse({ turns }), none)).toEqual({
      ...{ kind: "turns", name: "turns", ask: null, turnMs: 300_000, turnsMax: 32, onBreach: "warn" },
      ...turns,
    });
    const more = { ask: "faster", turnWithin: "90s", turnsMax: 4, onBreach: "cancel" };
    expect(normaliseFixer(fixer.parse({ turns: { ...turns, ...more } }), none)).toMatchObject({
      ...{ ask: "faster", turnMs: 90_000, turnsMax: 4, onBreach: "cancel" },
    });
  });

  test.each<[string, object, string, string]>([
    [
      "a leader that is a worker too",
      { workers: ["qa", "performance"] },
      "turns.workers",
      "not one of its workers",
    ],
    ["a role named twice", { workers: ["qa", "qa"] }, "turns.workers", "once"],
    ["no worker", { workers: [] }, "turns.workers", "1"],
    ["a role that there is not", { leader: "boss" }, "turns.leader", "expected one of"],
    ["a policy that there is not", { onBreach: "shout" }, "turns.onBreach", "expected one of"],
    ["one turn alone", { turnsMax: 1 }, "turns.turnsMax", "2"],
    ["a time without a unit", { turnWithin: "5" }, "turns.turnWithin", "60s"],
  ])("%s is refused at its place", (_, wrong, place, words) => {
    const issues = fixer.safeParse({ turns: { ...turns, ...wrong } }).error?.issues ?? [];
    const branch = issues
      .flatMap((each) => (each.code === "invalid_union" ? each.errors : []))
      .find(([first]) => first?.path[0] === "turns");
    const found = branch ?? issues;
    expect(found.map(({ path }) => path.join("."))).toEqual([place]);
    expect(found[0]?.message).toContain(words);
  });
});
