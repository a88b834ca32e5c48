import {
  approvalAnswer,
  approvalOf,
  askedApproval,
  type DecideContext,
  type Draft,
  decideApprovalAsk,
  decideApprovalExpiry,
  decideDeny,
  decideGrant,
  type QuestState,
} from "@questbus/core";
import type { Actor, ApprovalAnswer, CommandData } from "@questbus/protocol";

type ApprovalDeskParts = {
  /** The quest that an assignment or an approval is of. */
  questOf(id: string): QuestState;
  context(actor: Actor): DecideContext;
  commit(draft: Draft, command: string | null): QuestState;
};

type Sent<V extends "approval" | "grant" | "deny"> = { id: string; actor: Actor; data: CommandData[V] };

/** The part of the desk that hears who asks an operator for something restricted, and what the operator says. */
export class ApprovalDesk {
  readonly #parts: ApprovalDeskParts;

  constructor(parts: ApprovalDeskParts) {
    this.#parts = parts;
  }

  ask({ id, actor, data }: Sent<"approval">): ApprovalAnswer {
    const { questOf, context, commit } = this.#parts;
    const state = commit(decideApprovalAsk(questOf(data.assignment), data, context(actor)), id);
    return approvalAnswer(askedApproval(state, data));
  }

  grant(sent: Sent<"grant">): ApprovalAnswer {
    return this.#decide(sent, decideGrant);
  }

  deny(sent: Sent<"deny">): ApprovalAnswer {
    return this.#decide(sent, decideDeny);
  }

  /** The timer of an approval is due. */
  expire(approval: string, by: Actor): void {
    const { questOf, context, commit } = this.#parts;
    commit(decideApprovalExpiry(questOf(approval), approval, context(by)), null);
  }

  #decide<T extends { approval: string }>(
    { id, actor, data }: { id: string; actor: Actor; data: T },
    decide: (state: QuestState, data: T, context: DecideContext) => Draft,
  ): ApprovalAnswer {
    const { questOf, context, commit } = this.#parts;
    const after = commit(decide(questOf(data.approval), data, context(actor)), id);
    return approvalAnswer(approvalOf(after, data.approval));
  }
}
