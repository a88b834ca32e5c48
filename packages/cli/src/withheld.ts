import { holdsMachine, type QuestState, type Withheld, whyWithheld } from "@questbus/core";
import { stackPauses } from "@questbus/orchestrator";
import { type PauseScope, roles } from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";

/** What keeps quests from going on, as people read it. */

/** Looks once, for any number of quests. */
export function openWithheld(store: StoreReader): (state: QuestState) => Withheld | null {
  const pauses = stackPauses(store);
  const running = store.listQuests({ status: "running", limit: runningMax });
  const machine = running.find(({ id }) => holdsMachine(store.getQuestState(id) as QuestState))?.id ?? null;
  return (state) => whyWithheld(state, pauses, machine);
}

const runningMax = 1_000;

/** `--role qa`: how a scope is written on the command line. */
export const scopeOption = (scope: PauseScope): string =>
  isRole(scope) ? `--role ${scope}` : scope.startsWith("q-") ? scope : `--${scope}`;

const isRole = (scope: PauseScope): boolean => roles.some((role) => role === scope);

/** `role qa`, `everything`, `quest q-7k3m9x2p`: what is paused, in a sentence. */
export const scopeText = (scope: PauseScope): string => {
  if (scope === "all") return "everything";
  if (scope === "safe-mode") return "all but reads and arbitration (safe mode)";
  return isRole(scope) ? `role ${scope}` : `quest ${scope}`;
};

/** One line: why it does not go on, and what would change that. */
export function withheldText(withheld: Withheld): string {
  if (withheld.kind === "machine") return `waits for the machine, on which ${withheld.quest} runs`;
  if (withheld.kind === "approval") return approvalText(withheld);
  const { scope, by, why } = withheld;
  return `${by} paused ${scopeText(scope)}: ${why}; go on: questbus resume ${scopeOption(scope)}`;
}

/** What is waited for, and what grants it. */
const approvalText = ({
  approval,
  why,
  expiresMs,
}: {
  approval: string;
  why: string;
  expiresMs: number;
}): string =>
  `waits for an approval until ${new Date(expiresMs).toISOString()}: ${why}; see it: questbus approvals show ${approval}; grant it: questbus approvals grant ${approval}`;

/** The same in a column of a list. */
export function withheldWord(withheld: Withheld | null): string {
  if (withheld === null) return "";
  if (withheld.kind === "machine") return `waits for ${withheld.quest}`;
  if (withheld.kind === "approval") return "waits for an approval";
  const { scope, why } = withheld;
  const what = isRole(scope) ? `waits for ${scope}` : scope === "safe-mode" ? "safe mode" : "paused";
  return `${what}: ${why.length > 40 ? `${why.slice(0, 39)}…` : why}`;
}
