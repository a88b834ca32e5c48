import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { makeTarget, openPlace, type Place, questbus, type Target, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Summary, summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** Must show: the first quest of the issue. One candidate breaks a test, one does nothing, one is a real gain. */
describe("a quest with a real gain", () => {
  let place: Place;
  let target: Target;
  let summary: Summary;
  let branch: string;
  let before: { stand: string; base: string };
  let run: Awaited<ReturnType<typeof questbus>>;

  beforeAll(async () => {
    place = openPlace("accepted", "preferred");
    target = makeTarget(place);
    const fixers = (["breaks-test", "no-effect", "gain"] as const).map((name) => ({
      patch: target.patch(name),
    }));
    const file = writeQuest(place, { fixers });
    before = { stand: target.stand(), base: target.git("rev-parse", "HEAD") };
    mkdirSync(place.path("tmp/questbus-run-killed/home"), { recursive: true });
    const pidSpace = existsSync("/proc/self/ns/pid") ? readlinkSync("/proc/self/ns/pid") : "-";
    writeFileSync(place.path("tmp/questbus-run-killed/owner"), `1 0 ${pidSpace}`);
    run = await questbus(place, ["run", file, "--state", "state", "--json"]);
    summary = summaryOf(run);
    branch = `questbus/${summary.quest}`;
  });
  afterAll(() => place.close());

  test("is accepted, exit 0, and --json has the shape that the issue states", () => {
    expect(run.exit).toBe(0);
    const effect = { estimate: expect.any(Number), low: expect.any(Number), high: expect.any(Number) };
    const tree = expect.stringMatching(/^[0-9a-f]{40}$/);
    expect(summary).toStrictEqual({
      quest: expect.stringMatching(/^q-[a-z0-9]{8}$/),
      status: "accepted",
      verdict: "ACCEPT",
      passes: [
        { n: 1, fixer: "fixes/breaks-test.patch", tree, verdict: "TESTS_FAILED", effect: null, pairs: 0 },
        {
          n: 2,
          fixer: "fixes/no-effect.patch",
          tree,
          verdict: "NO_EFFECT",
          // It can be told from five pairs, which have no interval yet.
          effect: summary.passes[1]?.pairs === 5 ? null : effect,
          pairs: expect.any(Number),
        },
        { n: 3, fixer: "fixes/gain.patch", tree, verdict: "ACCEPT", effect, pairs: expect.any(Number) },
      ],
      accepted: { branch: branch, commit: tree },
      escalation: null,
      audit: { head: expect.stringMatching(/^[0-9a-f]{64}$/), length: expect.any(Number) },
      waits: null,
      withheld: null,
      stage: "monitoring",
      stages: ["baseline", "analysis", "implementation", "monitoring"].map((stage) => ({
        stage,
        state: "done",
        produced: expect.any(Array),
        artifacts: expect.any(Array),
      })),
    });
    const { estimate, low, high } = summary.passes[2]?.effect ?? { estimate: 0, low: 0, high: 0 };
    expect(estimate).toBeCloseTo(0.5, 1);
    expect(low).toBeLessThanOrEqual(estimate);
    expect(high).toBeGreaterThanOrEqual(estimate);
  });

  test("the branch has one commit on top of the base, with a changelog entry and the four sign-offs", () => {
    const commit = summary.accepted?.commit ?? "";
    expect(target.git("rev-parse", branch)).toBe(commit);
    expect(target.git("rev-list", `${before.base}..${branch}`)).toBe(commit);
    expect(target.git("rev-parse", `${commit}^@`)).toBe(before.base);
    expect(target.git("diff", "--name-only", before.base, commit).split("\n")).toEqual([
      "CHANGELOG.md",
      "src/least.awk",
      "src/most.awk",
      "src/total.awk",
    ]);
    const entry = target.git("show", `${commit}:CHANGELOG.md`);
    expect(entry).toContain("Fewer steps");
    expect(entry).toMatch(/steps \d+(\.\d)? % better \(95 % interval/);
    const message = target.git("show", "--no-patch", "--format=%B", commit);
    for (const role of ["architect", "performance", "qa", "ops"])
      expect(message).toContain(`Questbus-Sign-Off: ${role}`);
  });

  test("nothing else of the target changed: HEAD, index, working tree, other refs", () => {
    expect(target.stand()).toBe(before.stand);
    expect(target.git("for-each-ref", "--format=%(refname)").split("\n")).toEqual([
      "refs/heads/main",
      `refs/heads/${branch}`,
    ]);
    expect(target.git("status", "--porcelain")).toBe("");
    expect(target.git("rev-parse", "HEAD")).toBe(before.base);
    expect(existsSync(`${target.dir}/CHANGELOG.md`)).toBe(false);
    expect(target.git("worktree", "list").split("\n")).toHaveLength(1);
  });

  test("the report has every pass, the interval, and four sign-offs for the accepted one", () => {
    const report = readFileSync(place.path("state", "reports", `${summary.quest}.md`), "utf8");
    const rows = report.split("\n").filter((line) => /^\| [123] \|/.test(line));
    expect(rows).toHaveLength(3);
    expect(rows[2]).toMatch(/ACCEPT \| \+\d+\.\d % \(\+\d+\.\d % to \+\d+\.\d %\)/);
    for (const role of ["architect", "performance", "qa", "ops"]) expect(rows[2]).toContain(`${role} yes`);
    expect(run.stderr).toContain("report: ");
  });

  test("audit verify and audit replay are green; status and list agree", async () => {
    const cli = (...args: string[]) => questbus(place, [...args, "--state", "state", "--json"]);
    const [verify, replay, status, list] = await Promise.all([
      cli("audit", "verify"),
      cli("audit", "replay"),
      cli("status"),
      cli("list"),
    ]);
    expect([verify.exit, replay.exit, status.exit, list.exit]).toEqual([0, 0, 0, 0]);
    expect(JSON.parse(verify.stdout)).toMatchObject({
      ok: true,
      length: summary.audit.length,
    });
    expect(JSON.parse(replay.stdout)).toMatchObject({ ok: true });
    expect(summaryOf(status)).toEqual(summary);
    expect(JSON.parse(list.stdout)).toMatchObject([{ id: summary.quest, status: "accepted" }]);
  });

  test("words in a candidate that speak to its reader are recorded, and its verdict is what was measured", async () => {
    const audit = await questbus(place, ["audit", summary.quest, "--state", "state", "--json"]);
    const rows = audit.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    expect(rows.filter(({ type }) => type === "injection.suspected").map(({ body }) => body)).toMatchObject([
      {
        agent: "architect/architect",
        signs: [{ from: "repository", where: "src/total.awk:1", kinds: ["override", "verdict"] }],
      },
    ]);
    const status = await questbus(place, ["status", summary.quest, "--state", "state"]);
    expect(status.stdout).toContain(
      "sent a text that speaks to its reader (override, verdict; repository, src/total.awk:1)",
    );
  });

  test("verdict explain recomputes a pass from its samples, for people, programs and as a page", async () => {
    const explain = (...args: string[]) =>
      questbus(place, ["verdict", "explain", summary.quest, "--state", "state", ...args]);
    const [text, page, json, failed, none] = await Promise.all([
      explain(),
      explain("--html", "why.html"),
      explain("--pass", "2", "--json"),
      explain("--pass", "1"),
      explain("--pass", "4", "--json"),
    ]);
    expect([text.exit, page.exit, json.exit, failed.exit, none.exit]).toEqual([0, 0, 0, 0, 3]);
    expect(text.stdout).toContain("pass 3 of 3, fixer fixes/gain.patch");
    expect(text.stdout).toContain("recomputed from the stored evidence: the same verdict");
    expect(text.stdout).toMatch(/Stopped after \d+ pairs of 60: the gain is above the margin/);
    expect(page.stdout).toMatch(/^q-\w{8} {2}pass 3: ACCEPT: [^\n]+\npage: \S+why\.html\n$/);
    expect(readFileSync(place.path("why.html"), "utf8")).toContain("<h1>Fewer steps</h1>");
    const told = JSON.parse(json.stdout) as {
      stored: { e: number; pairs: number };
      samples: { pairs: { e: number }[] };
    };
    expect(told).toMatchObject({ pass: 2, same: true, stored: { verdict: "NO_EFFECT" } });
    expect(told.samples.pairs).toHaveLength(told.stored.pairs);
    expect(told.samples.pairs.at(-1)?.e).toBe(told.stored.e);
    expect(failed.stdout).toContain("Nothing was measured in this pass.");
    expect(JSON.parse(none.stderr)).toMatchObject({
      error: { code: "PASS_NOT_FOUND", faults: [{ message: expect.stringContaining("3 (ACCEPT)") }] },
    });
    expect(run.stderr).toContain(`why: questbus verdict explain ${summary.quest} --state state`);
  });

  test("nothing is left in the temporary directory, nor of a run that was killed earlier", () => {
    expect(place.leftInTmp()).toEqual([]);
  });
});
