import { join, resolve } from "node:path";
import { awaitingPass } from "@questbus/core";
import { exitCode, QuestbusError } from "@questbus/protocol";
import { openArtifacts, openWorkspace, readSupply, type SupplySource } from "@questbus/workbench";
import type { Common } from "./command-run.ts";
import { questState } from "./journal-view.ts";
import { printData, printJson } from "./output.ts";
import { withStack } from "./session.ts";

/** `questbus supply QUEST`: hands a person's candidate to a quest that waits for one. */
export async function supplyCandidate(
  quest: string,
  given: { branch?: string; patch?: string; note?: string },
  common: Common,
): Promise<number> {
  const source = sourceOf(given);
  const options = { stateDir: common.state, running: "required", signal: common.signal } as const;
  return withStack(options, async (session) => {
    const state = questState(session.store, quest);
    const pass = awaitingPass(state);
    if (!pass) {
      const next = `look where it stands: questbus status ${quest}`;
      const message = `quest ${quest} does not wait for a candidate`;
      throw new QuestbusError({ code: "CANDIDATE_NOT_AWAITED", message, next });
    }
    const { repo } = state.spec.target;
    const dir = join(resolve(common.state), "quests", quest);
    const ws = await openWorkspace({ dir, targetRoot: repo, commit: state.base.commit });
    const { name, patch } = await readSupply(ws, source, {
      lastGood: state.lastGood,
      authority: state.spec.authority,
    });
    const artifacts = openArtifacts(join(resolve(common.state), "artifacts"));
    const { sha256 } = await artifacts.put("diff", patch);
    const operator = await session.clientAs("operator");
    const supplied = { quest, pass: pass.n, name, note: given.note ?? null, change: { sha256 } };
    const answer = await operator.request("supply", supplied);
    if (common.json) printJson(answer);
    else printData(`${quest} pass ${pass.n}: ${name}`);
    return exitCode.ok;
  });
}

function sourceOf({ branch, patch }: { branch?: string; patch?: string }): SupplySource {
  if (branch !== undefined && patch === undefined) return { branch };
  if (patch !== undefined && branch === undefined) return { patch };
  throw new QuestbusError({
    code: "USAGE",
    message: "name the candidate once",
    next: "give either --branch REF of the target, or --patch FILE",
  });
}
