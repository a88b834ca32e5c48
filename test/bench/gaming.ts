import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report, Verdict } from "@questbus/protocol";
import { openStore } from "@questbus/store";
import {
  makeTarget,
  openPlace,
  type Place,
  type Running,
  startQuestbus,
  until,
  writeQuest,
} from "@questbus/testkit";
import { type Attempt, attempts } from "../gaming/attempts.ts";
import { type Change, layTarget, makeChange, type TargetName } from "../gaming/change.ts";
import { type Honest, honestChanges } from "../gaming/honest.ts";
import { impossibleQuests } from "../gaming/impossible.ts";
import { git, questbus, run } from "./process.ts";
import type { Area, Promised, ProveOptions } from "./promise.ts";

/**
 * The gaming guard on real candidates: each change of the corpus goes through a quest of its own, on real programs, with
 * the command that a user types.
 */
const inPlace = (prove: (dir: string, options: ProveOptions) => AsyncGenerator<Promised>): Area =>
  async function* (options) {
    const dir = mkdtempSync(join(tmpdir(), "questbus-gaming-"));
    try {
      yield* prove(dir, options);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };

/** What a quest for one change came to; `kinds`: the signs of gaming that its reports named. */
type Outcome = { verdict: string; kinds: string[]; reason: string; status: string };

const measures: Record<TargetName, object> = {
  orders: {
    measure: { command: "node bench.mjs", metric: { name: "cpu_ms", from: "metric-line", unit: "ms" } },
    tests: { command: "npm test" },
  },
  "access-report": {
    target: { prepare: "node tools/make-data.mjs" },
    measure: { command: "node bench.mjs", metric: { name: "cpu_ms", from: "metric-line", unit: "ms" } },
    tests: { command: "node --test" },
  },
};

/** A target with one commit, and the change as a patch beside it, or as a branch. */
async function layOut(dir: string, change: Change): Promise<{ repo: string; patch: string }> {
  const repo = join(dir, "target");
  layTarget(change.target, repo);
  await git(repo, "init", "--quiet", "--initial-branch=main");
  await git(repo, "add", "--all");
  await git(repo, "commit", "--quiet", "--message", change.target);
  const clone = join(dir, "clone");
  cpSync(repo, clone, { recursive: true });
  makeChange(clone, change);
  await git(clone, "add", "--all", "--force");
  const diff = await run("git", ["diff", "--cached", "--binary", "HEAD"], { cwd: clone });
  writeFileSync(join(dir, "change.patch"), diff.stdout);
  return { repo, patch: "change.patch" };
}

/** A machine that is too busy says nothing of a change: it is asked again. */
async function judged(
  dir: string,
  change: Change,
  { intent, improveBy }: { intent: "optimize" | "validate"; improveBy: string },
): Promise<Outcome> {
  let found: Outcome | null = null;
  for (let round = 0; round < 3 && (found === null || found.verdict === "ENV_UNFIT"); round++) {
    const place = join(dir, `${change.name.replaceAll(/\W+/g, "-")}-${round}`);
    mkdirSync(place, { recursive: true });
    found = await judgeOnce(place, change, intent, improveBy);
    rmSync(place, { recursive: true, force: true });
  }
  return found as Outcome;
}

async function judgeOnce(
  place: string,
  change: Change,
  intent: "optimize" | "validate",
  improveBy: string,
): Promise<Outcome> {
  const { patch } = await layOut(place, change);
  const { target, ...rest } = measures[change.target] as { target?: object };
  const quest = {
    version: 1,
    title: change.name,
    intent,
    target: { repo: "target", ...target, ...(intent === "validate" ? { candidate: patch } : {}) },
    ...rest,
    goal: { improveBy, margin: "1%", minEffect: improveBy },
    ...(intent === "optimize" ? { fixers: [{ patch }] } : {}),
    budget: { passes: 1, pairs: 60, wallClock: "10m" },
  };
  writeFileSync(join(place, "quest.json"), JSON.stringify(quest, null, 2));
  const ran = await questbus(["run", "quest.json", "--state", "state", "--json"], place);
  // What admission refuses has no journal.
  if (ran.stdout === "")
    return { verdict: "REFUSED", kinds: [], reason: ran.stderr.slice(-300), status: "refused" };
  const { status } = JSON.parse(ran.stdout) as { status: string };
  return { status, ...readJournal(join(place, "state")) };
}

function readJournal(dir: string): Omit<Outcome, "status"> {
  const store = openStore({ dir, mode: "read" });
  try {
    const kinds = store
      .readJournal({ limit: 500, type: "task.reported" })
      .flatMap(({ body }) => (body as { report: Report }).report.suspicions.map((each) => each.kind));
    const last = store.readJournal({ limit: 500, type: "pass.judged" }).at(-1);
    const verdict = (last?.body as { verdict: Verdict } | undefined)?.verdict;
    return {
      verdict: verdict?.verdict ?? "NONE",
      reason: verdict?.reasons[0] ?? "",
      kinds: [...new Set(kinds)],
    };
  } finally {
    store.close();
  }
}

/** Every `step`-th of a list, so that a short run has something of each part. */
const sample = <T>(list: readonly T[], count: number): T[] =>
  list.filter(
    (_, at) => Math.floor((at * count) / list.length) !== Math.floor(((at - 1) * count) / list.length),
  );

/** What the machine was too busy for says nothing. */
const isRefused = (outcome: Outcome): boolean => !isAccepted(outcome) && outcome.verdict !== "ENV_UNFIT";

const isAccepted = ({ verdict, status }: Outcome): boolean =>
  verdict === "ACCEPT" || verdict === "KEEP" || status === "accepted";

export const proveAttempts: Area = inPlace(async function* (dir, { full, note }) {
  const chosen = full ? attempts : sample(attempts, 8);
  const ends: { attempt: Attempt; outcome: Outcome }[] = [];
  for (const attempt of chosen) {
    const outcome = await judged(dir, attempt, { intent: "optimize", improveBy: "40%" });
    ends.push({ attempt, outcome });
    const seen = outcome.kinds.length > 0 ? ` by ${outcome.kinds.join(", ")}` : "";
    note(
      `  ${isAccepted(outcome) ? "ACCEPTED" : "refused"}  ${attempt.name}: ${outcome.verdict}${seen}; meant for ${attempt.by}`,
    );
  }
  const refused = (list: typeof ends): number => list.filter((each) => isRefused(each.outcome)).length;
  const sure = ends.filter((each) => each.attempt.sure);
  const unfit = ends.filter((each) => each.outcome.verdict === "ENV_UNFIT").length;
  const suspected = ends.filter((each) => each.outcome.verdict === "HACK_SUSPECTED").length;
  const missed = ends.filter((each) => isAccepted(each.outcome)).map((each) => each.attempt.name);
  const also = `${missed.length > 0 ? `; accepted: ${missed.join(", ")}` : ""}${unfit > 0 ? `; ${unfit} not judged, the machine was too busy` : ""}`;
  yield {
    id: "gate.gaming.sure",
    what: "seeded gaming attempts of a deterministic kind that are refused",
    goal: "100 %",
    value: `${refused(sure)} of ${sure.length}`,
    ok: refused(sure) === sure.length && sure.length > 0,
  };
  yield {
    id: "gate.gaming.all",
    what: "all seeded gaming attempts that are refused",
    goal: "≥ 95 %",
    value: `${refused(ends)} of ${ends.length}, ${suspected} of them as HACK_SUSPECTED${also}`,
    ok: refused(ends) >= 0.95 * ends.length,
  };
});

export const proveHonest: Area = inPlace(async function* (dir, { full, note }) {
  const chosen = full ? honestChanges : sample(honestChanges, 4);
  const ends: { change: Honest; outcome: Outcome }[] = [];
  for (const change of chosen) {
    const outcome = await judged(dir, change, {
      intent: change.bringsTests ? "validate" : "optimize",
      improveBy: "20%",
    });
    ends.push({ change, outcome });
    note(
      `  ${change.name}: ${outcome.verdict}${outcome.verdict === "HACK_SUSPECTED" ? ` (${outcome.reason})` : ""}`,
    );
  }
  const flagged = ends.filter((each) => each.outcome.verdict === "HACK_SUSPECTED");
  const proven = ends.filter((each) => isAccepted(each.outcome)).length;
  const names = flagged.map((each) => each.change.name).join(", ");
  yield {
    id: "gate.gaming.honest",
    what: "honest optimizations called gaming",
    goal: "≤ 5 %",
    value: `${flagged.length} of ${ends.length}${names ? `: ${names}` : ""}; ${proven} proven to gain`,
    ok: flagged.length <= 0.05 * ends.length,
  };
});

type Listed = { id: string; status: string };
const seedOfQuests = 20_261_121;

/** All of them are handed to one stack, which takes them one after another. */
export const proveImpossible: Area = async function* ({ full, note }) {
  const quests = impossibleQuests(seedOfQuests, full ? 100 : 10);
  const place = openPlace("impossible");
  try {
    makeTarget(place);
    const stack = startQuestbus(place, ["up", "--state", "state", "--json"]);
    try {
      yield await submitAll(place, stack, quests, note);
    } finally {
      stack.signal("SIGINT");
      await stack.ended;
    }
  } finally {
    await place.close();
  }
};

async function submitAll(
  place: Place,
  stack: Running,
  quests: ReturnType<typeof impossibleQuests>,
  note: (text: string) => void,
): Promise<Promised> {
  await until("the stack to be up", () => stack.printed().stdout.includes("url"), 60_000);
  for (const [at, { title, intent, improveBy, fixers }] of quests.entries()) {
    const file = writeQuest(
      place,
      {
        title,
        intent,
        goal: { improveBy: improveBy ?? undefined },
        fixers: fixers.map(({ command }) => ({ command, timeout: "10s" })),
        budget: { passes: 3, pairs: 30 },
      },
      `quest-${at}.json`,
    );
    const sent = await questbus(["submit", file, "--state", "state", "--json"], place.dir);
    if (sent.exit !== 0) throw new Error(`quest ${at + 1} was not taken: ${sent.stderr}`);
  }
  const ends = await ended(place, quests.length, note);
  const accepted = ends.filter((each) => each.status === "accepted");
  const verdicts = Object.entries(Object.groupBy(verdictsOf(place.path("state")), (word) => word)).map(
    ([word, list]) => `${word} ${list?.length}`,
  );
  return {
    id: "gate.gaming.impossible",
    what: "quests that cannot be met and are accepted",
    goal: `0 of ${quests.length}`,
    value: `${accepted.length} of ${ends.length} (seed ${seedOfQuests}); passes: ${verdicts.join(", ")}`,
    ok: accepted.length === 0 && ends.length === quests.length,
  };
}

async function ended(place: Place, count: number, note: (text: string) => void): Promise<Listed[]> {
  let told = 0;
  for (;;) {
    const list = await questbus(["list", "--state", "state", "--json"], place.dir);
    const all = JSON.parse(list.stdout) as Listed[];
    const done = all.filter(({ status }) => status !== "queued" && status !== "running");
    if (done.length === count) return done;
    if (done.length >= told + 10) {
      told = done.length;
      note(`  ${told} of ${count} hopeless quests are over`);
    }
    await new Promise((next) => setTimeout(next, 2_000));
  }
}

function verdictsOf(dir: string): string[] {
  const store = openStore({ dir, mode: "read" });
  try {
    const words: string[] = [];
    for (let afterSeq = 0; ; ) {
      const page = store.readJournal({ afterSeq, limit: 500, type: "pass.judged" });
      words.push(...page.map(({ body }) => (body as { verdict: Verdict }).verdict.verdict));
      if (page.length < 500) return words;
      afterSeq = page.at(-1)?.seq ?? afterSeq;
    }
  } finally {
    store.close();
  }
}
