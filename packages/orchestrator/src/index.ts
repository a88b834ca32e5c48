export { checkReplay, openFollower } from "./replay.ts";
export { type Drill, drill, type Restored, restoreState } from "./restore.ts";
