import type { BusClient } from "@questbus/bus";
import type { QuestState } from "@questbus/core";
import type { ArtifactRef, CommandData, JournalEvent, Principal, Role, Routing } from "@questbus/protocol";
import type { AssignmentRow, QuestSummary } from "@questbus/store";

/** What the gateway reads: what was committed, as the command line's `--json` shows it. No process is needed for it. */
export type Reads = {
  /** Newest first; `before`: the id that the page starts after. */
  quests(query: { limit: number; before?: string | undefined }): QuestSummary[];
  /** @throws QuestbusError QUEST_NOT_FOUND */
  quest(id: string): { state: QuestState; summary: object };
  /** Those that wait for an arbiter, oldest first, each with its evidence. */
  escalations(): { id: string }[];
  /** Those that wait for an operator, oldest first. */
  approvals(): { approval: string }[];
  /**
   * One with its diff.
   *
   * @throws QuestbusError APPROVAL_NOT_FOUND
   */
  approval(id: string): Promise<object>;
  agents(): Promise<object>;
  assignment(id: string): AssignmentRow | null;
  journal(query: { afterSeq: number; limit: number; quest?: string | undefined }): JournalEvent[];
  deadLetters(limit: number): object[];
};

/** What is done on the machine that the gateway runs on, where a command on the bus is not all of it. */
export type Hands = {
  /** Reads a quest file, checks what can be checked, and stores its patches. */
  readSubmission(file: string, acceptDetectable: boolean): Promise<CommandData["submit"]>;
  /** Cancels on the bus, waits for the end of what its agents run here, and removes the quest's trees. */
  cancel(client: BusClient, command: CommandData["cancel"], id?: string): Promise<unknown>;
  /** Whom the words of a request are for. @throws QuestbusError ROLE_UNCLEAR */
  route(text: string): Promise<{ role: Role; routing: Routing }>;
  putArtifact(kind: ArtifactRef["kind"], text: string): Promise<ArtifactRef>;
};

/** One credential's way to the bus and the state: whoever speaks through a gateway is that credential. */
export type Gateway = {
  readonly who: { role: Principal; name: string };
  /**
   * A client of the stack that runs now; the same one for as long as that is the same stack.
   *
   * @throws QuestbusError NOT_RUNNING, BUS_UNAVAILABLE
   */
  bus(): Promise<BusClient>;
  readonly reads: Reads;
  readonly hands: Hands;
};
