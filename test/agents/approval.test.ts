import type { TaskContext } from "@questbus/agent";
import { operationsIn } from "@questbus/core";
import {
  type Brief,
  normaliseQuest,
  questDocument,
  type RestrictedOperation,
  type SettleOrder,
} from "@questbus/protocol";
import { makeTarget, openPlace, type Place, type Target } from "@questbus/testkit";
import { adoptCommit, openWorkspace } from "@questbus/workbench";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { behaviour as architect } from "../../agents/architect/behaviour.ts";
import { behaviour as ops } from "../../agents/ops/behaviour.ts";
import { behaviour as performance } from "../../agents/performance/behaviour.ts";

/** What roles show of a restricted change, and what ops integrates of one, whatever was decided before it. */

let place: Place;
let target: Target;
beforeEach(() => {
  place = openPlace("approval-roles");
  target = makeTarget(place, { "package.json": '{"name":"figures"}\n' });
});
afterEach(() => place.close());

const withDependency = (version: string): string =>
  `${JSON.stringify({ name: "figures", dependencies: { fast: version } })}\n`;

/** A context in which `changed` is the candidate of a quest. */
async function sceneOf(changed: Record<string, string | null>, more: object = {}) {
  const base = target.git("rev-parse", "HEAD");
  const made = target.commit(changed);
  const ws = await openWorkspace({ dir: place.path("quest"), targetRoot: target.dir, commit: base });
  const document = questDocument.parse({
    version: 1,
    title: "Fewer steps",
    target: { repo: target.dir },
    measure: { command: "sh bench.sh", metric: { name: "steps", from: "metric-line" } },
    goal: { improveBy: "10%" },
    tests: { command: "sh test.sh" },
    fixers: [{ command: "true" }],
    allow: { dependencies: "ask" },
    ...more,
  });
  const candidate = await adoptCommit(ws, made, base, "candidate");
  const good = { commit: base, tree: target.git("rev-parse", `${base}^{tree}`) };
  const brief = {
    quest: "q-00000000",
    spec: normaliseQuest(document, []),
    base: good,
    lastGood: good,
    fixer: 0,
    original: null,
    candidate,
    approved: [],
  } as unknown as Brief;
  const context = { brief, definition: { never: [] }, workspace: async () => ws } as unknown as TaskContext;
  return { context, candidate };
}

type Scene = Awaited<ReturnType<typeof sceneOf>>;

const shown = async ({ context }: Scene) => {
  const { result } = await architect.validate({ ...context, brief: { ...context.brief, task: "review" } });
  return "touched" in result ? (result.touched ?? []) : [];
};

async function integrated({ context, candidate }: Scene, approved: readonly RestrictedOperation[] = []) {
  const settle = {
    kind: "integrate",
    commit: candidate?.commit,
    tree: candidate?.tree,
    branch: "questbus/q-00000000",
    atMs: 0,
    message: "Faster",
    changelog: { path: null, description: "", impact: "", rollback: "", author: "" },
  } as SettleOrder;
  const brief = { ...context.brief, task: "settle" as const, settle, approved };
  try {
    return (await ops.validate({ ...context, brief })).result;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("the architect shows", () => {
  test("manifests with both texts, other restricted paths by what they are, and nothing else", async () => {
    const changed = { "package.json": withDependency("1"), ".mcp.json": "{}\n", "src/new.awk": "# new\n" };
    const touched = await shown(await sceneOf(changed));
    expect(touched).toEqual([
      { path: ".mcp.json", oid: expect.stringMatching(/^[0-9a-f]{40}$/), before: null, after: null },
      {
        path: "package.json",
        oid: expect.stringMatching(/^[0-9a-f]{40}$/),
        before: '{"name":"figures"}\n',
        after: withDependency("1"),
      },
    ]);
    expect(operationsIn(touched).map(({ kind }) => kind)).toEqual(["mcp", "dependencies"]);
  });

  test("a manifest too long for a report without its texts, so that it counts as changed", async () => {
    const long = `{"name":"${"x".repeat(70_000)}"}\n`;
    const touched = await shown(await sceneOf({ "package.json": long }));
    expect(touched).toMatchObject([{ path: "package.json", before: null, after: null }]);
    expect(operationsIn(touched)).toHaveLength(1);
  });
});

test.each([
  [["node"], { command: "node a.mjs && curl example.org" }, "curl"],
  [[], { cli: "claude" }, "claude"],
  [["*"], { cli: "claude", extraArgs: ["--dangerously-skip-permissions"] }, "--dangerously-skip-permissions"],
])("performance with %j starts nothing of the fixer %j", async (commands, fixer, named) => {
  const { context } = await sceneOf({ "src/new.awk": "# new\n" }, { fixers: [fixer] });
  const definition = { ...context.definition, role: "performance" as const, commands, tools: ["Read"] };
  const done = performance.fix({ ...context, definition, brief: { ...context.brief, task: "produce" } });
  await expect(done).rejects.toMatchObject({
    code: "TOOL_FORBIDDEN",
    message: `the role performance may not use ${named}`,
  });
});

describe("ops", () => {
  test("integrates exactly what was granted", async () => {
    const scene = await sceneOf({ "package.json": withDependency("1"), "src/new.awk": "# new\n" });
    const granted = operationsIn(await shown(scene));
    expect(await integrated(scene)).toBe("APPROVAL_MISSING");
    expect(await integrated(scene, granted)).toMatchObject({ kind: "integrate" });
  });

  test("refuses another version than the one that was granted", async () => {
    const other = operationsIn(await shown(await sceneOf({ "package.json": withDependency("1") })));
    target.git("reset", "--quiet", "--hard", "HEAD~1");
    const scene = await sceneOf({ "package.json": withDependency("2") });
    expect(await integrated(scene, other)).toBe("APPROVAL_MISSING");
  });

  test.each([
    ["what the quest file allows", { ".gitattributes": "* text\n" }, { allow: { git: true } }, "integrate"],
    ["hooks", { ".husky/pre-commit": "true\n" }, {}, "APPROVAL_MISSING"],
    [
      "what is another role's alone",
      { "src/new.awk": "# new\n" },
      { authorities: { architect: { exclusive: ["src/new.awk"] } } },
      "PATH_FORBIDDEN",
    ],
  ])("%s", async (_, changed, more, wanted) => {
    const result = await integrated(await sceneOf(changed, more));
    expect(typeof result === "string" ? result : "kind" in result && result.kind).toBe(wanted);
  });
});
