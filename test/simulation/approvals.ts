import type { BusClient } from "@questbus/bus";
import type { ApprovalAnswer, CommandData, Grant, JournalEvent, Principal } from "@questbus/protocol";
import { insist } from "../faults/agents.ts";
import type { Answered } from "../faults/invariant.ts";
import type { Numbers } from "../faults/numbers.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * Approvals of a simulated world: what its quests make is restricted, those who hold an assignment ask for more, and an
 * operator who follows the journal stream grants, denies, does both at once, says it again, or says nothing.
 */
export type SimulatedApprovals = {
  /** What this world's quest files say of approvals. */
  readonly document: object;
  /** What those who ask, grant and deny were answered, in the order of time. */
  readonly told: readonly ApprovalTold[];
  /** The holder of a lease may ask for something. */
  ask(grant: Grant, client: BusClient): void;
  calm(): void;
};

/** An answer, and how many answers had come to anyone when its question was sent. */
export type ApprovalTold = {
  verb: "approval" | "grant" | "deny";
  command: string;
  answer: ApprovalAnswer;
  sentAfter: number;
};

type Parts = {
  scheduler: Scheduler;
  /** Its own: the other draws of a seed stay what they were. */
  numbers: Numbers;
  /** A client that nobody uses changes the world, too: the bus tells each of a new orchestrator. */
  clientAs: (role: Principal) => BusClient;
  answered: Answered[];
  /** What is on the journal stream by now. */
  published: readonly JournalEvent[];
  /** Gets what is thrown where nobody waits for it. */
  thrown: unknown[];
};

const users = ["prepare", "tests", "measure", "fixers"] as const;
const askingFixers = { fixers: [{ command: "tune", asks: ["network"] }, { command: "tune again" }] };
const askingCandidates = { allow: { dependencies: "ask" } };

export function openApprovals(parts: Parts): SimulatedApprovals {
  const { scheduler, numbers, thrown } = parts;
  const told: ApprovalTold[] = [];
  if (!numbers.chance(1 / 3)) return { document: {}, told, ask: () => {}, calm: () => {} };
  const operator = parts.clientAs("operator");
  let stormy = true;
  const asks = numbers.one([0, 0.1, 0.4]);
  const decides = numbers.one([0.3, 0.8, 1]);
  const grants = numbers.one([0.3, 0.7, 1]);
  const document = {
    ...numbers.one([
      askingCandidates,
      askingCandidates,
      askingFixers,
      { ...askingCandidates, ...askingFixers },
    ]),
    approvals: { expireAfter: numbers.one(["3s", "15s", "40s"]) },
  };
  const send = sender(parts, told);
  const soon = (work: () => Promise<unknown>, withinMs: number): void =>
    void scheduler.after(numbers.below(withinMs), () => void work().catch((error) => thrown.push(error)));

  const decide = (approval: string): Promise<unknown> =>
    numbers.chance(grants)
      ? send(operator, "grant", { approval }, numbers.chance(0.2))
      : send(operator, "deny", { approval, reason: "not this" }, numbers.chance(0.2));
  const heard = (approval: string): void => {
    if (stormy && !numbers.chance(decides)) return;
    soon(() => decide(approval), 6_000);
    // Two operators who do not know of each other, or one who has another thought.
    if (numbers.chance(0.3)) soon(() => decide(approval), stormy ? 20_000 : 4_000);
  };
  let [at, heardSeq] = [0, 0];
  const follow = (): void => {
    for (; at < parts.published.length; at += 1) {
      const row = parts.published[at] as JournalEvent;
      if (row.type !== "approval.opened" || row.seq <= heardSeq) continue;
      heardSeq = row.seq;
      heard(row.body.approval);
    }
    scheduler.after(500 + numbers.below(2_000), follow);
  };
  follow();
  return {
    document,
    told,
    ask({ assignment, epoch }, client) {
      if (!stormy || !numbers.chance(asks)) return;
      const user = numbers.one(users);
      const wanted: Pick<CommandData["approval"], "kind" | "what" | "users"> = numbers.chance(0.5)
        ? { kind: "network", what: "the registry", users: [user] }
        : { kind: "mcp", what: `a tool for ${user}` };
      const data = { assignment, epoch, why: "it is slow without", ...wanted };
      soon(() => send(client, "approval", data, numbers.chance(0.3)), 3_000);
    },
    calm() {
      stormy = false;
    },
  };
}

type Asking = "approval" | "grant" | "deny";
type Send = <V extends Asking>(
  client: BusClient,
  verb: V,
  data: CommandData[V],
  twice: boolean,
) => Promise<unknown>;

/** Sends a command, or twice at once under one id, and keeps what it was answered. */
const sender =
  ({ numbers, answered }: Parts, told: ApprovalTold[]): Send =>
  (client, verb, data, twice) => {
    const id = numbers.hex(16);
    const once = async (): Promise<void> => {
      const sentAfter = told.length;
      const answer = (await insist(client, verb, data, { id })) as ApprovalAnswer | null;
      if (answer) told.push({ verb, command: id, answer, sentAfter });
      // What was asked before is answered, and leaves no row.
      if (!answer || verb !== "approval") answered.push({ id, verb, yes: answer !== null });
    };
    return Promise.all(twice ? [once(), once()] : [once()]);
  };

type Word = { word: ApprovalAnswer["status"]; reason: string | null; command: string | null };

/** What anyone was told of an approval is what the journal says of it, and a last word stays the last one. */
export function approvalToldProblems(told: readonly ApprovalTold[], rows: readonly JournalEvent[]): string[] {
  const expires = new Map<string, number>();
  const words = new Map<string, Word>();
  for (const { type, body, command } of rows) {
    if (type === "approval.opened") expires.set(body.approval, body.expiresMs);
    if (type === "approval.granted" || type === "approval.denied" || type === "approval.expired") {
      const reason = type === "approval.expired" ? null : (body as { reason: string | null }).reason;
      words.set(body.approval, { word: type.slice("approval.".length) as Word["word"], reason, command });
    }
  }
  const lastAt = new Map<string, number>();
  return told.flatMap(({ verb, command, answer, sentAfter }, at) => {
    const { approval, status, reason, expiresMs } = answer;
    const problem = (what: string): string[] => [`${verb} of ${approval} was told ${status}: ${what}`];
    if (expires.get(approval) !== expiresMs) return problem("it was not opened, or to another time");
    const last = words.get(approval);
    if (status === "open") {
      if (verb !== "approval") return problem("by its own decision");
      return (lastAt.get(approval) ?? at) < sentAfter ? problem("after its last word") : [];
    }
    if (!lastAt.has(approval)) lastAt.set(approval, at);
    if (last?.word !== status || last.reason !== reason) return problem(`it is ${last?.word}`);
    return verb === "approval" || last.command === command ? [] : problem("by another command");
  });
}
