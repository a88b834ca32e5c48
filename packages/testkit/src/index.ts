export { type BareStack, startBareStack } from "./bare-stack.ts";
export { type Finished, questbus, type Running, startQuestbus } from "./command-line.ts";
export { type Holds, openHolds } from "./hold.ts";
export { type JournalWatch, readValue, tamper, watchJournal } from "./journal.ts";
export { fingerprint, openPlace, type Place, runGit } from "./place.ts";
export { pidOf, processesOf, type StackPart } from "./process.ts";
export { writeQuest } from "./quest.ts";
export { type ChangeName, makeTarget, type PatchName, type Target } from "./target.ts";
export { until } from "./until.ts";
