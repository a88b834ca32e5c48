export * from "./behaviour.ts";
export { type AgentDefinition, loadDefinition, parseDefinition } from "./definition.ts";
export { measurePairs, whileMeasuring } from "./measurement.ts";
export { readyWorktree, takeWorktree } from "./worktree.ts";
export { readDocument } from "./yaml-document.ts";
