import { randomUUID } from "node:crypto";
import { resolve } from "node:path";
import { groupsDir, sessionNames } from "@questbus/agent";
import type { BusClient } from "@questbus/bus";
import type { QuestState } from "@questbus/core";
import { type CommandData, exitCode, QuestbusError, roles, type SandboxPolicy } from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";
import { recordedGroupsEnd } from "@questbus/workbench";
import { openDiskWatch } from "./disk-watch.ts";
import { endedMsMax, sweep } from "./ended-trees.ts";
import { explainCall, stateOption } from "./explain/words.ts";
import { followHeld } from "./held.ts";
import { isAtRest, openJournalView, questState } from "./journal-view.ts";
import { note, paintError, printData, printFaults, printJson } from "./output.ts";
import { openProgress } from "./progress.ts";
import { readSubmission, type Submission } from "./quest-file.ts";
import { matrixLines, writeReport } from "./report.ts";
import { type StackSession, withLastingStack, withStack } from "./session.ts";
import { notRunning } from "./stack-record.ts";
import { exitOf, summaryOf } from "./summary.ts";
import { openWithheld, withheldText } from "./withheld.ts";

export type Common = {
  state: string;
  json: boolean;
  signal: AbortSignal;
  /** What the command line says of the sandbox; absent: nothing. */
  sandbox?: SandboxPolicy | undefined;
};

/** What the operator grants a quest beyond its file. */
export type Granted = { acceptDetectable: boolean };

/** `questbus run FILE`: submits, waits until the quest is at rest, and says how it ended. */
export async function runQuest(file: string, granted: Granted, common: Common): Promise<number> {
  const submission = await readSubmission(file, granted);
  return runSubmission(submission, common, (...ended) => conclude(...ended, submission.placed));
}

/** Says how a quest that is at rest ended, and gives the exit code. */
type Conclude = (state: QuestState, session: StackSession, common: Common) => Promise<number>;

/** Submits, shows the quest until it is at rest, and concludes. */
export async function runSubmission(
  submission: Submission,
  common: Common,
  concluding: Conclude,
): Promise<number> {
  const onStart = (broker: string): void =>
    note(paintError("dim", `local stack is up (${broker}, state ${common.state})`));
  let submitted: { quest: string; resumed: boolean } | null = null;
  let seen = 0;
  return withLastingStack(
    { stateDir: common.state, running: "any", signal: common.signal, sandbox: common.sandbox, onStart },
    async (session) => {
      if (!submitted) {
        submitted = await submit(submission, session, common);
        if (submitted.resumed)
          note(paintError("dim", `this quest was left unfinished: going on with ${submitted.quest}`));
      }
      const onSeen = (seq: number): void => {
        seen = Math.max(seen, seq);
      };
      return follow(submitted.quest, session, common, { quietUntil: seen, onSeen, concluding });
    },
  );
}

export async function submit(
  { command, storePatches }: Submission,
  session: StackSession,
  { state }: Common,
): Promise<{ quest: string; resumed: boolean }> {
  await storePatches(state);
  const operator = await session.clientAs("operator");
  return (await operator.request("submit", command)) as { quest: string; resumed: boolean };
}

/** `questbus submit FILE`: the id, once the quest is stored. */
export async function submitQuest(file: string, granted: Granted, common: Common): Promise<number> {
  const submission = await readSubmission(file, granted);
  return withStack(
    { stateDir: common.state, running: "required", signal: common.signal },
    async (session) => {
      const answer = await submit(submission, session, common);
      if (common.json) printJson(answer);
      else printData(answer.quest);
      return exitCode.ok;
    },
  );
}

type FollowOptions = { quietUntil: number; onSeen?: (seq: number) => void; concluding?: Conclude };

/** Shows a quest live until nothing more happens without a person. Rows up to `quietUntil` were seen before. */
async function follow(
  quest: string,
  session: StackSession,
  common: Common,
  { quietUntil, onSeen = () => {}, concluding = conclude }: FollowOptions,
): Promise<number> {
  const progress = openProgress();
  const operator = await session.clientAs("operator");
  const view = openJournalView(session.store, operator);
  const unfollow = followHeld(operator, progress.told);
  const isFull = openDiskWatch(common.state);
  const isStuck = (): boolean => !session.isThere() || isFull();
  const withheld = openWithheld(session.store)(questState(session.store, quest));
  if (withheld) note(paintError("yellow", withheldText(withheld)));
  try {
    await view.follow({
      afterSeq: 0,
      quest,
      onRow: (row) => {
        progress.show(row, row.seq <= quietUntil);
        onSeen(row.seq);
      },
      done: () => isAtRest(questState(session.store, quest)) || isStuck(),
      signal: common.signal,
    });
  } finally {
    unfollow();
    progress.stop();
  }
  if (common.signal.aborted) {
    note(`interrupted: the same command goes on with ${quest}`);
    return exitCode.interrupted;
  }
  const state = questState(session.store, quest);
  if (!isAtRest(state)) throw session.isThere() ? diskFull(common.state) : notRunning(common.state);
  return concluding(state, session, common);
}

const diskFull = (stateDir: string): QuestbusError =>
  new QuestbusError({
    code: "DISK_FULL",
    message: "there is no space left for the journal, so that the quest cannot go on",
    where: stateDir,
    next: "free some space, then run the same again: it goes on where it stands",
  });

async function conclude(
  state: QuestState,
  session: StackSession,
  common: Common,
  placed: Submission["placed"] = (fault) => fault,
): Promise<number> {
  if (state.ending) await sweep(common.state, state.id);
  const report = writeReport(common.state, state);
  if (common.json) printJson(summaryOf(state, session.store));
  else if (state.status === "escalated")
    note("", ...matrixLines(state, resolve(common.state)), "", ...rulingHint(state, common.state));
  if (state.ending?.fault) printFaults([placed(state.ending.fault)], common.json);
  note(paintError("dim", `report: ${report}`));
  if (state.passes.length > 0) note(paintError("dim", `why: ${explainCall(state.id, common.state)}`));
  if (!common.json) printData(outcomeLine(state));
  return exitOf(state);
}

/** The one line that a script without `--json` reads. */
const outcomeLine = (state: QuestState): string =>
  [state.id, state.status, state.accepted?.branch ?? "", state.accepted?.commit ?? ""]
    .filter(Boolean)
    .join(" ");

function rulingHint(state: QuestState, stateDir: string): string[] {
  const id = state.escalation?.id ?? "";
  const where = stateOption(stateDir);
  return [
    "it waits for an arbiter:",
    `  questbus rule ${id} --decision accept|revert|retry|abandon --reason "..."${where}`,
  ];
}

/** `questbus rule ESCALATION`: records the ruling, and waits until it is carried out. */
export async function ruleOn(
  escalation: string,
  ruling: { decision: "accept" | "revert" | "retry" | "abandon"; reason: string; guidance: string | null },
  common: Common,
): Promise<number> {
  let before: number | null = null;
  // One id for all tries: a ruling that was stored before its answer was lost is answered again, not refused.
  const id = randomUUID();
  const options = {
    stateDir: common.state,
    running: "stored",
    signal: common.signal,
    sandbox: common.sandbox,
  } as const;
  return withLastingStack(options, async (session) => {
    const known = session.store.getEscalation(escalation);
    if (!known) {
      const next = "list the open ones: questbus escalations";
      throw new QuestbusError({
        code: "ESCALATION_NOT_FOUND",
        message: `there is no escalation ${escalation}`,
        next,
      });
    }
    if (before === null) {
      const arbiter = await session.clientAs("arbiter");
      const { seq } = session.store.head();
      await arbiter.request("rule", { escalation, ...ruling }, { id });
      before = seq;
    }
    return followRuling(known.quest, session, common, before);
  });
}

/** A ruling is carried out when its quest is at rest again; the exit code says whether that worked. */
async function followRuling(
  quest: string,
  session: StackSession,
  common: Common,
  before: number,
): Promise<number> {
  const exit = await follow(quest, session, common, { quietUntil: before });
  const { ruling } = questState(session.store, quest).escalation ?? {};
  const done =
    exit === exitCode.notAccepted && (ruling?.decision === "revert" || ruling?.decision === "abandon");
  return done ? exitCode.ok : exit;
}

/** `questbus cancel QUEST`: when it says so, none of the quest's commands runs on this machine any more. */
export async function cancelQuest(quest: string, reason: string, common: Common): Promise<number> {
  return withStack(
    { stateDir: common.state, running: "stored", signal: common.signal, sandbox: common.sandbox },
    async (session) => {
      const operator = await session.clientAs("operator");
      const options = { store: session.store, stateDir: common.state };
      const { ended } = await cancelOn(operator, { quest, reason }, options);
      if (!ended) note("some commands of its agents still run: questbus agents");
      const summary = summaryOf(questState(session.store, quest), session.store);
      if (common.json) printJson(summary);
      else printData(`${quest} ${summary.status}`);
      return exitCode.ok;
    },
  );
}

/**
 * Cancels a quest, waits until the agents on this machine have ended what they run for it, and removes its trees.
 * `ended` is false where some commands still run.
 */
export async function cancelOn(
  operator: BusClient,
  command: CommandData["cancel"],
  { store, stateDir, id }: { store: StoreReader; stateDir: string; id?: string | undefined },
): Promise<{ answer: object; ended: boolean }> {
  const { quest } = command;
  const { seq } = store.head();
  const held = store.listAssignments({ quest, status: "leased" });
  const answer = (await operator.request("cancel", command, { id })) as object;
  const claims = store.readJournal({
    afterSeq: seq,
    quest,
    type: "assignment.claimed",
    limit: roles.length,
  });
  const holders = [
    ...held.flatMap(({ role, holder }) => (holder ? [{ role, name: holder }] : [])),
    ...claims.map(({ actor }) => actor),
  ].flatMap(sessionNames);
  const ended = await recordedGroupsEnd(groupsDir(resolve(stateDir)), holders, endedMsMax);
  await sweep(stateDir, quest);
  return { answer, ended };
}
