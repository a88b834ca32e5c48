import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore, verifyJournal } from "@questbus/store";
import { git, must, questbus, root, run } from "./process.ts";
import type { Promised, ProveOptions } from "./promise.ts";
import { makePublishedTarget, type PublishedTarget } from "./published-package.ts";

/** The promises of the main path: set-up, the demo, a foreign repository, the audit trail, and what survives a kill. */
export async function* proveMain(options: ProveOptions): AsyncGenerator<Promised> {
  const dir = mkdtempSync(join(tmpdir(), "questbus-prove-"));
  try {
    yield* proveClone(join(dir, "clone"), options);
    const target = await makePublishedTarget(join(dir, "published"));
    yield* provePublished(target, options);
    yield* proveAudit(join(target.dir, "state"), join(dir, "tampered"), options);
    yield* proveTests(dir, options);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const seconds = (value: number): string => `${value.toFixed(1)} s`;

/** From a fresh clone in an empty HOME, with whatever Node is first on the PATH. */
async function* proveClone(clone: string, { note }: ProveOptions): AsyncGenerator<Promised> {
  note("cloning into an empty HOME ...");
  const home = `${clone}-home`;
  mkdirSync(home, { recursive: true });
  await git(root, "clone", "--quiet", root, clone);
  const path = (process.env.PATH ?? "").split(":").filter((each) => !each.includes("node_modules"));
  const kept = ["NODE_EXTRA_CA_CERTS", "LANG", "TMPDIR"].flatMap((name) =>
    process.env[name] ? [[name, process.env[name]]] : [],
  );
  const env = { HOME: home, PATH: path.join(":"), ...Object.fromEntries(kept) };
  const cold = await must("npm", ["run", "--silent", "setup"], { cwd: clone, env });
  yield {
    id: "main.setup.cold",
    what: "set-up of a fresh clone, empty HOME and npm cache",
    goal: "≤ 120 s",
    value: seconds(cold.seconds),
    ok: cold.seconds <= 120,
  };
  const warm = await must("node", ["tools/setup.mjs"], { cwd: clone, env });
  yield {
    id: "main.setup.warm",
    what: "set-up the second time",
    goal: "< 1 s",
    value: `${warm.seconds.toFixed(2)} s`,
    ok: warm.seconds < 1,
  };
  note("running the demo ...");
  const demo = await run("npm", ["run", "--silent", "demo", "--", "--rule"], { cwd: clone, env });
  const ok = demo.exit === 0 && demo.seconds < 180;
  const value =
    demo.exit === 0 ? seconds(demo.seconds) : `exit ${demo.exit}: ${demo.stdout.trim().split("\n").at(-1)}`;
  yield { id: "main.demo", what: "npm run demo -- --rule, warm", goal: "exit 0 in < 180 s", value, ok };
}

type Summary = {
  status: string;
  verdict: string;
  passes: { effect: { estimate: number; low: number; high: number } | null; pairs: number }[];
};

async function* provePublished(
  target: PublishedTarget,
  { note, full }: ProveOptions,
): AsyncGenerator<Promised> {
  note("a quest on two published versions of a package ...");
  const state = join(target.dir, "state");
  const before = await git(target.repo, "for-each-ref");
  yield await proveStart(target, state);
  const gain = await questbus(
    ["run", target.quest("gain", "{ patch: gain.patch }"), "--state", state, "--json"],
    target.dir,
  );
  yield found(
    "main.foreign.gain",
    "semver 7.1.3 to 7.6.3, 20 % asked for",
    "accepted",
    gain.exit,
    0,
    gain.stdout,
  );
  const identical = await questbus(
    ["run", target.quest("identical", "candidate: identical"), "--state", state, "--json"],
    target.dir,
  );
  const word =
    (JSON.parse(identical.stderr.trim().split("\n").at(-1) ?? "{}") as { error?: { code: string } }).error
      ?.code ?? "";
  yield {
    id: "main.foreign.identical",
    what: "the identical tree as candidate",
    goal: "refused, nothing run",
    value: `exit ${identical.exit}, ${word}`,
    ok: identical.exit === 2,
  };
  const rounds = full ? 10 : 2;
  const ends: string[] = [];
  const measured = (): number => ends.filter((each) => !each.includes("ENV_UNFIT")).length;
  // A noisy minute may end a quest before it is measured: that one says nothing, and is made up for.
  for (let round = 0; measured() < rounds && round < 3 * rounds; round++) {
    const noOp = await questbus(
      ["run", target.quest("no-op", "candidate: no-op"), "--state", `${state}-no-op-${round}`, "--json"],
      target.dir,
    );
    ends.push(`exit ${noOp.exit}, ${verdictOf(noOp.stdout)}`);
  }
  const refused = ends.filter((each) => each.startsWith("exit 6")).length;
  yield {
    id: "main.foreign.no-op",
    what: "the same program with one more comment, measured",
    goal: `measured ${rounds} times, never accepted`,
    value: `${refused} of ${measured()}: ${ends.join("; ")}`,
    ok: refused === rounds && measured() === rounds,
  };
  const branches = (await git(target.repo, "for-each-ref")).split("\n").length - before.split("\n").length;
  const status = await git(target.repo, "status", "--porcelain");
  const ok = branches === 1 && status === "";
  yield {
    id: "main.foreign.untouched",
    what: "the target after these quests",
    goal: "one new branch, nothing else",
    value: `${branches} new, status "${status}"`,
    ok,
  };
}

const verdictOf = (json: string): string => {
  try {
    const { status, verdict } = JSON.parse(json) as Summary;
    return `${status}, ${verdict}`;
  } catch {
    return "no summary";
  }
};

function found(
  id: string,
  what: string,
  goal: string,
  exit: number | null,
  wanted: number,
  json: string,
): Promised {
  if (exit !== wanted) return { id, what, goal, value: `exit ${exit}, ${verdictOf(json)}`, ok: false };
  const pass = (JSON.parse(json) as Summary).passes.at(-1);
  const effect = pass?.effect;
  const percent = (share: number | undefined): string => `${((share ?? 0) * 100).toFixed(1)} %`;
  const value = `accepted, ${percent(effect?.estimate)} better (${percent(effect?.low)} to ${percent(effect?.high)}), ${pass?.pairs} pairs`;
  return { id, what, goal, value, ok: true };
}

/** From the first process to the first claim in the journal, by the operating system's clock. */
async function proveStart(target: PublishedTarget, state: string): Promise<Promised> {
  const fixer = '{ command: "exit 1", timeout: 5s }';
  const beganMs = Date.now();
  await questbus(["run", target.quest("start", fixer), "--state", `${state}-start`], target.dir);
  const store = openStore({ dir: `${state}-start`, mode: "read" });
  const claimed =
    store.readJournal({ limit: 1, type: "assignment.claimed" })[0]?.timeMs ?? Number.POSITIVE_INFINITY;
  store.close();
  const value = (claimed - beganMs) / 1000;
  return {
    id: "main.start",
    what: "questbus run to the first claim",
    goal: "≤ 3 s",
    value: `${value.toFixed(2)} s`,
    ok: value <= 3,
  };
}

type Database = { prepare(sql: string): { run(...values: unknown[]): unknown }; close(): void };

/** Changes a row in a copy of the state, and asks the verifier. */
function tamper(state: string, copy: string, seq: number, sql: string): boolean {
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(copy, { recursive: true });
  for (const name of ["questbus.db", "questbus.db-wal"]) {
    try {
      copyFileSync(join(state, name), join(copy, name));
    } catch {}
  }
  const require = createRequire(join(root, "packages/store/package.json"));
  const Sqlite = require("better-sqlite3") as new (path: string) => Database;
  const database = new Sqlite(join(copy, "questbus.db"));
  database.prepare(sql).run(seq);
  database.close();
  const store = openStore({ dir: copy, mode: "read" });
  const verified = verifyJournal(store);
  store.close();
  return (
    !verified.ok &&
    verified.faults.some((fault) => fault.seq === seq && new RegExp(`rows? ${seq}\\b`).test(fault.what))
  );
}

async function* proveAudit(state: string, copy: string, { full }: ProveOptions): AsyncGenerator<Promised> {
  const verify = await questbus(["audit", "verify", "--json", "--state", state], root);
  yield {
    id: "main.audit.verify",
    what: "audit verify of the accepted quest",
    goal: "intact",
    value: verify.stdout.trim().slice(0, 60),
    ok: verify.exit === 0,
  };
  const { length } = JSON.parse(verify.stdout) as { length: number };
  const step = full ? 1 : Math.max(1, Math.floor(length / 25));
  const tries = Array.from({ length: Math.ceil(length / step) }, (_, at) => at * step + 1);
  const changed = tries.filter((seq) =>
    tamper(
      state,
      copy,
      seq,
      "UPDATE journal SET body = replace(body, substr(body, 3, 1), 'X') WHERE seq = ?",
    ),
  ).length;
  yield {
    id: "main.audit.changed",
    what: "a row's body changed: verify names the row",
    goal: "all",
    value: `${changed} of ${tries.length}`,
    ok: changed === tries.length,
  };
  const removed = tries.filter((seq) => tamper(state, copy, seq, "DELETE FROM journal WHERE seq = ?")).length;
  yield {
    id: "main.audit.removed",
    what: "a row removed: verify names the row",
    goal: "all",
    value: `${removed} of ${tries.length}`,
    ok: removed === tries.length,
  };
  const replay = await questbus(["audit", "replay", "--json", "--state", state], root);
  yield {
    id: "main.replay",
    what: "replay into an empty database gives the stored projections",
    goal: "identical",
    value: replay.stdout.trim(),
    ok: replay.exit === 0,
  };
}

type TestReport = {
  numTotalTests: number;
  numPassedTests: number;
  testResults: { assertionResults: { title: string; status: string }[] }[];
};

/** Promises that the test suite holds, run here once more and counted. */
async function* proveTests(dir: string, { note }: ProveOptions): AsyncGenerator<Promised> {
  const suites = [
    {
      id: "main.kill",
      what: "kill -9 of each process in each phase: the target is untouched and the run finishes",
      file: "test/faults/kill.test.ts",
    },
    {
      id: "main.authority",
      what: "a fourth pass and a stale lease are refused, and in the audit trail",
      file: "test/flow/authority.test.ts",
    },
  ];
  for (const { id, what, file } of suites) {
    note(`${file} ...`);
    const output = join(dir, `${id}.json`);
    const vitest = [
      join(root, "node_modules/vitest/vitest.mjs"),
      "run",
      file,
      "--reporter=json",
      `--outputFile=${output}`,
    ];
    const ran = await run(process.execPath, vitest);
    const report = JSON.parse(readFileSync(output, "utf8")) as TestReport;
    const value = `${report.numPassedTests} of ${report.numTotalTests} tests pass, ${seconds(ran.seconds)}`;
    yield { id, what, goal: "all", value, ok: ran.exit === 0 && report.numTotalTests > 0 };
  }
}
