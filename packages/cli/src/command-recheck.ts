import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  acceptedChange,
  followUp,
  type QuestState,
  regainPatch,
  type WatchFinding,
  watchDocument,
  watchFinding,
} from "@questbus/core";
import { type CommandData, exitCode, QuestbusError, type QuestDocument } from "@questbus/protocol";
import { journalRows } from "@questbus/store";
import { inspectTarget, isMerged, resolveRef } from "@questbus/workbench";
import { type Common, runSubmission, submit } from "./command-run.ts";
import { sweep } from "./ended-trees.ts";
import { questState } from "./journal-view.ts";
import { note, paintError, printData, printFaults, printJson } from "./output.ts";
import { checkSubmission } from "./quest-file.ts";
import { writeReport } from "./report.ts";
import { type StackSession, withStore } from "./session.ts";

/** An accepted quest, what was submitted then, and the commit that is held against it now. */
type Watched = {
  quest: QuestState;
  original: CommandData["submit"];
  /** Its branch, or what `validate` was given. */
  accepted: { name: string; commit: string; tree: string };
  ref: { name: string; commit: string; tree: string; root: string };
};

/** The quest that is to regain what was lost: under way, or in a file for a person to complete. */
type FollowUp = { quest: string | null; file: string | null; patch: string | null };

/**
 * `questbus recheck QUEST`: measures a later commit against the accepted one, with the accepted bench and by the same
 * gate. A proven regression is exit 6, and opens a quest to regain what was lost.
 *
 * @throws QuestbusError QUEST_NOT_FOUND, NOTHING_ACCEPTED, NOT_MERGED, TARGET_*
 */
export async function recheckQuest(quest: string, ref: string | null, common: Common): Promise<number> {
  const watched = await readWatched(quest, ref, common);
  if (watched.accepted.tree === watched.ref.tree) return unchanged(watched, common);
  await refuseUnmerged(watched);
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
    for (const row of journalRows(store, { quest }))
      if (row.type === "quest.submitted") return { state: found, original: row.body };
    throw new RangeError(`${quest}: the journal does not have what was submitted`);
  });
  const change = acceptedChange(state);
  if (!change) throw nothingAccepted(state);
  const { repo, ref } = state.spec.target;
  const name = wanted ?? ref;
  const now = await inspectTarget(repo, name);
  if ((await resolveRef(now.root, change.commit)) === null) throw acceptedIsGone(state.id, change, now.root);
  const { tree } = await inspectTarget(repo, change.commit);
  return { quest: state, original, accepted: { ...change, tree }, ref: { name, ...now } };
}

function nothingAccepted({ id, status, spec }: QuestState): QuestbusError {
  const refuse = (message: string, next: string): QuestbusError =>
    new QuestbusError({ code: "NOTHING_ACCEPTED", message, next });
  if (spec.watch !== null)
    return refuse(`${id} is itself a recheck of ${spec.watch}`, `questbus recheck ${spec.watch}`);
  if (status !== "accepted")
    return refuse(
      `quest ${id} is ${status}: no change was accepted that a later commit could be held against`,
      "recheck a quest that was accepted; questbus list shows them",
    );
  return refuse(
    `quest ${id} accepted the patch ${spec.fixers[0]?.name}, and a recheck needs a commit to hold a later one against`,
    "commit the change, and validate that commit: its branch as target.candidate",
  );
}

const acceptedIsGone = (id: string, change: { name: string; commit: string }, root: string): QuestbusError =>
  new QuestbusError({
    code: "TARGET_REF_MISSING",
    message: `the repository no longer has the commit ${change.commit} that quest ${id} was accepted with`,
    where: root,
    next: `bring it back, for instance from a clone that has ${change.name}`,
  });

/** A ref that never got the change has not lost it: that would be measured as a regression. */
async function refuseUnmerged({ quest, accepted, ref }: Watched): Promise<void> {
  const merged = await isMerged(ref.root, ref.commit, {
    base: quest.base.commit,
    accepted: accepted.commit,
    but: quest.accepted && quest.spec.onAccept.changelog,
  });
  if (merged === "maybe")
    note(`${ref.name} does not have the accepted commit in its history: was ${accepted.name} merged?`);
  if (merged !== "no") return;
  const standing = await resolveRef(ref.root, accepted.name);
  throw new QuestbusError({
    code: "NOT_MERGED",
    message: `not merged yet: ${ref.name} (${ref.commit.slice(0, 12)}) does not have what quest ${quest.id} was accepted with`,
    where: ref.root,
    next: `git merge ${standing === accepted.commit ? accepted.name : accepted.commit}, then recheck again; or name a ref that has it: --ref REF`,
  });
}

function unchanged(watched: Watched, { json }: Common): number {
  const { ref } = watched;
  const text = `${ref.name} (${ref.commit.slice(0, 12)}) has the very files that were accepted`;
  if (json) printJson(answerOf(watched, null, { outcome: "fine", effect: null, text }, null));
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
    printData(finding.text, ...(next ? nextLines(next, common) : []));
  }
  return exitOf(watch, finding);
}

function exitOf({ status }: QuestState, { outcome }: WatchFinding): number {
  if (outcome === "failed") return status === "cancelled" ? exitCode.notAccepted : exitCode.failure;
  return outcome === "regressed" ? exitCode.notAccepted : exitCode.ok;
}

/** What `recheck --json` prints. */
const answerOf = (
  { quest, ref, accepted }: Watched,
  watch: QuestState | null,
  { outcome, effect, text }: WatchFinding,
  next: FollowUp | null,
) => ({
  quest: watch?.id ?? null,
  watches: quest.id,
  ref: ref.name,
  commit: ref.commit,
  accepted: accepted.commit,
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
