import { isDeepStrictEqual } from "node:util";
import type { EventBody, JournalEvent, Verdict } from "@questbus/protocol";
import { type AskState, applyAsk, asksIn, isOver } from "../ask/state.ts";
import { applyEvent } from "../quest/apply.ts";
import { judgePass } from "../quest/judge-pass.ts";
import { currentPass, type PassState, type QuestState } from "../quest/state.ts";

/** A verdict in the journal that its own evidence does not lead to. */
export type VerdictFault = { seq: number; quest: string; stored: string; recomputed: string };

/**
 * Replays quests and asks event by event. `push` gives their states after the event, and a fault when a stored verdict is
 * not the one that the stored evidence gives (design, decision 8). `before` gives the state of what began before this
 * replay; without it, nothing did.
 */
export function openReplay(
  before: { quest(id: string): QuestState | null; ask(id: string): AskState | null } = {
    quest: () => null,
    ask: () => null,
  },
): {
  push(event: JournalEvent): { state: QuestState | null; asks: AskState[]; fault: VerdictFault | null };
} {
  const open = new Map<string, AskState>();
  const asksAfter = (event: JournalEvent): AskState[] =>
    asksIn(event).map((id) => {
      const ask = applyAsk(open.get(id) ?? before.ask(id), event, id);
      if (isOver(ask)) open.delete(id);
      else open.set(id, ask);
      return ask;
    });
  const states = new Map<string, QuestState>();
  return {
    push(event) {
      const quest = event.quest;
      if (!quest) return { state: null, asks: asksAfter(event), fault: null };
      const known = states.get(quest) ?? before.quest(quest);
      const fault = event.type === "pass.judged" && known ? recheck(known, event) : null;
      const state = applyEvent(known, event);
      if (state?.ending) states.delete(quest);
      else if (state) states.set(quest, state);
      return { state, asks: [], fault };
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
