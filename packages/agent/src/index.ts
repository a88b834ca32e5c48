export * from "./behaviour.ts";
export { type AgentDefinition, loadDefinition } from "./definition.ts";
export { type KnobFiles, knobFiles, renderKnobs } from "./knob-place.ts";
export { measurePairs, whileMeasuring } from "./measurement.ts";
export { readyWorktree, takeWorktree } from "./worktree.ts";
export { type PlacedDocument, readPlacedDocument } from "./yaml-document.ts";
