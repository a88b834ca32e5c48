import {
  type Decision,
  deadId,
  decisions,
  escalationId,
  limit,
  QuestbusError,
  questId,
  roles,
} from "@questbus/protocol";
import { Command, InvalidArgumentError, Option } from "commander";
import type { RestoreOptions } from "./command-backup.ts";
import type { ScopeOptions } from "./command-pause.ts";
import type { VerifyOptions } from "./command-read.ts";
import type { Common, Granted } from "./command-run.ts";
import type { UpOptions } from "./command-up.ts";
import { stateOption } from "./explain/words.ts";
import { commonOf, type Ended, merged, valid, validEach, withCommon } from "./option.ts";
import { note, printData } from "./output.ts";
import { addAgent } from "./program-agent.ts";
import { addApprovals } from "./program-approval.ts";
import { addActivate, addAsk } from "./program-ask.ts";
import { addLint } from "./program-lint.ts";
import { addMcp } from "./program-mcp.ts";
import { addMemory } from "./program-memory.ts";

/** The command line. What a command does is loaded when it runs: each says from where, first thing in its action. */

/** Three nodes go on without one of them; fewer could not, and more on one machine would prove nothing else. */
function clusterSize(value: string): number {
  if (value === "3") return 3;
  throw new InvalidArgumentError("a cluster on one machine has 3 nodes");
}

const help = `
Exit codes: 0 accepted or fine, 1 failure, 2 usage or bad input, 3 not found, 4 bus unavailable,
5 conflict or stale lease, 6 finished without acceptance or a proven regression, 7 waiting for an arbiter,
130 interrupted.

Examples:
  questbus run quest.yaml
  questbus escalations
  questbus rule e-7k3m9x2p --decision revert --reason "not worth its memory"
  questbus recheck q-7k3m9x2p --ref main
  questbus audit verify`;

const helpLines = (text: string): string[] => text.replace(/\n$/, "").split("\n");

/** The command line; `ended` gets the exit code of the command that ran. */
export function buildProgram(signal: AbortSignal, ended: Ended, json = false): Command {
  const program = new Command("questbus")
    .description("Runs optimization quests with a team of agents, and accepts a change only on evidence.")
    .version("0.1.0")
    .option("--unsafe-no-sandbox", "run the commands of quests with nothing between them and this machine")
    .addHelpText("after", help)
    .exitOverride();
  // What was not understood is told by whoever runs the program, as every other error is.
  program.configureOutput({
    writeOut: (text) => printData(...helpLines(text)),
    writeErr: (text) => void (json || note(...helpLines(text))),
    outputError: () => {},
  });

  const add = (
    name: string,
    description: string,
    work: (common: Common, ...args: string[]) => Promise<number>,
  ): Command => {
    const command = program.command(name).description(description);
    return withCommon(command).action(async (...given: unknown[]) => {
      ended(await work(commonOf(command, signal), ...(given as string[])));
    });
  };

  addSubmission(program, signal, ended);
  const upCommand = program.command("up").description("start the local stack in the foreground");
  withCommon(upCommand)
    .option("--cluster <nodes>", "3: three nodes on this machine, one leads, two stand by", clusterSize)
    .option("--from <node>", "begin the cluster anew from that node's database; the others' are moved aside")
    .addOption(
      new Option("--without <roles...>", "start no agent of these: your own does their work").choices(roles),
    )
    .action(async (given: UpOptions) => {
      const { up } = await import("./command-up.ts");
      ended(await up(commonOf(upCommand, signal), given));
    });
  add("status", "show a quest (the newest by default)", async (common, quest) =>
    (await import("./command-read.ts")).showStatus(quest, common),
  ).argument("[quest]", "its id", valid(questId));
  add("report", "print a quest's report (the newest by default) as Markdown", async (common, quest) =>
    (await import("./report.ts")).showReport(quest, common),
  ).argument("[quest]", "its id", valid(questId));
  add("list", "list the quests, newest first", async (common) =>
    (await import("./command-read.ts")).listQuests(common),
  );
  add("watch", "show what happens, live", async (common, quest) =>
    (await import("./command-read.ts")).watch(quest, common),
  ).argument("[quest]", "its id", valid(questId));
  add("conversation", "show what the agents of a quest said in turns", async (common, quest = "") =>
    (await import("./conversation.ts")).showConversation(quest, common),
  ).argument("<quest>", "its id", valid(questId));
  add("escalations", "list what waits for an arbiter, with the evidence", async (common) =>
    (await import("./command-read.ts")).listEscalations(common),
  );
  const agents = add("agents", "list the role agents and what they hold", async (common) =>
    (await import("./command-read.ts")).listAgents(common),
  );
  addLint(agents, ended);
  add("doctor", "check what a run needs", async (common) =>
    (await import("./command-doctor.ts")).doctor(common),
  );
  addAgent(program, signal, ended);
  addAsk(program, signal, ended);
  addActivate(program, signal, ended);
  addCalibrate(program, signal, ended);
  addRecheck(program, signal, ended);
  addCancel(program, signal, ended);
  addPauses(program, signal, ended);
  addSupply(program, signal, ended);
  addRule(program, signal, ended);
  addApprovals(program, signal, ended);
  addAudit(program, signal, ended);
  addDead(program, signal, ended);
  addMemory(program, signal, ended);
  addBackup(program, signal, ended);
  addVerdict(program, signal, ended);
  addMcp(program, signal, ended);
  addHelp(program);
  return program;
}

/** The command that words name from the first on, as `backup verify`; `path`: the words that named it. */
export function commandIn(program: Command, words: readonly string[]): { command: Command; path: string[] } {
  const path: string[] = [];
  let command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) break;
    command = next;
    path.push(word);
  }
  return { command, path };
}

/** `next` with the state directory that was named, in each command of it that has one: what says it may not know of it. */
export function withState(next: string, program: Command, state: string): string {
  if (next.includes("--state")) return next;
  return next.replace(/\bquestbus((?: [a-z]+)+)/g, (said, words: string) => {
    const { command, path } = commandIn(program, words.trim().split(" "));
    if (!command.options.some(({ long }) => long === "--state")) return said;
    const named = ["questbus", ...path].join(" ");
    return `${named}${stateOption(state)}${said.slice(named.length)}`;
  });
}

/** `help`, which commander's own gives of the first word alone. */
function addHelp(program: Command): void {
  program
    .command("help")
    .description("show the help of a command")
    .argument("[command...]", "such as backup verify")
    .action((words: string[]) => {
      const { command, path } = commandIn(program, words);
      if (path.length === words.length) return command.help();
      throw new QuestbusError({
        code: "USAGE",
        message: `unknown command '${words.join(" ")}'`,
        next: `see ${["questbus help", ...path].join(" ")}`,
      });
    });
}

/** `run` and `submit` take a quest file, and what the operator grants it. */
function addSubmission(program: Command, signal: AbortSignal, ended: Ended): void {
  const kinds = [
    ["run", "run a quest on a local stack, and wait for its end"],
    ["submit", "hand a quest to the running stack; prints its id"],
  ] as const;
  for (const [name, description] of kinds) {
    const command = program.command(name).description(description).argument("<file>", "a quest file");
    withCommon(command)
      .option(
        "--accept-detectable",
        "raise a goal that the budget cannot show to the smallest one it can",
        false,
      )
      .action(async (file: string, granted: Granted) => {
        const { runQuest, submitQuest } = await import("./command-run.ts");
        const take = name === "run" ? runQuest : submitQuest;
        ended(await take(file, granted, commonOf(command, signal)));
      });
  }
}

function addCalibrate(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("calibrate")
    .description(
      "measure a quest's base against itself, and against itself moved: noise, bias, and the margin they ask for",
    )
    .argument("<file>", "a quest file");
  withCommon(command)
    .addOption(
      new Option("--pairs <number>", "pairs in each of the two series").argParser(pairCount).default(30),
    )
    .action(async (file: string, { pairs }: { pairs: number }) => {
      const { calibrate } = await import("./command-calibrate.ts");
      ended(await calibrate(file, pairs, commonOf(command, signal)));
    });
}

/** Fewer than 6 pairs have no interval. */
function pairCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 6 && count <= limit.pairsMax) return count;
  throw new InvalidArgumentError(`write a whole number from 6 to ${limit.pairsMax}`);
}

function addRecheck(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("recheck")
    .description("run the bench of an accepted change again: has a later commit lost its gain?")
    .argument("<quest>", "its id", valid(questId));
  withCommon(command)
    .option("--ref <ref>", "what to look at; the quest's own ref by default")
    .action(async (quest: string, { ref }: { ref?: string }) => {
      const { recheckQuest } = await import("./command-recheck.ts");
      ended(await recheckQuest(quest, ref ?? null, commonOf(command, signal)));
    });
}

function addCancel(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("cancel")
    .description("end a quest; its target stays as it was")
    .argument("<quest>", "its id", valid(questId));
  withCommon(command)
    .option("--reason <text>", "why", "cancelled by the operator")
    .action(async (quest: string, options: { reason: string }) => {
      const { cancelQuest } = await import("./command-run.ts");
      ended(await cancelQuest(quest, options.reason, commonOf(command, signal)));
    });
}

/** `pause` and `resume` name a quest, a role, everything, or safe mode. */
function addPauses(program: Command, signal: AbortSignal, ended: Ended): void {
  const scoped = (name: string, description: string): Command =>
    withCommon(program.command(name).description(description))
      .argument("[quest]", "its id", valid(questId))
      .addOption(new Option("--role <role>", "one role, in every quest").choices(roles))
      .option("--all", "every role and quest")
      .option("--safe-mode", "all but reads, rulings and cancellations");
  const pause = scoped(
    "pause",
    "stop a quest, a role or everything for a while; what is held may be finished",
  )
    .addOption(new Option("--why <text>", "why; it is recorded").argParser(someText).makeOptionMandatory())
    .action(async (quest: string | undefined, { why, ...scope }: ScopeOptions & { why: string }) => {
      const { pauseScope, scopeOf } = await import("./command-pause.ts");
      ended(await pauseScope(scopeOf(quest, scope), why, commonOf(pause, signal)));
    });
  const resume = scoped("resume", "go on with what was paused, where it stood").action(
    async (quest: string | undefined, scope: ScopeOptions) => {
      const { resumeScope, scopeOf } = await import("./command-pause.ts");
      ended(await resumeScope(scopeOf(quest, scope), commonOf(resume, signal)));
    },
  );
}

function addSupply(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("supply")
    .description("hand a candidate to a quest that waits for one")
    .argument("<quest>", "its id", valid(questId));
  withCommon(command)
    .option("--branch <ref>", "a branch, tag or commit of the target")
    .option("--patch <file>", "a patch file")
    .option("--note <text>", "what to know about it; it is recorded")
    .action(async (quest: string, given: { branch?: string; patch?: string; note?: string }) => {
      const { supplyCandidate } = await import("./command-supply.ts");
      ended(await supplyCandidate(quest, given, commonOf(command, signal)));
    });
}

type Ruling = { decision: Decision; reason: string; guidance?: string };

function addRule(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("rule")
    .description("rule on an escalation, and wait until the ruling is carried out")
    .argument("<escalation>", "its id", valid(escalationId));
  withCommon(command)
    .addOption(new Option("--decision <decision>", "what to do").choices(decisions).makeOptionMandatory())
    .requiredOption("--reason <text>", "why; it is recorded")
    .option("--guidance <text>", "with retry: what the next pass should know")
    .action(async (escalation: string, { decision, reason, guidance }: Ruling) => {
      if (guidance && decision !== "retry") {
        throw new QuestbusError({
          code: "USAGE",
          message: "--guidance goes with --decision retry",
          next: "leave it out, or rule retry",
        });
      }
      const { ruleOn } = await import("./command-run.ts");
      ended(
        await ruleOn(escalation, { decision, reason, guidance: guidance ?? null }, commonOf(command, signal)),
      );
    });
}

function addAudit(program: Command, signal: AbortSignal, ended: Ended): void {
  const audit = program.command("audit").description("show the audit trail, of one quest or all");
  withCommon(audit)
    .argument("[quest]", "its id", valid(questId))
    .action(async (quest: string | undefined) => {
      const { showAudit } = await import("./command-read.ts");
      ended(showAudit(quest, commonOf(audit, signal)));
    });
  const verify = audit
    .command("verify")
    .description("check the hash chain and its signed checkpoints, and recompute every verdict");
  withCommon(verify)
    .option("--checkpoints <dir>", "also hold it against the signed checkpoints in this folder")
    .option("--key <line>", "the verifier key, as it was kept elsewhere (default: the one in the folder)")
    .action(async (options: VerifyOptions) => {
      const { verifyAudit } = await import("./command-read.ts");
      ended(await verifyAudit(options, merged(verify, audit, signal)));
    });
  const replay = audit.command("replay").description("replay the journal into an empty database and compare");
  withCommon(replay).action(async () => {
    const { replayAudit } = await import("./command-read.ts");
    ended(await replayAudit(merged(replay, audit, signal)));
  });
}

/** `dead list|show|retry|drop`. */
function addDead(program: Command, signal: AbortSignal, ended: Ended): void {
  const dead = program.command("dead").description("messages that could not be read, and were kept");
  const list = dead.command("list").description("list the open ones, newest first");
  withCommon(list)
    .option("--all", "also those that were retried or dropped", false)
    .action(async ({ all }: { all: boolean }) => {
      const { listDead } = await import("./command-dead.ts");
      ended(listDead(all, commonOf(list, signal)));
    });
  const show = dead.command("show").description("show every fault of one, and its text");
  withCommon(show)
    .argument("<letter>", "its id", valid(deadId))
    .action(async (letter: string) => {
      const { showDead } = await import("./command-dead.ts");
      ended(showDead(letter, commonOf(show, signal)));
    });
  const retry = dead.command("retry").description("read them again, each with its sender's authority");
  withCommon(retry)
    .argument("<letter...>", "their ids", validEach(deadId))
    .action(async (letters: string[]) => {
      const { retryDead } = await import("./command-dead.ts");
      ended(await retryDead(letters, commonOf(retry, signal)));
    });
  const drop = dead.command("drop").description("close them: nothing is to be done with them any more");
  withCommon(drop)
    .argument("<letter...>", "their ids", validEach(deadId))
    .option("--reason <text>", "why; it is recorded", "dropped by the operator")
    .action(async (letters: string[], { reason }: { reason: string }) => {
      const { dropDead } = await import("./command-dead.ts");
      ended(await dropDead(letters, reason, commonOf(drop, signal)));
    });
}

/** `backup create|list|verify|restore|drill`. */
function addBackup(program: Command, signal: AbortSignal, ended: Ended): void {
  const backup = program.command("backup").description("keep the state, and bring it back");
  const from = ["--from <dir>", "folder of the backups (default: that of the settings)"] as const;
  const at = ["--at <time>", "the state of that moment, as 2026-11-21T18:00:00Z"] as const;

  const create = backup.command("create").description("make a backup, also beside a running stack");
  withCommon(create)
    .option("--to <dir>", "folder of the backups (default: that of the settings)")
    .option("--keep <n>", "then remove all but the newest", wholeNumber)
    .action(async (options: { to?: string; keep?: number }) => {
      const { makeBackup } = await import("./command-backup.ts");
      ended(await makeBackup(options, commonOf(create, signal)));
    });
  const list = backup.command("list").description("list the backups, newest first");
  withCommon(list)
    .option(...from)
    .action(async (options: { from?: string }) => {
      const { showBackups } = await import("./command-backup.ts");
      ended(await showBackups(options, commonOf(list, signal)));
    });
  const verify = backup.command("verify").description("check every file and the chain of a backup");
  withCommon(verify)
    .argument("<backup>", "its name or folder")
    .option(...from)
    .action(async (named: string, options: { from?: string }) => {
      const { checkBackup } = await import("./command-backup.ts");
      ended(await checkBackup(named, options, commonOf(verify, signal)));
    });
  const restore = backup
    .command("restore")
    .description("bring the state back: all that was kept, one backup, or the state of a moment");
  withCommon(restore)
    .argument("[backup]", "its name or folder")
    .option(...at)
    .option(...from)
    .option("--to <dir>", "another state directory, which has none yet")
    .action(async (named: string | undefined, options: RestoreOptions) => {
      const { restoreBackup } = await import("./command-backup.ts");
      ended(await restoreBackup(named, options, commonOf(restore, signal)));
    });
  const practice = backup
    .command("drill")
    .description("restore elsewhere, verify it, and say what would have been lost");
  withCommon(practice)
    .option(...at)
    .option(...from)
    .action(async (options: RestoreOptions) => {
      const { drillBackup } = await import("./command-backup.ts");
      ended(await drillBackup(options, commonOf(practice, signal)));
    });
}

type Explain = { pass?: number; html?: string; force: boolean };

function addVerdict(program: Command, signal: AbortSignal, ended: Ended): void {
  const verdict = program.command("verdict").description("what a verdict rests on");
  const explain = verdict
    .command("explain")
    .description("recompute a pass's verdict from its samples, and show every pair and why it stopped")
    .argument("<quest>", "its id", valid(questId));
  withCommon(explain)
    .option("--pass <n>", "which pass (default: the last one that was measured)", wholeNumber)
    .option("--html <file>", "write a page with plots instead")
    .option("--force", "replace a file that this command did not make", false)
    .action(async (quest: string, { pass, html, force }: Explain) => {
      const { explainVerdict } = await import("./explain/command.ts");
      ended(
        explainVerdict(quest, { pass: pass ?? null, html: html ?? null, force }, commonOf(explain, signal)),
      );
    });
}

function someText(text: string): string {
  if (text.trim() !== "") return text;
  throw new InvalidArgumentError("write some words");
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("write a whole number from 1");
}
