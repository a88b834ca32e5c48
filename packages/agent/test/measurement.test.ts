import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { judge, passAlpha } from "@questbus/core";
import {
  type Brief,
  type Candidate,
  limit,
  normaliseQuest,
  type Pair,
  QuestbusError,
  questDocument,
  type Verdict,
} from "@questbus/protocol";
import { openPlace, type Place, runGit } from "@questbus/testkit";
import { openProcessGroups, openWorkspace, startTimeOf } from "@questbus/workbench";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { TaskContext } from "../src/behaviour.ts";
import { measurePairs } from "../src/measurement.ts";

vi.setConfig({ testTimeout: 180_000 });

/** Candidates that look better than they are, measured and judged as in a quest: real processes, real trees. */

let place: Place;
const tmpBefore = process.env.TMPDIR;
beforeEach(() => {
  place = openPlace("measurement");
  process.env.TMPDIR = place.env.TMPDIR;
});
afterEach(async () => {
  if (tmpBefore === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = tmpBefore;
  const left = place.leftInTmp();
  await place.close();
  expect(left).toEqual([]);
});

/** Counts what `work` says, and prints what `answer` makes of the seed, if it makes anything. */
const counting = `. ./src/work.sh
echo "METRIC cost=$(work)"
answer=$(answer "$QUESTBUS_SEED")
[ -z "$answer" ] || echo "DIGEST $answer"
`;
/** Takes the time of `work`. */
const timing = `. ./src/work.sh
from=$(date +%s%N)
work
to=$(date +%s%N)
echo "METRIC cost=$(( (to - from) / 1000 )).0"
`;
const costs = (value: number, answer = ":"): string => `work() { echo ${value}; }\nanswer() { ${answer}; }\n`;

type Scene = { bench?: string; unit?: string; prepare?: string; base?: string; candidate: string };
type Seen = {
  verdict: Verdict;
  kinds: string[];
  reason: string;
  pairs: Pair[];
  remeasure: Pair[] | null;
  notes: string[];
};

async function measured(scene: Scene): Promise<Seen> {
  const { bench = counting, unit = "steps", prepare, base = costs(100), candidate } = scene;
  const target = place.path("target");
  mkdirSync(place.path("target/src"), { recursive: true });
  const put = (file: string, text: string): void => writeFileSync(place.path("target", file), text);
  const commit = (message: string): string => {
    runGit(target, "add", "--all");
    runGit(target, "commit", "--quiet", "--message", message);
    return runGit(target, "rev-parse", "HEAD");
  };
  runGit(target, "init", "--quiet");
  put("bench.sh", bench);
  put(".gitignore", "node_modules/\n");
  put("data.txt", "data\n");
  put("src/work.sh", base);
  const first = commit("base");
  put("src/work.sh", candidate);
  const second = commit("candidate");
  const document = questDocument.parse({
    version: 1,
    title: "Less",
    target: { repo: target, ...(prepare ? { prepare } : {}) },
    measure: { command: "sh bench.sh", metric: { name: "cost", from: "metric-line", unit }, timeout: "20s" },
    goal: { improveBy: "20%" },
    tests: { command: "true" },
    fixers: [{ command: "true" }],
  });
  const spec = normaliseQuest(document, []);
  const good = { commit: first, tree: runGit(target, "rev-parse", `${first}^{tree}`) };
  const notes: string[] = [];
  const brief = {
    quest: "q-00000000",
    spec,
    base: good,
    lastGood: good,
    candidate: { commit: second } as Candidate,
    seed: "s:1",
    alpha: passAlpha,
  } as Brief;
  const context = {
    brief,
    groups: openProcessGroups(place.path("groups")),
    signal: new AbortController().signal,
    step: () => {},
    note: async (text: string) => {
      notes.push(text);
    },
    workspace: () => openWorkspace({ dir: place.path("quest"), targetRoot: target, commit: first }),
  } as unknown as TaskContext;
  const { samples, suspicions } = await measurePairs(context);
  const verdict = judge(
    {
      unfit: null,
      crash: null,
      changedNothing: false,
      forbiddenPaths: [],
      suspicions,
      tests: "passed",
      samples,
      signOffs: {},
    },
    {
      metric: spec.measure.metric,
      goal: spec.goal,
      guards: [],
      alpha: passAlpha,
      pairsMax: spec.budget.pairs,
      confirmationPairs: limit.confirmationPairs,
      signOff: [],
    },
  );
  return {
    verdict,
    kinds: suspicions.map(({ kind }) => kind),
    reason: verdict.reasons.join(" "),
    pairs: samples.pairs,
    remeasure: samples.remeasure,
    notes,
  };
}

describe("a candidate", () => {
  it("that is better is accepted; each pair has a seed of its own, which both arms are given", async () => {
    const answer = 'echo "$1"';
    const seen = await measured({ base: costs(100, answer), candidate: costs(70, answer) });
    expect(seen.verdict.verdict, seen.reason).toBe("ACCEPT");
    expect(seen.kinds).toEqual([]);
    for (const { base, candidate } of seen.pairs) expect(base.digest).toBe(candidate.digest);
    expect(new Set(seen.pairs.map(({ base }) => base.digest)).size).toBe(seen.pairs.length);
    expect(seen.remeasure).toBe(null);
  });

  it("that remembers in HOME, TMPDIR, the tree, .git and tracked files has nothing to remember", async () => {
    const places = '"$HOME/.memo" "$TMPDIR/memo" "$HOME/.cache-memo" memo src/memo .git/memo';
    const candidate = `work() {
  for each in ${places}; do [ -e "$each" ] && seen=1; done
  grep -q memo data.txt && seen=1
  for each in ${places}; do echo memo > "$each"; done
  echo memo >> data.txt
  [ -z "$seen" ] && echo 100 || echo 50
}
answer() { :; }
`;
    const seen = await measured({ candidate });
    expect(seen.verdict.verdict, seen.reason).toBe("NO_EFFECT");
    expect(seen.kinds).toEqual([]);
    expect(seen.pairs.every((pair) => pair.candidate.value === 100)).toBe(true);
  });

  it("that remembers in a file which prepare made is HACK_SUSPECTED, by the file's name", async () => {
    const file = "node_modules/.cache/memo";
    const candidate = `work() { [ -s ${file} ] && echo 50 || echo 100; echo x >> ${file}; }\nanswer() { :; }\n`;
    const seen = await measured({ prepare: `mkdir -p node_modules/.cache && : > ${file}`, candidate });
    expect(seen.kinds).toEqual(["carried-state"]);
    expect(seen.verdict.verdict).toBe("HACK_SUSPECTED");
    expect(seen.reason).toContain(file);
  });

  it.skipIf(process.platform !== "linux")(
    "that leaves a process behind is HACK_SUSPECTED at once, and the process is gone",
    async () => {
      const pid = place.path("pid");
      const candidate = `work() { setsid sleep 600 >/dev/null 2>&1 & echo $! > ${pid}; echo 50; }\nanswer() { :; }\n`;
      const seen = await measured({ candidate });
      expect(seen.kinds).toEqual(["left-process"]);
      expect(seen.verdict.verdict).toBe("HACK_SUSPECTED");
      expect(seen.reason).toContain("sleep 600");
      expect(seen.pairs.length).toBeLessThanOrEqual(1);
      expect(startTimeOf(Number(readFileSync(pid, "utf8")))).toBe(null);
    },
  );

  it("with another output on the same seed is HACK_SUSPECTED at the first pair", async () => {
    const seen = await measured({
      base: costs(100, 'echo "$1" | cut -c1-6'),
      candidate: costs(50, 'echo "$1" | cut -c1-5'),
    });
    expect(seen.verdict.verdict).toBe("HACK_SUSPECTED");
    expect(seen.reason).toContain("The candidate's output is another");
    expect(seen.pairs).toHaveLength(1);
  });

  it("cannot be told by a digest that is no function of the seed: the benchmark is refused", async () => {
    const random = "od -An -N8 -tu4 /dev/urandom";
    const work = measured({ base: costs(100, random), candidate: costs(50, random) });
    await expect(work).rejects.toThrow(QuestbusError);
    await expect(work).rejects.toMatchObject({ code: "DIGEST_UNSTABLE" });
  });
});

describe.skipIf(process.platform !== "linux")("a saving that is not there from outside", () => {
  const honest = "work() { sleep 0.12; }\n";
  /** On a machine too busy to show that it is missing, nothing shows that it is there. */
  const refused = expect.stringMatching(/^(HACK_SUSPECTED|INCONCLUSIVE)$/);

  it("because the work goes on after the METRIC line is not accepted", async () => {
    const seen = await measured({
      bench: timing,
      unit: "us",
      base: honest,
      candidate: "work() { sleep 0.12 >/dev/null 2>&1 & sleep 0.02; }\n",
    });
    expect(seen.kinds).toEqual([]);
    expect(seen.verdict.verdict, seen.reason).toEqual(refused);
    expect(seen.reason).toMatch(/cost says that .*from outside/);
  });

  it("because the clock was changed is not accepted", async () => {
    const seen = await measured({
      bench: timing,
      unit: "us",
      base: honest,
      candidate: `work() { sleep 0.12; }\ndate() { echo $(( $(command date +%s%N) / 2 )); }\n`,
    });
    expect(seen.verdict.verdict, seen.reason).toEqual(refused);
    expect(seen.reason).toMatch(/cost says that .*from outside/);
  });
});

describe("a gain of twenty times", () => {
  it("is measured again in other trees, and stays suspect without digests", async () => {
    const where = place.path("where");
    const seen = await measured({ base: `${costs(100)}pwd >> ${where}\n`, candidate: costs(5) });
    expect(seen.verdict.verdict).toBe("HACK_SUSPECTED");
    expect(seen.reason).toContain("print DIGEST");
    expect(seen.remeasure).toHaveLength(limit.confirmationPairs);
    expect(seen.notes).toEqual(["the gain is very large: it is measured again in fresh trees"]);
    expect(new Set(readFileSync(where, "utf8").trim().split("\n")).size).toBe(2);
  });

  it("is accepted when it shows again, and digests show the same work", async () => {
    const answer = 'echo "$1"';
    const seen = await measured({ base: costs(100, answer), candidate: costs(5, answer) });
    expect(seen.verdict.verdict, seen.reason).toBe("ACCEPT");
    expect(seen.remeasure).toHaveLength(limit.confirmationPairs);
  });
});
