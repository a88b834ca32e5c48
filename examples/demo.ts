// `npm run demo [-- --rule]`: two quests on the program in access-report/, with the same commands a user types.
// Everything it writes stands in .questbus/demo, and is made anew each time.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs, styleText } from "node:util";

const here = import.meta.dirname;
const root = resolve(here, "..");
const place = join(root, ".questbus", "demo");
const target = join(place, "access-report");
const state = join(place, "state");
const shown = (path: string): string => relative(process.cwd(), path) || ".";

const { values } = parseArgs({ options: { rule: { type: "boolean", default: false } } });
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const title = (text: string): void => say(`\n${styleText(["bold", "cyan"], text)}`);

/** These quests run our own program: a machine that can shut nothing in says so, and shows them all the same. */
const env = { QUESTBUS_SANDBOX: "preferred", ...process.env };

function git(...args: string[]): void {
  const identity = [
    "-c",
    "user.name=Demo",
    "-c",
    "user.email=demo@localhost",
    "-c",
    "commit.gpgsign=false",
    "-c",
    "init.defaultBranch=main",
  ];
  const run = spawnSync("git", [...identity, ...args], {
    cwd: target,
    stdio: ["ignore", "ignore", "inherit"],
  });
  if (run.status !== 0) throw new Error(`git ${args[0]} failed`);
}

/** Runs a command of the command line as a user would, and gives its exit code. */
function questbus(...args: string[]): number {
  say(styleText("dim", `$ questbus ${args.map((arg) => (/[ ]/.test(arg) ? `"${arg}"` : arg)).join(" ")}`));
  const run = spawnSync(process.execPath, [join(root, "packages/cli/bin/questbus.cjs"), ...args], {
    stdio: "inherit",
    env,
  });
  return run.status ?? 130;
}

/** What a command prints with `--json`. */
function answer<T>(...args: string[]): T {
  const cli = [join(root, "packages/cli/bin/questbus.cjs"), ...args, "--json"];
  const run = spawnSync(process.execPath, cli, {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    env,
  });
  return JSON.parse(run.stdout) as T;
}

function stopUnless(exit: number, wanted: number): void {
  if (exit === wanted) return;
  if (exit === 130) process.exit(130);
  say(
    `\nthe quest ended with exit code ${exit}; the demo expected ${wanted}. On a busy machine run it again when it is quieter.`,
  );
  process.exit(1);
}

const sinceMs = performance.now();
title("A program to make faster");
rmSync(place, { recursive: true, force: true });
mkdirSync(place, { recursive: true, mode: 0o700 });
cpSync(join(here, "access-report"), target, { recursive: true, filter: (path) => !path.endsWith(".log") });
cpSync(join(here, "fixes"), join(place, "fixes"), { recursive: true });
for (const quest of ["faster-report.quest.yaml", "no-gain.quest.yaml"])
  cpSync(join(here, quest), join(place, quest));
git("init", "--quiet");
git("add", "--all");
git("commit", "--quiet", "--message", "Access report");
say(`${shown(target)} is a git repository: it reports on a web server's log, with tests and a benchmark.`);
say("Two quests on it take two to four minutes, more on a busy machine.");

title("Quest one: three candidates; one breaks a test, one changes nothing, one is a real gain");
stopUnless(questbus("run", shown(join(place, "faster-report.quest.yaml")), "--state", shown(state)), 0);

title("Quest two: three candidates that all fail; it waits for an arbiter");
stopUnless(questbus("run", shown(join(place, "no-gain.quest.yaml")), "--state", shown(state)), 7);

const [open] = answer<{ id: string }[]>("escalations", "--state", state);
if (values.rule && open) {
  title("The arbiter rules");
  const ruling = ["--decision", "revert", "--reason", "no candidate was proven"];
  stopUnless(questbus("rule", open.id, ...ruling, "--state", shown(state)), 0);
}

title("The audit trail");
stopUnless(questbus("audit", "verify", "--state", shown(state)), 0);

const { quest, accepted } = answer<{ quest: string; accepted: { branch: string } | null }>(
  "status",
  answer<{ id: string }[]>("list", "--state", state).at(-1)?.id ?? "",
  "--state",
  state,
);
title(`Done in ${((performance.now() - sinceMs) / 1000).toFixed(0)} s`);
say(`the report:        ${shown(join(state, "reports", `${quest}.md`))}`);
say(`the change:        git -C ${shown(target)} show ${accepted?.branch}`);
say(`why it was taken:  npx questbus verdict explain ${quest} --state ${shown(state)} --html why.html`);
say(`every event:       npx questbus audit --state ${shown(state)}`);
if (!values.rule && open)
  say(
    `rule on quest two: npx questbus rule ${open.id} --decision revert --reason "..." --state ${shown(state)}`,
  );
say(
  `\nyour own repository: copy ${shown(join(here, "faster-report.quest.yaml"))}, name your repository, benchmark and tests in it, and`,
);
say(`  npx questbus run my.quest.yaml`);
