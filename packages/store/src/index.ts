export { actorText, type StoredAnswer } from "./answer.ts";
export { type AppendContext, type Head, type JournalQuery, journalRows } from "./journal.ts";
export type {
  AgentRow,
  AssignmentQuery,
  AssignmentRow,
  EscalationQuery,
  EscalationRow,
  EvidenceRow,
  QuestQuery,
  QuestRow,
  QuestSummary,
} from "./projection.ts";
export {
  openStore,
  projectionLines,
  type Store,
  type StoreReader,
  type StoreReads,
  type StoreWrites,
  verifyJournal,
} from "./store.ts";
export type { TimerRow } from "./timer.ts";
export type { ChainFault, Verification } from "./verify.ts";
