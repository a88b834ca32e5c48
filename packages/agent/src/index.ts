export { type AskTask, type AskWork, workAsks } from "./asks.ts";
export * from "./behaviour.ts";
export { builtInDefinitions } from "./built-in.ts";
export { type Calibration, openCalibration } from "./calibration.ts";
export { type AgentCommand, commandHandlers } from "./command-handler.ts";
export type { AgentDefinition } from "./definition.ts";
export type { Handler, Handlers, Said, Work } from "./handler.ts";
export { type JoinedAgent, type JoinOptions, joinAs } from "./join.ts";
export { type KnobFiles, knobFiles, renderKnobs } from "./knob-place.ts";
export { lintDefinition } from "./lint.ts";
export {
  measurePairs,
  newWorkloadKey,
  observeArm,
  refuseUnstableDigest,
  underMeasurementLease,
  whileMeasuring,
} from "./measurement.ts";
export { nearWord } from "./near-word.ts";
export { describeSeal, guardOf, reviewDifference, rewrittenSeal, sealedPaths } from "./seal.ts";
export { groupsDir, sessionNames } from "./session.ts";
export { clarification, stated } from "./stated.ts";
export { refuseAgentCommand, refuseTools } from "./tool-policy.ts";
export { touchedBetween, touchedShown } from "./touched.ts";
export { type TurnHandler, type TurnSaid, type TurnsWork, type TurnWork, workTurns } from "./turns.ts";
export { readyWorktree, takeWorktree } from "./worktree.ts";
export { type PlacedDocument, readPlacedDocument } from "./yaml-document.ts";
