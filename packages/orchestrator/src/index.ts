export { startOrchestrator, type Orchestrator } from "./orchestrator.ts";
export { checkReplay, recheckVerdicts } from "./replay.ts";
