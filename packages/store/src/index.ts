export { actorText, type StoredAnswer } from "./answer.ts";
export {
  assertCanSetAside,
  type Backup,
  copyArtifacts,
  createBackup,
  findBackup,
  forgetBackups,
  type SetAside,
  setAsideLater,
  setAsideName,
  surveyBackups,
  usableBackups,
  verifyBackup,
  verifyFiles,
} from "./backup.ts";
export {
  type Checkpoint,
  checkpointFaults,
  checkpointsDir,
  openSigner,
  readCheckpoints,
  type Signer,
  setAsideCheckpoints,
  signerFault,
  storeCheckpoint,
  verifierKeyIn,
} from "./checkpoint.ts";
export { writeDurably } from "./durable.ts";
export { type AppendContext, type Head, type JournalQuery, journalRows } from "./journal.ts";
export { lockState } from "./lock.ts";
export type { FoundMemory, MemoryQuery } from "./memory.ts";
export { backupsDir, fileInPlaceOf, makeDir, segmentsIn, stateArtifacts } from "./place.ts";
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
export { lastOfSegments, openSegments, type Segments, segmentRows } from "./segment.ts";
export type { Share } from "./share.ts";
export {
  openMemoryStore,
  openScratchStore,
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
