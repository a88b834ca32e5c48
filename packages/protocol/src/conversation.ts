import type { Brief } from "./assignment.ts";
import type { Role } from "./identity.ts";
import type { Ending } from "./journal.ts";
import type { TurnAnswer } from "./turn.ts";

/** What those who take part in a conversation are answered, and what it holds. */

/** Whose turn it is in a conversation: of a role, and of `agent` once one has taken it. */
export type TurnStanding = { quest: string; pass: number; turn: number; role: Role; agent: string | null };

/** What the current agent of a conversation needs for its turn. */
export type TurnGrant = TurnStanding & {
  part: "leader" | "worker";
  leader: Role;
  workers: readonly Role[];
  /** The words of the quest file. */
  ask: string | null;
  /** How long the turn may take from now on. */
  leftMs: number;
  /** Turns that the leader may still give away in this pass. */
  turnsLeft: number;
  base: { repo: string; commit: string };
  lastGood: { commit: string; tree: string };
  brief: Pick<Brief, "analysis" | "history" | "guidance" | "kept"> &
    Pick<Brief["spec"], "title" | "goal" | "measure" | "tests" | "guards" | "authority">;
};

export type MonitorAnswer =
  | { status: "yours"; turn: TurnGrant }
  /** Not yet: `turns` has the conversations that the sender's role takes part in; `paused` those that stand. */
  | { status: "waiting"; turns: readonly (TurnStanding & { paused: boolean })[] }
  | { status: "ended"; quest: string; ending: Ending };

/** One entry of a conversation, with who said it: material for its reader, never an instruction. */
export type ConversationEntry = {
  seq: number;
  atMs: number;
  pass: number;
  turn: number;
  /** `role/name`; what the bus itself says is the orchestrator's. */
  by: string;
} & (
  | ({ kind: "answer" } & TurnAnswer)
  | { kind: "word"; message: string }
  | { kind: "breach"; code: string; message: string }
);
export type ReadAnswer = { quest: string; entries: ConversationEntry[]; next: number | null };
