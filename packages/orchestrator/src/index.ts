export { type Orchestrator, startOrchestrator } from "./orchestrator.ts";
export { checkReplay, recheckVerdicts } from "./replay.ts";
