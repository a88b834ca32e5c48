export * from "./behaviour.ts";
export { cleanWorktree, readyWorktree } from "./worktree.ts";
export { measurePairs, whileMeasuring } from "./measurement.ts";
export { readDocument } from "./yaml-document.ts";
export { type AgentDefinition, loadDefinition, parseDefinition } from "./definition.ts";
