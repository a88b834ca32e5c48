import { reviewDifference, type TaskContext } from "@questbus/agent";
import {
  type Brief,
  type Candidate,
  normaliseQuest,
  questDocument,
  type SettleOrder,
} from "@questbus/protocol";
import { makeTarget, openPlace, type Place, type Target } from "@questbus/testkit";
import { adoptCommit, openArtifacts, openProcessGroups, openWorkspace, putBack } from "@questbus/workbench";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { behaviour as architect } from "../../agents/architect/behaviour.ts";
import { behaviour as ops } from "../../agents/ops/behaviour.ts";
import { behaviour as qa } from "../../agents/qa/behaviour.ts";

/** What each role makes of a candidate that touches the seal, whatever the role before it reported. */

let place: Place;
let target: Target;
beforeEach(() => {
  place = openPlace("seal-roles");
  // The suite runs a program of the target, which may do what it likes.
  target = makeTarget(place, {
    "test.sh": "sh test/one.sh && sh program.sh\n",
    "test/one.sh": "true\n",
    "program.sh": "true\n",
  });
});
afterEach(() => place.close());

const lock = "package-lock.json";

/** A context in which `changed` is the candidate of intent `validate`, as it was made. */
async function sceneOf(changed: Record<string, string | null>, prepare?: string) {
  const base = target.git("rev-parse", "HEAD");
  const made = target.commit(changed);
  const workspace = () => openWorkspace({ dir: place.path("quest"), targetRoot: target.dir, commit: base });
  const document = questDocument.parse({
    version: 1,
    title: "Fewer steps",
    intent: "validate",
    target: { repo: target.dir, candidate: "made", ...(prepare ? { prepare } : {}) },
    measure: { command: "sh bench.sh", metric: { name: "steps", from: "metric-line" } },
    tests: { command: "sh test.sh" },
  });
  const good = { commit: base, tree: target.git("rev-parse", `${base}^{tree}`) };
  const brief = {
    quest: "q-00000000",
    spec: normaliseQuest(document, [{ name: "made", commit: made }]),
    base: good,
    lastGood: good,
    fixer: 0,
    flaky: false,
    original: null,
    candidate: await candidateOf(await workspace(), made, base),
  } as unknown as Brief;
  const context = {
    brief,
    definition: { never: [] },
    stateDir: place.dir,
    artifacts: openArtifacts(place.path("artifacts")),
    groups: openProcessGroups(place.path("groups")),
    signal: new AbortController().signal,
    step: () => {},
    note: async () => {},
    workspace,
  } as unknown as TaskContext;
  return { context, made, base };
}

async function candidateOf(
  ws: Parameters<typeof adoptCommit>[0],
  tree: string,
  base: string,
): Promise<Candidate> {
  const candidate = await adoptCommit(ws, tree, base, "candidate");
  if (!candidate) throw new Error("nothing is changed");
  return { ...candidate, diff: { kind: "diff", sha256: "0".repeat(64), sizeBytes: 0 } };
}

/** The candidate with the sealed paths put back, as performance should report it. */
async function setAside({ context, made, base }: Awaited<ReturnType<typeof sceneOf>>): Promise<TaskContext> {
  const ws = await context.workspace();
  const { setAside: replacements } = await reviewDifference(context, made);
  const tree = await putBack(ws, { tree: `${made}^{tree}`, from: base, replacements });
  const candidate = await candidateOf(ws, tree, base);
  return { ...context, brief: { ...context.brief, candidate, original: made } };
}

const kinds = (outcome: { suspicions?: { kind: string; where: string | null }[] }) =>
  (outcome.suspicions ?? []).map(({ kind, where }) => `${kind} ${where}`);

describe("qa", () => {
  const suite = async (context: TaskContext) =>
    qa.validate({ ...context, brief: { ...context.brief, task: "suite" } });

  test("names a sealed file that the candidate's suite changed, while the sealed one was run", async () => {
    const { context } = await sceneOf({ "program.sh": "echo exit 1 >test/one.sh\n" });
    const outcome = await suite(context);
    expect(outcome.result).toMatchObject({ passed: true });
    expect(kinds(outcome)).toEqual(["sealed-run test/one.sh"]);
  });

  test.each([
    ["prepare", "src/build.sh", "[ ! -f src/build.sh ] || sh src/build.sh"],
    ["suite", "program.sh", undefined],
  ])("names settings of the tests that appear when the candidate's %s runs", async (_, program, prepare) => {
    const { context } = await sceneOf(
      { [program]: "echo '{}' >.mocharc.json; mkdir -p __mocks__ out\n" },
      prepare,
    );
    expect(kinds(await suite(context))).toEqual(["sealed-run .mocharc.json", "sealed-run __mocks__"]);
  });

  test("says nothing of what the base's runs add there too, or of what is built elsewhere", async () => {
    const built =
      "mkdir -p out/test && echo x >out/test/a.test.js && mktemp -d test/tmp-XXXXXX && touch .npmrc";
    const { context } = await sceneOf({ "program.sh": ": faster\n" }, built);
    expect(kinds(await suite(context))).toEqual([]);
  });

  test("says nothing where runs of the base change that file, too", async () => {
    target.commit({ [lock]: "{}\n" });
    const { context } = await sceneOf({ "program.sh": ": faster\n" }, `echo touched >>${lock}`);
    expect(kinds(await suite(context))).toEqual([]);
  });

  test("judges the sealed tests also where the candidate's own tree cannot be prepared", async () => {
    const scene = await sceneOf(
      { "program.sh": "exit 1\n", "test/one.sh": "false\n" },
      "grep -q true test/one.sh",
    );
    const outcome = await suite(await setAside(scene));
    expect(outcome.result).toMatchObject({ passed: false });
    expect(kinds(outcome)).toEqual([]);
  });
});

describe("architect", () => {
  const review = async (context: TaskContext) =>
    architect.validate({ ...context, brief: { ...context.brief, task: "review" } });
  const change = { "src/total.awk": "# nothing\n", "bench.sh": "echo METRIC steps=1\n" };

  test("says in the plan that no clock is held against a figure without a unit", async () => {
    const { context } = await sceneOf({ "program.sh": ": faster\n" });
    const planned = await architect.test({ ...context, brief: { ...context.brief, task: "plan" } });
    expect(planned.summary).toContain("no clock is held against steps");
  });

  test("takes what is judged with the sealed paths put back", async () => {
    const outcome = await review(await setAside(await sceneOf(change)));
    expect(outcome.result).toMatchObject({ files: ["src/total.awk"], withinPlan: true });
  });

  test("refuses a candidate in which they were not", async () => {
    const { context } = await sceneOf(change);
    expect(await review(context)).toMatchObject({
      result: { withinPlan: false },
      signOff: { vote: "no", reasons: ["bench.sh is sealed, and was not put back"] },
    });
  });

  test("refuses one that is not what its own commit gives", async () => {
    const scene = await sceneOf(change);
    const honest = await setAside(scene);
    const other = await candidateOf(
      await scene.context.workspace(),
      target.commit({
        "src/least.awk": "# other\n",
        "bench.sh": `${target.git("show", `${scene.base}:bench.sh`)}\n`,
      }),
      scene.base,
    );
    const outcome = await review({ ...honest, brief: { ...honest.brief, candidate: other } });
    expect(outcome.signOff?.reasons).toContain("it is not what was produced with the sealed paths put back");
  });

  test("finds a weakened test in the commit as it was made", async () => {
    const scene = await sceneOf({ ...change, "test/one.sh": null });
    expect(kinds(await review(await setAside(scene)))).toEqual(["sealed-edit test/one.sh"]);
  });
});

describe("ops", () => {
  test("integrates nothing that touches the seal", async () => {
    const { context, made } = await sceneOf({ "bench.sh": "echo METRIC steps=1\n" });
    const settle = { kind: "integrate", commit: made } as unknown as SettleOrder;
    const done = ops.validate({ ...context, brief: { ...context.brief, task: "settle", settle } });
    await expect(done).rejects.toMatchObject({
      code: "PATH_FORBIDDEN",
      message: "the change touches what is sealed: bench.sh",
    });
  });
});
