export { readBreakers } from "./breaker-desk.ts";
export { type Orchestrator, type OrchestratorParts, startOrchestrator } from "./orchestrator.ts";
export { stackPauses } from "./pause-desk.ts";
export type { Random } from "./random.ts";
export { checkReplay, openFollower } from "./replay.ts";
export { auditReplay } from "./replay-share.ts";
export { type Drill, drill, type Restored, restoreState } from "./restore.ts";
export { heldCursor, leaderCursor, positionCursor } from "./standby/cursor.ts";
export { readConversation } from "./turn-desk.ts";
