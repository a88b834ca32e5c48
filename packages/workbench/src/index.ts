export { admit } from "./admission.ts";
export {
  type ArmName,
  type Arms,
  type ArmsOptions,
  carriedBy,
  changedWhileParked,
  closeArms,
  openArms,
  prepareTree,
  rewrittenByCandidate,
  runArm,
} from "./arms.ts";
export { type Artifacts, openArtifacts } from "./artifact.ts";
export {
  adoptCommit,
  applyPatch,
  type CommittedCandidate,
  commitCandidate,
  diffFiles,
  type FileChange,
  patchTree,
  refuseForbiddenChanges,
  type TreeComparison,
} from "./candidate.ts";
export { type ChangedText, changedTexts, commitMessage, textsAt } from "./changed-text.ts";
export { type CommandOptions, type CommandRun, type CommandSetting, runCommand } from "./command.ts";
export { onDisk } from "./disk.ts";
export { firstFailure } from "./excerpt.ts";
export { type Integrated, type IntegrationOrder, integrate } from "./integration.ts";
export { underLease, type WorkLease } from "./lease.ts";
export { describeMachine, type Machine, readMachine, unfitReasons } from "./machine.ts";
export { type MeasurementLock, takeMeasurementLock } from "./measurement-lock.ts";
export { type ObserveOptions, observe } from "./observe.ts";
export { openProcessGroups, type ProcessGroups, recordedGroupsEnd, startTimeOf } from "./process-group.ts";
export { type Profiled, profileRun, unprofiled } from "./profile.ts";
export { nameOwner } from "./run-home.ts";
export { openSandbox, type Sandbox, underSandbox } from "./sandbox/sandbox.ts";
export { changedOnlyUnder, openSealGuard, type SealGuard, underSeal } from "./seal.ts";
export { listFiles, putBack, readBlobs, readChanges } from "./sealed-tree.ts";
export { runSuite, type SuiteOptions } from "./suite.ts";
export { readSupply, type SupplySource } from "./supply.ts";
export { inspectTarget, isMerged, resolveRef, type Target, targetRoot, targetState } from "./target.ts";
export { checkout, restore, treeHash, treePath } from "./tree.ts";
export { readTreeFile, writeTreeFile } from "./tree-file.ts";
export {
  openWorkspace,
  removeTrees,
  removeWorkspace,
  sweepLeftovers,
  treeOf,
  type Workspace,
} from "./workspace.ts";
