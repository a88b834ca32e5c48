export { type BareCluster, startBareCluster } from "./bare-cluster.ts";
export { type BareStack, compileCache, startBareStack } from "./bare-stack.ts";
export {
  type Finished,
  program,
  questbus,
  type Running,
  startProgram,
  startQuestbus,
} from "./command-line.ts";
export { type Crashes, openCrashes } from "./crash.ts";
export { type Holds, openHolds } from "./hold.ts";
export { type JournalWatch, readValue, tamper, watchJournal } from "./journal.ts";
export { type Mcp, type McpDoor, type McpEra, mcpDoors, mcpEras, openMcp } from "./mcp.ts";
export { fingerprint, openPlace, type Place, runGit } from "./place.ts";
export { pidOf, processesOf, type StackPart } from "./process.ts";
export { writeQuest } from "./quest.ts";
export { openScene, type Scene } from "./scene.ts";
export { type ChangeName, makeTarget, type PatchName, type Target } from "./target.ts";
export { until } from "./until.ts";
