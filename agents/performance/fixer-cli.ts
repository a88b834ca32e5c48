import { readdir, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { authorityOf, readyWorktree, sealedPaths, type TaskContext, takeWorktree } from "@questbus/agent";
import { type CliEnd, classifyCliRun, cliInstall, cliStart, fixerPrompt, quotaPauseMs } from "@questbus/core";
import { type FixerSpec, limit, QuestbusError } from "@questbus/protocol";
import { type CommandRun, runCommand, treeHash } from "@questbus/workbench";

type CliFixer = Extract<FixerSpec, { kind: "cli" }>;
type Worktree = { path: string; since: string };
/** It may be asked again after `pauseMs`; until then nothing of the quest is to be done. */
export type QuotaWait = { pauseMs: number; said: string };

/**
 * Asks a coding CLI for a candidate, in the worktree. Where its quota is used up the worktree is put back, and it is
 * asked again as soon as it may be: that is no pass, as long as `quotaWait` and the quest's own time allow for it. For a
 * wait that is not short the agent and the machine are given free.
 * @throws FIXER_FAILED, FIXER_TIMEOUT, FIXER_MISSING, FIXER_QUOTA
 */
export async function askCli(context: TaskContext, fixer: CliFixer): Promise<Worktree | QuotaWait> {
  const ground = { authority: authorityOf(context), sealed: await sealedPaths(context) };
  const prompt = fixerPrompt(context.brief, ground);
  const ws = await context.workspace();
  const file = join(ws.dir, `prompt-${context.brief.pass}.md`);
  await writeFile(file, prompt, { mode: 0o600 });
  await context.artifacts.put("prompt", prompt);
  let { waits, waitedMs } = context.brief.quota;
  for (; ; waits += 1) {
    const tree = await takeWorktree(context);
    const run = await runOnce(context, fixer, tree.path, file);
    const changed = run.exit === 0 && (await treeHash(ws, tree.path)) !== tree.since;
    const end = classifyCliRun(fixer.cli, { ...run, changed }, Date.now());
    if (end.state === "done") return tree;
    if (end.state !== "quota") throw failure(fixer, end);
    const limits = { statedMs: end.waitMs, waits, waitedMs, waitMsMax: fixer.quotaWaitMs };
    const pauseMs = quotaPauseMs(limits);
    if (pauseMs === null) throw quotaUsedUp(fixer, end.message, waitedMs);
    // What a CLI that gave up half way has written is no start for the next.
    await readyWorktree(context);
    if (pauseMs > limit.quotaHoldMs)
      return { pauseMs: Math.ceil(pauseMs), said: end.message.slice(0, limit.noteCharsMax) };
    await context.note(`waits ${seconds(pauseMs)} for the quota of ${fixer.name}: ${end.message}`);
    await delay(pauseMs, undefined, { signal: context.signal });
    waitedMs += pauseMs;
  }
}

async function runOnce(
  { brief, artifacts, signal, groups }: TaskContext,
  fixer: CliFixer,
  cwd: string,
  promptFile: string,
): Promise<CommandRun> {
  const { command, keeps, sets, leaves, reads, writes } = cliStart(fixer);
  const kept = keeps.flatMap((name) =>
    process.env[name] ? [[name, process.env[name] as string] as const] : [],
  );
  const before = leaves ? await readdir(cwd) : [];
  const run = await runCommand({
    command,
    cwd,
    env: {
      ...Object.fromEntries(kept),
      ...sets,
      // Where it is signed in; in a sandbox nothing else of it is there.
      HOME: homedir(),
      QUESTBUS_PROMPT: promptFile,
      QUESTBUS_QUEST_DIR: brief.questDir,
    },
    timeoutMs: fixer.timeoutMs,
    user: "fixers",
    grant: {
      network: true,
      reads: [promptFile, brief.questDir, ...atHome(reads)],
      writes: [...atHome(writes), ...placesIn(kept)],
    },
    signal,
    groups,
  });
  signal.throwIfAborted();
  const left = leaves
    ? (await readdir(cwd)).filter((name) => leaves.test(name) && !before.includes(name))
    : [];
  for (const name of left) await rm(join(cwd, name), { recursive: true, force: true });
  const secrets = kept.filter(([name]) => /KEY|TOKEN|SECRET/i.test(name)).map(([, value]) => value);
  const clean = withoutSecrets(run, secrets);
  await artifacts.put("fixer-output", clean.output);
  return clean;
}

const atHome = (paths: readonly string[]): string[] => paths.map((path) => join(homedir(), path));

/** Its own folder, where the operator has moved it: CODEX_HOME, CLAUDE_CONFIG_DIR. */
const placesIn = (kept: readonly (readonly [string, string])[]): string[] =>
  kept.flatMap(([name, value]) => (/_(?:HOME|CONFIG_DIR)$/.test(name) ? [value] : []));

/** What a CLI prints is kept as evidence, and must not hold the keys that were handed to it. */
function withoutSecrets(run: CommandRun, secrets: readonly string[]): CommandRun {
  const hide = (text: string): string =>
    secrets.filter((each) => each.length >= 8).reduce((all, each) => all.replaceAll(each, "[key]"), text);
  return { ...run, stdout: hide(run.stdout), stderr: hide(run.stderr), output: hide(run.output) };
}

/** For people: `45 s`, `12 min`. */
export const seconds = (ms: number): string =>
  ms < 120_000 ? `${Math.ceil(ms / 1_000)} s` : `${Math.ceil(ms / 60_000)} min`;

function failure(
  fixer: CliFixer,
  end: Exclude<CliEnd, { state: "done" } | { state: "quota" }>,
): QuestbusError {
  const where = fixer.cli;
  if (end.state === "missing") {
    const message = `there is no program ${fixer.cli} that can be started`;
    const next = `install it (${cliInstall(fixer.cli)}) and sign in, or name your own program with command`;
    return new QuestbusError({ code: "FIXER_MISSING", message, where, next });
  }
  if (end.state === "timeout") {
    const message = `${fixer.name} did not end within ${seconds(fixer.timeoutMs)}`;
    return new QuestbusError({ code: "FIXER_TIMEOUT", message, where, next: "raise the fixer's timeout" });
  }
  const next = "read its output (artifact fixer-output); run it by hand once, to see that it is signed in";
  return new QuestbusError({
    code: "FIXER_FAILED",
    message: `${fixer.name} failed, ${end.message}`,
    where,
    next,
  });
}

function quotaUsedUp(fixer: CliFixer, said: string, waitedMs: number): QuestbusError {
  return new QuestbusError({
    code: "FIXER_QUOTA",
    message: `the quota of ${fixer.name} is used up, for longer than quotaWait allows (waited ${seconds(waitedMs)}): ${said}`,
    where: fixer.cli,
    next: "raise quotaWait, or let an arbiter grant one more pass when the quota is back",
  });
}
