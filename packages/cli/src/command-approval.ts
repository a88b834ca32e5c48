import { join, resolve } from "node:path";
import { nearWord } from "@questbus/agent";
import { operationsText, type QuestState } from "@questbus/core";
import { type Approval, type ApprovalAnswer, exitCode, QuestbusError } from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";
import { openArtifacts } from "@questbus/workbench";
import type { Common } from "./command-run.ts";
import { stateOption } from "./explain/words.ts";
import { questState } from "./journal-view.ts";
import { note, paint, printData, printJson, table } from "./output.ts";
import { listMax } from "./read-rows.ts";
import { withStack, withStore } from "./session.ts";

/** An approval as programs read it. */
const shownApproval = (quest: string, { id, decision, ...approval }: Approval) => ({
  approval: id,
  quest,
  status: decision?.word ?? "open",
  ...approval,
  decision,
});

/** Those that are open, or all: oldest first. */
export function approvalRows(store: StoreReader, all: boolean) {
  const states = all
    ? store.listQuests({ limit: listMax }).map(({ id }) => questState(store, id))
    : (store.unfinishedQuests() as QuestState[]);
  return states
    .flatMap((state) => (state.approvals ?? []).map((each) => shownApproval(state.id, each)))
    .filter(({ status }) => all || status === "open")
    .sort((one, other) => one.openedMs - other.openedMs);
}

/** `questbus approvals list` */
export function listApprovals(all: boolean, common: Common): number {
  return withStore(common.state, (store) => {
    const found = approvalRows(store, all);
    if (common.json) printJson(found);
    else if (found.length === 0) printData("nothing waits for an approval");
    else {
      const rows = found.map((each) => [
        each.approval,
        each.asker,
        operationsText(each.operations),
        decisionText(each.status, each.decision, each.expiresMs),
      ]);
      printData(...table(["approval", "asked by", "what", "state"], rows));
    }
    return exitCode.ok;
  });
}

/** An approval with its diff as text; null: it is of none. */
export async function shownWithDiff(id: string, stateDir: string) {
  const found = withStore(stateDir, (store) => storedApproval(store, id));
  const artifacts = openArtifacts(join(resolve(stateDir), "artifacts"));
  const diffText = found.diff && (await artifacts.get(found.diff.sha256)).toString("utf8");
  return { ...found, diffText };
}

/** `questbus approvals show ID`: who, what, why, until when, and the diff. */
export async function showApproval(id: string, common: Common): Promise<number> {
  const found = await shownWithDiff(id, common.state);
  if (common.json) printJson(found);
  else printApproval(found, common);
  return exitCode.ok;
}

function printApproval(found: Awaited<ReturnType<typeof shownWithDiff>>, { state }: Common): void {
  const { diffText, approval, quest, status, asker, why, operations, hash, expiresMs, decision } = found;
  printData(`${paint("bold", approval)}  ${decisionText(status, decision, expiresMs)}`);
  printData(`quest ${quest}, asked by ${asker}`);
  printData(`why: ${why}`);
  for (const { kind, where, what } of operations) printData(`  ${kind}  ${where}: ${what}`);
  printData(`content ${hash}`);
  if (diffText !== null) printData("", ...diffText.split("\n"));
  if (status !== "open") return;
  const where = stateOption(state);
  note(`grant it: questbus approvals grant ${approval}${where}`);
  note(`deny it: questbus approvals deny ${approval} --reason "..."${where}`);
}

function decisionText(status: string, decision: Approval["decision"], expiresMs: number): string {
  if (!decision) return `open until ${new Date(expiresMs).toISOString()}`;
  const by = status === "granted" || status === "denied" ? ` by ${decision.by}` : "";
  return `${status}${by}, ${new Date(decision.atMs).toISOString()}${decision.reason ? `: ${decision.reason}` : ""}`;
}

/** @throws QuestbusError APPROVAL_NOT_FOUND, with the id that was most likely meant */
function storedApproval(store: StoreReader, id: string): ReturnType<typeof shownApproval> {
  const quest = id.split(".")[0] ?? "";
  const state = store.getQuestState(quest) as QuestState | null;
  const found = state?.approvals?.find((each) => each.id === id);
  if (found) return shownApproval(quest, found);
  const near = nearWord(
    id,
    approvalRows(store, false).map(({ approval }) => approval),
  );
  throw new QuestbusError({
    code: "APPROVAL_NOT_FOUND",
    message: `there is no approval ${id}`,
    next: `${near ? `did you mean ${near}? ` : ""}list them: questbus approvals list`,
  });
}

/** `questbus approvals grant ID`: what waited for it goes on. */
export const grantApproval = (id: string, reason: string | undefined, common: Common): Promise<number> =>
  decide(id, common, "grant", reason === undefined ? {} : { reason });

/** `questbus approvals deny ID` */
export const denyApproval = (id: string, reason: string, common: Common): Promise<number> =>
  decide(id, common, "deny", { reason });

/** Where nothing runs, the orchestrator is started alone. */
function decide(
  approval: string,
  common: Common,
  verb: "grant" | "deny",
  said: { reason?: string },
): Promise<number> {
  const options = {
    stateDir: common.state,
    running: "stored",
    signal: common.signal,
    agents: false,
  } as const;
  return withStack(options, async (session) => {
    storedApproval(session.store, approval);
    const operator = await session.clientAs("operator");
    const data = { approval, ...said } as { approval: string; reason: string };
    const answer = (await operator.request(verb, data)) as ApprovalAnswer;
    if (common.json) printJson(answer);
    else printData(`${approval}: ${answer.status}`);
    return exitCode.ok;
  });
}
