import { type Approval, limit, type QuestSpec, type RestrictedOperation } from "@questbus/protocol";
import { currentPass, isEnded, type PassState, type QuestState } from "../quest/state.ts";
import { gitWriteIn } from "../tool/command-line.ts";
import { digestOf, namedOperations, operationsUnshown, sameOperation } from "./restricted.ts";

/**
 * What of a quest needs an operator's approval, and what was decided. An approval is of exact content: its hash is over
 * the diff, the tree that it leads to and the operations, so that another change needs another one.
 */

const approvalsOf = ({ approvals }: QuestState): readonly Approval[] => approvals ?? [];

/** The approval that the open pass waits for, or waited for until a moment ago. */
function heldBy(state: QuestState): Approval | null {
  const pass = currentPass(state);
  const id = state.status === "running" && pass && !pass.verdict ? pass.held?.approval : undefined;
  return approvalsOf(state).find((each) => each.id === id) ?? null;
}

/** The approval that keeps the quest from going on; null: none does. */
export function awaitedApproval(state: QuestState): Approval | null {
  const found = heldBy(state);
  return found?.decision === null ? found : null;
}

/** What it waited for was granted, and its task was not offered yet. */
export const isApproved = (state: QuestState): boolean => heldBy(state)?.decision?.word === "granted";

/** What a quest left open that ended before its end withdrew them is open no more. */
export const openApprovals = (state: QuestState): Approval[] =>
  isEnded(state) ? [] : approvalsOf(state).filter(({ decision }) => decision === null);

type Allowed = Pick<QuestSpec, "allow" | "watch">;

/** What the operator approved in the quest file. */
const isAllowed =
  ({ allow, watch }: Allowed) =>
  ({ kind, where }: RestrictedOperation): boolean => {
    // Both of a watch are states that the target has.
    if (watch !== null) return true;
    if (kind === "dependencies") return allow.dependencies === true;
    return kind === "network" ? (allow.network ?? []).some((user) => user === where) : allow[kind] === true;
  };

/** What the chosen fixer wants before it runs. */
export function fixerOperations(state: QuestState): RestrictedOperation[] {
  const fixer = state.spec.fixers[currentPass(state)?.fixer ?? -1];
  if (fixer?.kind !== "command") return [];
  const { command, asks = [] } = fixer;
  const git = gitWriteIn(command);
  const said = (kind: "network" | "git", what: string): RestrictedOperation => ({
    kind,
    where: "fixers",
    what: `${what}: ${command}`.slice(0, limit.reasonCharsMax),
    digest: digestOf([kind, "fixers", command]),
  });
  return [
    ...(asks.includes("network") ? [said("network", "gives the network to the fixer")] : []),
    ...(git === null ? [] : [said("git", `lets the fixer run ${git}`)]),
  ].filter((each) => !isAllowed(state.spec)(each));
}

/** The restricted operations of a pass's candidate that the quest file does not allow. */
export function candidateOperations(
  state: QuestState,
  { candidate, shown }: PassState,
): RestrictedOperation[] {
  if (!candidate) return [];
  const paths = (shown ?? []).map(({ path }) => path);
  const unshown = candidate.files.filter((path) => !paths.includes(path));
  const found = [...(shown ?? []).flatMap(({ operations }) => operations), ...operationsUnshown(unshown)];
  return namedOperations(found.filter((each) => !isAllowed(state.spec)(each)));
}

/** What an approval of these operations is of. */
export const approvalHash = (
  operations: readonly RestrictedOperation[],
  candidate: PassState["candidate"],
): string =>
  digestOf({
    operations: operations.map(({ kind, where, digest }) => ({ kind, where, digest })),
    tree: candidate?.tree ?? null,
    diff: candidate?.diff.sha256 ?? null,
  });

/** What was decided last on exactly that. */
export const decisionOn = (state: QuestState, hash: string): Approval["decision"] =>
  approvalsOf(state).findLast((each) => each.hash === hash && each.decision !== null)?.decision ?? null;

/** Whether a candidate may be accepted: nothing restricted is in it but what was granted. */
export function isUnapproved(state: QuestState, pass: PassState): boolean {
  // What early journals hold was decided before there were approvals.
  if (!pass.shown) return false;
  const operations = candidateOperations(state, pass);
  return (
    operations.length > 0 && decisionOn(state, approvalHash(operations, pass.candidate))?.word !== "granted"
  );
}

/** Every operation that was granted, for those who look at what came of it. */
export const grantedOperations = (state: QuestState): RestrictedOperation[] =>
  approvalsOf(state).flatMap(({ decision, operations }) => (decision?.word === "granted" ? operations : []));

/** Whether the network was granted to these: what a fixer was granted before it ran is its own, and no other fixer's. */
export function isNetworkGranted(state: QuestState, user: string): boolean {
  const own = fixerOperations(state);
  return approvalsOf(state).some(
    ({ decision, before, operations }) =>
      decision?.word === "granted" &&
      operations.some(
        (each) =>
          each.kind === "network" &&
          each.where === user &&
          (before === null || own.some((other) => sameOperation(each, other))),
      ),
  );
}

/** Of these, what neither the quest file nor an approval allows. */
export const notGranted = (
  operations: readonly RestrictedOperation[],
  spec: Allowed,
  approved: readonly RestrictedOperation[],
): RestrictedOperation[] =>
  operations.filter(
    (each) => !isAllowed(spec)(each) && !approved.some((other) => sameOperation(each, other)),
  );
