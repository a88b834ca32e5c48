import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  followUp,
  type QuestState,
  regainPatch,
  type WatchFinding,
  watchDocument,
  watchFinding,
} from "@questbus/core";
import { type CommandData, exitCode, QuestbusError, type QuestDocument } from "@questbus/protocol";
import { journalRows } from "@questbus/store";
import { hasInHistory, inspectTarget, resolveRef } from "@questbus/workbench";
import { type Common, runSubmission, submit, sweep } from "./command-run.ts";
import { questState } from "./journal-view.ts";
import { note, paintError, printData, printFaults, printJson } from "./output.ts";
import { checkSubmission } from "./quest-file.ts";
import { writeReport } from "./report.ts";
import { type StackSession, withStore } from "./session.ts";

/** An accepted quest, what was submitted then, and the commit that is held against it now. */
type Watched = {
  quest: QuestState;
  original: CommandData["submit"];
  accepted: { commit: string; tree: string };
  ref: { name: string; commit: string; tree: string };
};

/** The quest that is to regain what was lost: under way, or in a file for a person to complete. */
type FollowUp = { quest: string | null; file: string | null; patch: string | null };

/**
 * `questbus recheck QUEST`: measures a later commit against the accepted one, with the accepted bench and by the same
 * gate. A proven regression is exit 6, and opens a quest to regain what was lost.
 *
 * @throws QuestbusError QUEST_NOT_FOUND, NOTHING_ACCEPTED, TARGET_*
 */
export async function recheckQuest(quest: string, ref: string | null, common: Common): Promise<number> {
  const watched = await readWatched(quest, ref, common);
  if (watched.accepted.tree === watched.ref.tree) return unchanged(watched, common);
  const { root } = await inspectTarget(watched.quest.spec.target.repo, watched.ref.name);
  if (!(await hasInHistory(root, watched.ref.commit, watched.accepted.commit))) {
    const where = watched.quest.accepted?.branch ?? "";
    note(`${watched.ref.name} does not have the accepted commit in its history: was ${where} merged?`);
  }
  const { document, questDir } = watched.original;
  const submission = await checkSubmission(
    watchDocument(watched.quest, document, watched.ref.name),
    questDir,
  );
  return runSubmission(submission, common, (watch, session) => conclude(watched, watch, session, common));
}

async function readWatched(quest: string, wanted: string | null, common: Common): Promise<Watched> {
  const { state, original } = withStore(common.state, (store) => {
    const found = questState(store, quest);
    for (const row of journalRows(store, quest))
      if (row.type === "quest.submitted") return { state: found, original: row.body };
    throw new RangeError(`${quest}: the journal does not have what was submitted`);
  });
  if (!state.accepted) throw nothingAccepted(state);
  const { repo, ref } = state.spec.target;
  const name = wanted ?? ref;
  const now = await inspectTarget(repo, name);
  const { commit } = state.accepted;
  if ((await resolveRef(now.root, commit)) === null) throw acceptedIsGone(state, now.root);
  const { tree } = await inspectTarget(repo, commit);
  return { quest: state, original, accepted: { commit, tree }, ref: { name, ...now } };
}

const nothingAccepted = ({ id, status }: QuestState): QuestbusError =>
  new QuestbusError({
    code: "NOTHING_ACCEPTED",
    message: `quest ${id} brought no change into its target (${status}), so there is nothing to hold a later commit against`,
    next: "recheck a quest that was accepted; questbus list shows them",
  });

const acceptedIsGone = ({ id, accepted }: QuestState, root: string): QuestbusError =>
  new QuestbusError({
    code: "TARGET_REF_MISSING",
    message: `the repository no longer has the commit ${accepted?.commit} that quest ${id} was accepted with`,
    where: root,
    next: `bring it back, for instance from a clone that has the branch ${accepted?.branch}`,
  });

function unchanged({ quest, ref }: Watched, { json }: Common): number {
  const text = `${ref.name} (${ref.commit.slice(0, 12)}) has the very files that were accepted`;
  if (json) printJson(answerOf({ quest, ref }, null, { outcome: "fine", effect: null, text }, null));
  else printData(text);
  return exitCode.ok;
}

async function conclude(
  watched: Watched,
  watch: QuestState,
  session: StackSession,
  common: Common,
): Promise<number> {
  await sweep(common.state, watch.id);
  note(paintError("dim", `report: ${writeReport(common.state, watch)}`));
  const finding = watchFinding(watch);
  const next = finding.outcome === "regressed" ? await openFollowUp(watched, watch, session, common) : null;
  if (watch.ending?.fault) printFaults([watch.ending.fault], common.json);
  if (common.json) printJson(answerOf(watched, watch, finding, next));
  else {
    printData(finding.text);
    if (next) for (const line of nextLines(next, common)) printData(line);
  }
  return exitOf(watch, finding);
}

function exitOf({ status }: QuestState, { outcome }: WatchFinding): number {
  if (outcome === "failed") return status === "cancelled" ? exitCode.notAccepted : exitCode.failure;
  return outcome === "regressed" ? exitCode.notAccepted : exitCode.ok;
}

/** What `recheck --json` prints. */
const answerOf = (
  { quest, ref }: Pick<Watched, "quest" | "ref">,
  watch: QuestState | null,
  { outcome, effect, text }: WatchFinding,
  next: FollowUp | null,
) => ({
  quest: watch?.id ?? null,
  watches: quest.id,
  ref: ref.name,
  commit: ref.commit,
  accepted: quest.accepted?.commit,
  outcome,
  effect,
  text,
  followUp: next,
});

/** Starts the follow-up where a fixer of the original can work on it; else writes it for a person to complete. */
async function openFollowUp(
  { original }: Watched,
  watch: QuestState,
  session: StackSession,
  common: Common,
): Promise<FollowUp | null> {
  const { effect } = watchFinding(watch);
  if (!effect) return null;
  const { document, alone } = followUp(original.document, watch, effect);
  if (!alone) return writeFollowUp(document, watch.id, common.state);
  const submission = await checkSubmission(document, original.questDir);
  return { quest: (await submit(submission, session, common)).quest, file: null, patch: null };
}

function writeFollowUp(document: QuestDocument, watch: string, stateDir: string): FollowUp {
  const dir = join(resolve(stateDir), "followups", watch);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, "quest.json");
  writeFileSync(file, `${JSON.stringify(document, null, 2)}\n`);
  return { quest: null, file, patch: join(dir, regainPatch) };
}

const nextLines = ({ quest, file, patch }: FollowUp, { state }: Common): string[] => {
  const where = state === ".questbus" ? "" : ` --state ${state}`;
  return quest
    ? [
        `opened ${quest} to regain it: questbus up${where} works on it, questbus status ${quest}${where} shows it`,
      ]
    : [`to regain it, write the change to ${patch}, then: questbus run ${file}${where}`];
};
