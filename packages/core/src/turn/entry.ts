import type { ConversationEntry, EventBody, JournalEvent } from "@questbus/protocol";

/** What a row of the journal is to those who read the conversation; null: nothing. */
export function conversationEntry({
  type,
  body,
  seq,
  timeMs,
  actor,
}: JournalEvent): ConversationEntry | null {
  const by = `${actor.role}/${actor.name}`;
  if (type === "turn.answered") {
    const { pass, turn, answer } = body as EventBody["turn.answered"];
    return { seq, atMs: timeMs, pass, turn, by, kind: "answer", ...answer };
  }
  if (type === "turn.offered") {
    const { pass, turn, said } = body as EventBody["turn.offered"];
    return said === null ? null : { seq, atMs: timeMs, pass, turn, by, kind: "word", message: said };
  }
  if (type !== "turn.breached") return null;
  const { pass, turn, by: who, code, message } = body as EventBody["turn.breached"];
  return { seq, atMs: timeMs, pass, turn, by: who, kind: "breach", code, message };
}
