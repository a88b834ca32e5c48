import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  awaitingPass,
  breakerText,
  injectionText,
  type QuestState,
  quotaUntilMs,
  type VerdictFault,
  watchFinding,
} from "@questbus/core";
import { auditReplay, readBreakers, stackPauses } from "@questbus/orchestrator";
import {
  endings,
  exitCode,
  type Fault,
  type HeldProgress,
  type JournalEvent,
  plural,
  QuestbusError,
  roles,
} from "@questbus/protocol";
import {
  actorText,
  type Checkpoint,
  checkpointFaults,
  checkpointsDir,
  journalRows,
  readCheckpoints,
  type StoreReader,
  signerFault,
  verifierKeyIn,
  verifyJournal,
} from "@questbus/store";
import type { Common } from "./command-run.ts";
import { stateOption } from "./explain/words.ts";
import { followHeld, heardAgo, heldProgress, progressText } from "./held.ts";
import { injectionsCounted, injectionsOf } from "./injection.ts";
import { isAtRest, newestQuest, openJournalView, questState } from "./journal-view.ts";
import { ago, note, paint, paintError, printData, printJson, table, textLines } from "./output.ts";
import { openProgress } from "./progress.ts";
import {
  agentRows,
  escalationRows,
  listMax,
  type Presence,
  questRows,
  summarizedQuest,
} from "./read-rows.ts";
import { countRefused, othersRefused, refusedCounted } from "./refused.ts";
import { matrixLines, stageLines } from "./report.ts";
import { withStack, withStore } from "./session.ts";
import { readSettings } from "./setting.ts";
import { findStack, notRunning } from "./stack-record.ts";
import { hasState } from "./state-dir.ts";
import { candidateHint, exitOf, outcomeOf, outcomeText } from "./summary.ts";
import { openWithheld, withheldText, withheldWord } from "./withheld.ts";

/** `questbus status [ID]`: one quest, or the newest. */
export async function showStatus(quest: string | undefined, common: Common): Promise<number> {
  const held = common.json ? [] : await heldProgress(common.state);
  return withStore(common.state, (store) => {
    const unsigned = signerFault(store.dir);
    if (unsigned) note(paintError("yellow", `${unsigned.message}; ${unsigned.next}`));
    const id = quest ?? newestQuest(store);
    const { state, watches, summary } = summarizedQuest(store, id);
    if (common.json) printJson(summary);
    else printStatus(state, { watches, held, store, stateDir: resolve(common.state) });
    return exitCode.ok;
  });
}

/** The task at hand, and what its holder says of it. */
function nowText({ id, task, assignments }: QuestState, held: readonly HeldProgress[]): string {
  const { note } = Object.values(assignments).find((each) => each.task === task) ?? {};
  const last = held.find(({ assignment }) => assignment.startsWith(`${id}.`));
  const what = [task, note].filter(Boolean).join(": ");
  if (!last) return what;
  const isSaid = last.step === task || note?.startsWith(last.step);
  return `${what} (${isSaid ? heardAgo(last) : progressText(last)})`;
}

/** Why nobody takes the task that is offered: the agents of its role whose breakers are open, unless another one is fine. */
function heldOff(store: StoreReader, { assignments }: QuestState): string[] {
  const role = roles.find((each) => assignments[each].status === "offered");
  const breakers = readBreakers(store);
  const found = store.listAgents().filter((each) => each.role === role);
  const waiting = found.flatMap((agent) => {
    const breaker = breakers.get(actorText(agent));
    return breaker?.open ? [`${actorText(agent)} is ${breakerText(breaker, Date.now())}`] : [];
  });
  return waiting.length === found.length ? waiting : [];
}

type Seen = {
  watches: readonly QuestState[];
  held: readonly HeldProgress[];
  store: StoreReader;
  stateDir: string;
};

function printStatus(state: QuestState, { watches, held, store, stateDir }: Seen): void {
  const { status, ending, escalation, accepted } = state;
  const outcome = outcomeOf(state);
  printData(`${paint("bold", state.id)}  ${state.spec.title}`);
  printData(
    outcome
      ? `recheck of ${state.spec.watch}: ${outcomeText[outcome]} (${watchFinding(state).text})`
      : `status: ${status}${ending ? ` (${ending.reason})` : ""}`,
  );
  if (ending?.fault) printData(...faultLines(ending.fault));
  const withheld = openWithheld(store)(state);
  if (withheld) printData(paint("yellow", `does not go on: ${withheldText(withheld)}`));
  if (state.task)
    printData(`now: pass ${state.assignments.ops.machine.context.pass}, ${nowText(state, held)}`);
  for (const each of heldOff(store, state)) printData(`waits for an agent: ${each}`);
  const until = quotaUntilMs(state);
  if (until !== null)
    printData(
      `waits until ${new Date(until).toISOString()} for a quota: ${state.passes.at(-1)?.quota?.said ?? ""}`,
    );
  const waits = awaitingPass(state)?.awaited;
  if (waits) {
    if (waits.refused) printData(...textLines(`not taken: ${waits.refused.code}: ${waits.refused.message}`));
    printData(`waits for a candidate: ${candidateHint(state)}`);
  }
  for (const each of injectionsOf(store, state.id)) printData(paint("yellow", injectionText(each)));
  if (accepted) printData(`accepted: branch ${accepted.branch}, commit ${accepted.commit}`);
  if (!ending && status !== "escalated" && findStack(stateDir) === null) {
    printData("nobody works on it now: run its quest file again, or questbus up, and it goes on");
  }
  printData("", ...stageLines(state, watches));
  if (state.passes.length > 0) printData("", ...matrixLines(state, stateDir));
  if (escalation && !escalation.ruling && !ending)
    printData("", `waits for a ruling: questbus rule ${escalation.id} --decision ... --reason ...`);
}

/** `questbus list` */
export function listQuests(common: Common): number {
  return withStore(common.state, (store) => {
    const quests = questRows(store, { limit: listMax });
    if (common.json) printJson(quests);
    else {
      // Who is kept from nothing needs no column for it.
      const isKept = quests.some(({ withheld }) => withheld !== null);
      const rows = quests.map(({ id, intent, status, outcome, withheld, updatedMs, title }) => [
        id,
        intent,
        outcome ? outcomeText[outcome] : status,
        ...(isKept ? [withheldWord(withheld)] : []),
        ago(updatedMs, Date.now()),
        title,
      ]);
      const head = ["quest", "intent", "status", ...(isKept ? ["because"] : []), "changed", "title"];
      printData(...(rows.length > 0 ? table(head, rows) : ["no quests yet: questbus run FILE"]));
      notePauses(store);
      if (
        !quests.every(({ status }) => restful.includes(status)) &&
        findStack(resolve(common.state)) === null
      )
        note(
          `nobody works on these now: run their quest files again, or ${upCall(common.state)}, and they go on`,
        );
    }
    return exitCode.ok;
  });
}

/** Statuses of quests that nothing happens to without a person. */
const restful: readonly string[] = [...endings, "escalated"];

const upCall = (stateDir: string): string => `questbus up${stateOption(stateDir)}`;

/** What ended a quest, and what to do about it. */
const faultLines = ({ code, message, where, next }: Fault): string[] => [
  ...textLines(`${code}${where ? ` at ${where}` : ""}: ${message}`),
  `  next: ${next ?? "correct that, then run its quest file again"}`,
];

/** What is paused beyond single quests. */
function notePauses(store: StoreReader): void {
  for (const pause of stackPauses(store))
    note(paintError("yellow", withheldText({ kind: "pause", ...pause })));
}

/** `questbus escalations`: what waits for an arbiter, each with its evidence matrix. */
export function listEscalations(common: Common): number {
  return withStore(common.state, (store) => {
    const open = escalationRows(store);
    if (common.json) printJson(open);
    else if (open.length === 0) printData("nothing waits for an arbiter");
    else
      for (const each of open) printEscalation(each.id, questState(store, each.quest), resolve(common.state));
    return exitCode.ok;
  });
}

function printEscalation(id: string, state: QuestState, stateDir: string): void {
  printData(`${paint(["bold", "yellow"], id)}  ${state.id}  ${state.spec.title}`);
  printData(...textLines(state.escalation?.detail ?? ""), "", ...matrixLines(state, stateDir), "");
}

const standing = (presence: Presence | null): string =>
  presence === null || presence === "connected" ? "fine" : presence;

/** `questbus agents`: the role agents, and what each holds. */
export async function listAgents(common: Common): Promise<number> {
  const agents = await agentRows(common.state);
  return withStore(common.state, (store) => {
    const running = findStack(common.state) !== null;
    if (common.json) printJson({ running, agents });
    else {
      const rows = agents.map((each) => [
        each.name,
        each.role,
        ago(each.joinedMs, Date.now()),
        each.holds ?? "-",
        each.progress ? progressText(each.progress) : "-",
        [
          each.breaker ? breakerText(each.breaker, Date.now()) : standing(each.presence),
          ...(each.injections > 0 ? [injectionsCounted(each.injections)] : []),
          ...(each.refused > 0 ? [refusedCounted(each.refused)] : []),
        ].join("; "),
      ]);
      printData(...table(["agent", "role", "joined", "holds", "progress", "state"], rows));
      notePauses(store);
      const others = othersRefused(countRefused(store), agents.map(actorText));
      if (others) note(others);
      if (!running) note("no stack is running: these agents were the last to join");
    }
    return exitCode.ok;
  });
}

/** `questbus audit [ID]`: the journal, oldest first. */
export function showAudit(quest: string | undefined, common: Common): number {
  return withStore(common.state, (store) => {
    if (quest) questState(store, quest);
    for (const row of journalRows(store, { quest }))
      if (common.json) printJson(row, 0);
      else printData(auditLine(row));
    return exitCode.ok;
  });
}

function auditLine(row: JournalEvent): string {
  const time = new Date(row.timeMs).toISOString();
  const what = JSON.stringify(row.body);
  const short = what.length > 140 ? `${what.slice(0, 137)}...` : what;
  return `${String(row.seq).padStart(5)}  ${time}  ${row.actor.role}/${row.actor.name}  ${paint("bold", row.type)}  ${row.quest ?? "-"}  ${short}`;
}

export type VerifyOptions = { checkpoints?: string | undefined; key?: string | undefined };

/**
 * `questbus audit verify`: the chain, what was signed of it, then in one walk every verdict from its own evidence, and the
 * state that follows.
 */
export async function verifyAudit(options: VerifyOptions, common: Common): Promise<number> {
  const settings = await readSettings(common.state);
  const { dir, chain, checkpoints } = withStore(common.state, (store) => {
    const chain = verifyJournal(store);
    if (!chain.ok)
      throw auditBroken(
        store.dir,
        common,
        chain.faults.map((each) => each.what),
      );
    const beside = settings.checkpoints;
    return { dir: store.dir, chain, checkpoints: verifyCheckpoints(store, { ...options, beside }, common) };
  });
  const { verdicts, faults, difference } = await auditReplay(dir);
  if (faults.length > 0) throw auditBroken(dir, common, faults.map(verdictFault));
  if (difference) throw difference;
  const { length, head } = chain;
  if (common.json) printJson({ ok: true, length, head, checkpoints });
  else {
    const text = `audit trail intact: ${plural(length, "row")}, ${plural(verdicts, "verdict")} and the state recomputed`;
    const signed =
      checkpoints.upTo > 0 ? `signed up to row ${checkpoints.upTo}` : "no signed checkpoint found";
    const { named } = checkpoints;
    const where = named ? ` (${plural(named, "checkpoint")} from ${resolve(options.checkpoints ?? "")})` : "";
    printData(paint("green", `${text}, ${signed}${where}, head ${head.slice(0, 16)}`));
  }
  return exitCode.ok;
}

/** Holds the journal against the checkpoints beside it, those of the settings, and those that were named. */
function verifyCheckpoints(
  store: StoreReader,
  { checkpoints, key, beside }: VerifyOptions & { beside: string | null },
  common: Common,
): { count: number; upTo: number; named?: number } {
  const named = checkpoints === undefined ? null : resolve(checkpoints);
  if (named && !isFolder(named)) throw checkpointMissing(named, "the folder of checkpoints is not there");
  const dirs = new Set([checkpointsDir(store.dir), beside, named]);
  const found: Checkpoint[] = [];
  const faults: string[] = [];
  for (const dir of dirs) {
    const read = dir && checkpointsIn(dir, key, store.installation);
    if (!read) continue;
    const { signed, unsigned } = read;
    found.push(...signed);
    faults.push(...unsigned.map((file) => `${file} was not signed with the key of this installation`));
  }
  const ofNamed = found.filter(({ file }) => dirname(file) === named).length;
  if (named && ofNamed === 0 && faults.length === 0) {
    const isKeyed = key !== undefined || verifierKeyIn(named) !== null;
    throw checkpointMissing(
      named,
      isKeyed ? "the folder holds no checkpoint" : "the folder has no verifier-key, and no --key was given",
    );
  }
  const hashAt = (seq: number): string | null =>
    store.readJournal({ afterSeq: seq - 1, limit: 1 }).find((row) => row.seq === seq)?.hash ?? null;
  found.sort((a, b) => a.seq - b.seq);
  faults.push(...checkpointFaults(found, store.head(), hashAt));
  if (faults.length > 0) throw auditBroken(store.dir, common, faults);
  const upTo = found.at(-1)?.seq ?? 0;
  return { count: found.length, upTo, ...(named ? { named: ofNamed } : {}) };
}

/** Null without a key to check them with. A key that was not given is the state's: what is wrong with it is no usage. */
function checkpointsIn(
  dir: string,
  given: string | undefined,
  installation: string,
): ReturnType<typeof readCheckpoints> | null {
  const key = given ?? verifierKeyIn(dir);
  if (key === null) return null;
  try {
    return readCheckpoints(dir, key, installation);
  } catch (error) {
    if (given !== undefined || !(error instanceof QuestbusError && error.code === "USAGE")) throw error;
    throw new QuestbusError({
      code: "AUDIT_BROKEN",
      message:
        "the file holds no key of this installation, so that the checkpoints beside it cannot be checked",
      where: join(dir, "verifier-key"),
      next: "find out who replaced it; put back the line that was kept elsewhere, or give it with --key LINE",
    });
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;

function checkpointMissing(dir: string, message: string): QuestbusError {
  return new QuestbusError({
    code: "CHECKPOINT_MISSING",
    message,
    where: dir,
    next: "name the folder that they were kept in, and give the line of verifier-key with --key where it is not in it",
  });
}

function auditBroken(dir: string, { state }: Common, messages: readonly string[]): QuestbusError {
  // In a cluster each node has its backups.
  const named = stateOption(dir === resolve(state) ? state : dir);
  const [first, ...rest] = messages.map((message) => ({
    code: "AUDIT_BROKEN" as const,
    message,
    where: join(dir, "questbus.db"),
    next: `keep the state directory as it is, and compare it with a backup: questbus backup list${named}`,
  }));
  if (!first) throw new RangeError("a broken chain has a fault");
  return new QuestbusError(first, ...rest);
}

const verdictFault = ({ seq, stored, quest, recomputed }: VerdictFault): string =>
  `row ${seq}: verdict ${stored} of ${quest} is ${recomputed} by its own evidence`;

/** `questbus audit replay`: the journal into an empty database, compared with the stored state. */
export async function replayAudit(common: Common): Promise<number> {
  const dir = withStore(common.state, (store) => store.dir);
  const { events, difference } = await auditReplay(dir);
  if (difference) throw difference;
  if (common.json) printJson({ ok: true, events });
  else printData(paint("green", `replay of ${events} events gives the stored state, byte for byte`));
  return exitCode.ok;
}

/** `questbus watch [ID]`: what happened and what happens, until the quest is at rest or Ctrl-C. */
export async function watch(quest: string | undefined, common: Common): Promise<number> {
  if (findStack(resolve(common.state)) === null && hasState(common.state)) return showStored(quest, common);
  return withStack(
    { stateDir: common.state, running: "required", signal: common.signal },
    async (session) => {
      if (quest) questState(session.store, quest);
      const progress = openProgress();
      const operator = await session.clientAs("operator");
      const view = openJournalView(session.store, operator);
      const unfollow = followHeld(operator, progress.told);
      const atRest = (): boolean => quest !== undefined && isAtRest(questState(session.store, quest));
      try {
        await view.follow({
          afterSeq: 0,
          quest,
          onRow: rowPrinter(common, progress.show),
          done: () => atRest() || !session.isThere(),
          signal: common.signal,
        });
      } finally {
        unfollow();
        progress.stop();
      }
      if (common.signal.aborted) return exitCode.ok;
      if (!session.isThere()) throw notRunning(common.state);
      return quest ? exitOf(questState(session.store, quest)) : exitCode.ok;
    },
  );
}

const rowPrinter =
  (common: Common, show: (row: JournalEvent) => void) =>
  (row: JournalEvent): void =>
    common.json ? printJson(row, 0) : show(row);

function showStored(quest: string | undefined, common: Common): number {
  if (common.json) return showAudit(quest, common);
  return withStore(common.state, (store) => {
    if (quest) questState(store, quest);
    const progress = openProgress();
    for (const row of journalRows(store, { quest })) progress.show(row);
    progress.stop();
    note("no stack is running: this is what was stored");
    return exitCode.ok;
  });
}
