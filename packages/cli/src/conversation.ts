import { certaintyText, standingOf } from "@questbus/core";
import { readConversation } from "@questbus/orchestrator";
import { type ConversationEntry, exitCode, limit } from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { questState } from "./journal-view.ts";
import { paint, printData, printJson } from "./output.ts";
import { withStore } from "./session.ts";
import { turnText } from "./summary.ts";

/** `questbus conversation QUEST`: what was said in it, oldest first, and whose turn it is. */
export const showConversation = (quest: string, { state: dir, json }: Common): Promise<number> | number =>
  withStore(dir, (store) => {
    const state = questState(store, quest);
    const entries: ConversationEntry[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const page = readConversation(store, { quest, after, limit: limit.turnsReadMax });
      entries.push(...page.entries);
      after = page.next;
    }
    if (json) printJson({ quest, turn: standingOf(state), entries });
    else {
      for (const each of entries) printData(...entryLines(each));
      printData(
        turnText(state) ?? (entries.length > 0 ? "no conversation goes on" : "nobody has said anything"),
      );
    }
    return exitCode.ok;
  });

function entryLines(entry: ConversationEntry): string[] {
  const { pass, turn, by, kind, message } = entry;
  const what = kind === "answer" ? entry.status : kind === "breach" ? paint("yellow", entry.code) : "";
  const head = paint("bold", `pass ${pass}, turn ${turn}  ${by}`);
  const lines = [`${head}  ${what}`.trimEnd(), ...message.split("\n").map((line) => `  ${line}`)];
  return [...lines, ...(kind === "answer" ? facts(entry) : [])];
}

function facts(answer: Extract<ConversationEntry, { kind: "answer" }>): string[] {
  const { next, change, files, certainty, sources } = answer;
  const changed = change && "turn" in change ? `the change of turn ${change.turn}` : "a change";
  return [
    ...(change ? [`  ${changed}: ${files.join(", ")}`] : []),
    ...(certainty === undefined ? [] : [`  ${certaintyText({ certainty, sources })}`]),
    ...(next ? [`  next: ${next}`] : []),
  ];
}
