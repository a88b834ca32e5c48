import { isDeepStrictEqual } from "node:util";
import type { EventBody, JournalEvent, Verdict } from "@questbus/protocol";
import { applyEvent } from "../quest/apply.ts";
import { judgePass } from "../quest/judge-pass.ts";
import { currentPass, type PassState, type QuestState } from "../quest/state.ts";

/** A verdict in the journal that its own evidence does not lead to. */
export type VerdictFault = { seq: number; quest: string; stored: string; recomputed: string };

/**
 * Replays quests event by event. `push` gives the state after the event, and a fault when a stored verdict is not the
 * one that the stored evidence gives (design, decision 8). `stateBefore` gives the state of a quest whose first events
 * came before this replay; without it, none did.
 */
export function openReplay(stateBefore: (quest: string) => QuestState | null = () => null): {
  push(event: JournalEvent): { state: QuestState | null; fault: VerdictFault | null };
} {
  const states = new Map<string, QuestState>();
  return {
    push(event) {
      const quest = event.quest;
      if (!quest) return { state: null, fault: null };
      const before = states.get(quest) ?? stateBefore(quest);
      const fault = event.type === "pass.judged" && before ? recheck(before, event) : null;
      const state = applyEvent(before, event);
      if (state?.ending) states.delete(quest);
      else if (state) states.set(quest, state);
      return { state, fault };
    },
  };
}

/** The pass that a `pass.judged` is about, with all its evidence, and the verdict that this evidence gives. */
export function rejudge(
  before: QuestState,
  { cut }: EventBody["pass.judged"],
): { pass: PassState; recomputed: Verdict } | null {
  const pass = currentPass(before);
  return pass && { pass, recomputed: judgePass(before, pass, cut) };
}

function recheck(before: QuestState, event: JournalEvent): VerdictFault | null {
  const body = event.body as EventBody["pass.judged"];
  const { verdict } = body;
  const recomputed = rejudge(before, body)?.recomputed;
  if (isDeepStrictEqual(recomputed, verdict)) return null;
  return {
    seq: event.seq,
    quest: before.id,
    stored: verdict.verdict,
    recomputed: recomputed?.verdict ?? "none",
  };
}
