import type { JournalEvent } from "@questbus/protocol";

/**
 * What must hold of approvals in a journal: each ends once, as granted, denied or expired, or with what it was about;
 * what is restricted runs only under a grant of exactly that; a no ends its pass, and nothing else comes of it.
 */
type Known = { hash: string; diff: string | null; isHeld: boolean; expiresMs: number; word: string | null };

type Quest = {
  /** Its candidates need an approval where they show something. */
  asks: boolean;
  approvals: Map<string, Known>;
  holders: Map<string, string>;
  /** The diff of the candidate, where that is restricted. */
  restricted: string | null;
  /** The approval that its pass waits for. */
  held: string | null;
  /** The row that has to follow at once: after a no its verdict, after a question that had a no before that no. */
  next: "pass.judged" | "approval.denied" | null;
};

export function approvalProblems(rows: readonly JournalEvent[]): string[] {
  const quests = new Map<string, Quest>();
  return rows.flatMap((row) => {
    if (row.type === "quest.submitted" && row.quest) {
      const asks = row.body.document.allow?.dependencies === "ask";
      quests.set(row.quest, {
        asks,
        approvals: new Map(),
        holders: new Map(),
        restricted: null,
        held: null,
        next: null,
      });
      return [];
    }
    const quest = quests.get(row.quest ?? "");
    if (!quest || row.type === "command.refused") return [];
    return step(quest, row).map((what) => `row ${row.seq}: ${row.type}: ${what}`);
  });
}

function step(quest: Quest, row: JournalEvent): string[] {
  const problems: string[] = [];
  if (quest.next && row.type !== quest.next) problems.push(`in the place of ${quest.next}`);
  quest.next = null;
  switch (row.type) {
    case "assignment.offered":
      if (quest.held) problems.push(`while ${quest.held} is open`);
      if (row.body.task === "suite" && isUngranted(quest))
        problems.push("the suite runs what nobody granted");
      return problems;
    case "assignment.claimed":
      quest.holders.set(row.actor.role, row.actor.name);
      return quest.held ? [...problems, `while ${quest.held} is open`] : problems;
    case "assignment.released":
    case "lease.expired":
      quest.holders.delete(row.body.assignment.split(".")[1] ?? "");
      return problems;
    case "task.reported": {
      const { report } = row.body;
      quest.holders.delete(row.actor.role);
      if (report.task !== "produce" || !quest.asks) return problems;
      const isRestricted = (report.result?.touched ?? []).length > 0;
      quest.restricted = isRestricted ? (report.result?.candidate?.diff.sha256 ?? null) : null;
      return problems;
    }
    case "pass.started":
      quest.restricted = null;
      return problems;
    case "pass.judged": {
      const word = row.body.verdict.verdict;
      if ((word === "ACCEPT" || word === "KEEP") && isUngranted(quest))
        problems.push(`${word} of what nobody granted`);
      withdraw(quest);
      return problems;
    }
    case "quest.ended":
      withdraw(quest);
      return problems;
    case "approval.opened":
      return [...problems, ...open(quest, row)];
    case "approval.granted":
    case "approval.denied":
    case "approval.expired":
      return [...problems, ...end(quest, row)];
    default:
      return problems;
  }
}

const wordOn = ({ approvals }: Quest, hash: string): string | null =>
  [...approvals.values()].findLast((each) => each.hash === hash && each.word !== "withdrawn")?.word ?? null;

const isUngranted = ({ restricted, approvals }: Quest): boolean =>
  restricted !== null &&
  ![...approvals.values()].some(({ word, diff }) => word === "granted" && diff === restricted);

/** What nobody decided on while it mattered. */
function withdraw(quest: Quest): void {
  for (const each of quest.approvals.values()) each.word ??= "withdrawn";
  quest.holders.clear();
  quest.held = null;
}

function open(quest: Quest, row: Extract<JournalEvent, { type: "approval.opened" }>): string[] {
  const { approval, hash, diff, before, expiresMs } = row.body;
  const isAgain = quest.approvals.has(approval);
  const same = [...quest.approvals.values()].filter(
    (each) => each.hash === hash && each.word !== "withdrawn",
  );
  const isAsked = before === null;
  const word = wordOn(quest, hash);
  const isHeld = before !== null;
  quest.approvals.set(approval, { hash, diff: diff?.sha256 ?? null, isHeld, expiresMs, word: null });
  if (isHeld) quest.held = approval;
  if (isHeld && word === "denied") quest.next = "approval.denied";
  return [
    ...(isAgain ? [`${approval} was opened before`] : []),
    ...(isAsked && same.length > 0 ? [`${approval} asks what was asked before`] : []),
    ...(isAsked && quest.holders.get(row.actor.role) !== row.actor.name
      ? [`${row.actor.name} asks, and holds no lease`]
      : []),
    ...(isHeld && word === "granted" ? [`${approval} asks what was granted before`] : []),
  ];
}

type Ended = Extract<JournalEvent, { type: "approval.granted" | "approval.denied" | "approval.expired" }>;

function end(quest: Quest, row: Ended): string[] {
  const { approval, hash } = row.body;
  const found = quest.approvals.get(approval);
  if (!found) return [`${approval} was never opened`];
  const word = row.type.slice("approval.".length);
  const before = found.word;
  const isDeniedAgain =
    word === "denied" && row.actor.role === "orchestrator" && wordOnOthers(quest, approval);
  const isByRight = row.actor.role === (word === "expired" ? "orchestrator" : "operator") || isDeniedAgain;
  found.word = word;
  if (quest.held === approval) quest.held = null;
  if (found.isHeld && word !== "granted") quest.next = "pass.judged";
  const isInTime = row.timeMs < found.expiresMs;
  return [
    ...(before === null ? [] : [`${approval} was ${before} before`]),
    ...(hash === found.hash ? [] : [`${approval} was opened for something else`]),
    ...(isByRight ? [] : [`by ${row.actor.role}`]),
    ...(isInTime === (word !== "expired") ? [] : [`${row.timeMs - found.expiresMs} ms after its end`]),
  ];
}

/** Whether exactly that was denied before under another id. */
const wordOnOthers = ({ approvals }: Quest, id: string): boolean =>
  [...approvals].some(
    ([other, { hash, word }]) => other !== id && word === "denied" && hash === approvals.get(id)?.hash,
  );
