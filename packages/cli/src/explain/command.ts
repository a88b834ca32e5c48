import { type ExplainedPass, explainPasses, type QuestState } from "@questbus/core";
import { exitCode, QuestbusError } from "@questbus/protocol";
import { journalRows, type StoreReader } from "@questbus/store";
import type { Common } from "../command-run.ts";
import { questState } from "../journal-view.ts";
import { columnsOfData, note, paintError, printData, printJson } from "../output.ts";
import { withStore } from "../session.ts";
import { explanationPage } from "./page.ts";
import { writePage } from "./page-file.ts";
import { explanationLines, headline } from "./text.ts";
import { type View, viewOf } from "./words.ts";

/** The most of the terminal that the text uses. */
const columnsMax = 120;

export type ExplainOptions = { pass: number | null; html: string | null; force: boolean };

/**
 * `questbus verdict explain QUEST`: a pass from its stored samples, and whether its stored verdict is the one they give.
 *
 * @throws QuestbusError QUEST_NOT_FOUND, PASS_NOT_FOUND, FILE_EXISTS, FILE_UNUSABLE; AUDIT_BROKEN after all was shown,
 *   where the stored verdict is not the one that the samples give
 */
export function explainVerdict(quest: string, options: ExplainOptions, common: Common): number {
  const view = withStore(common.state, (store) => {
    const state = questState(store, quest);
    return viewOf(state, passOf(passesOf(store, state), state, options.pass), common.state);
  });
  const written =
    options.html === null ? null : writePage(options.html, explanationPage(view), options.force);
  if (common.json) printJson(dataOf(view));
  else if (written) printData(headline(view), `page: ${written}`);
  else printData(...explanationLines(view, Math.min(columnsOfData(), columnsMax)));
  if (written && common.json) note(paintError("dim", `page: ${written}`));
  if (view.pass.same === false) throw notTheSame(view);
  return exitCode.ok;
}

const dataOf = ({ quest, title, passes, pass: { pass, ...explained } }: View) => ({
  quest,
  title,
  pass,
  passes,
  ...explained,
});

function passesOf(store: StoreReader, { id }: QuestState): ExplainedPass[] {
  try {
    return explainPasses(journalRows(store, { quest: id }));
  } catch (error) {
    throw new QuestbusError({
      code: "AUDIT_BROKEN",
      message: `the journal of ${id} cannot be followed: ${error instanceof Error ? error.message : String(error)}`,
      next: "find the row: questbus audit verify",
    });
  }
}

/** The pass that was asked for, or the last one with samples, or the last one. */
function passOf(passes: readonly ExplainedPass[], { id }: QuestState, wanted: number | null): ExplainedPass {
  const found =
    wanted === null
      ? (passes.findLast(({ samples }) => samples !== null) ?? passes.at(-1))
      : passes.find(({ pass }) => pass === wanted);
  if (found) return found;
  const there = passes.map(({ pass, stored }) => `${pass} (${stored?.verdict ?? "not judged"})`).join(", ");
  throw new QuestbusError({
    code: "PASS_NOT_FOUND",
    message:
      wanted === null
        ? `${id} has no pass yet`
        : `${id} has no pass ${wanted}; it has ${there || "none yet"}`,
    next: there ? "name one of these with --pass" : "wait for its first pass: questbus watch",
  });
}

const notTheSame = ({ quest, stateDir, pass: { pass, stored, recomputed } }: View): QuestbusError =>
  new QuestbusError({
    code: "AUDIT_BROKEN",
    message: `the verdict of pass ${pass} of ${quest} is stored as ${stored?.verdict}, and is ${recomputed?.verdict ?? "none"} by its own evidence, or other figures stand under it`,
    where: stateDir,
    next: "keep the state directory as it is, and compare it with a backup",
  });
